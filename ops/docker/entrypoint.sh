#!/bin/sh
# Runs a weir command in a container. The cluster's token comes from WEIR_TOKEN_FILE, so that it stands in no compose
# file, no image and no process list.
set -eu
if [ -z "${WEIR_TOKEN:-}" ] && [ -n "${WEIR_TOKEN_FILE:-}" ]; then
  WEIR_TOKEN=$(cat "$WEIR_TOKEN_FILE")
  export WEIR_TOKEN
fi
exec node --disable-warning=ExperimentalWarning /app/cli/main.ts "$@"
