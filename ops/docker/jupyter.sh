#!/bin/sh
# Runs a jupyter command with the token that notebooks ask the master with. The server opens to the same one: who may run code
# here can read it anyway.
set -eu
WEIR_TOKEN=$(cat "$WEIR_TOKEN_FILE")
JUPYTER_TOKEN=$WEIR_TOKEN
export WEIR_TOKEN JUPYTER_TOKEN
exec jupyter "$@"
