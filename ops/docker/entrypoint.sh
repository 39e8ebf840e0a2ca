#!/bin/sh
# Runs a weir command in a container. Tokens come from files (WEIR_TOKEN_FILE, WEIR_METRICS_TOKEN_FILE), so that they stand in
# no compose file, no image and no process list.
set -eu
if [ -z "${WEIR_TOKEN:-}" ] && [ -n "${WEIR_TOKEN_FILE:-}" ]; then
  WEIR_TOKEN=$(cat "$WEIR_TOKEN_FILE")
  export WEIR_TOKEN
fi
if [ -z "${WEIR_METRICS_TOKEN:-}" ] && [ -n "${WEIR_METRICS_TOKEN_FILE:-}" ]; then
  WEIR_METRICS_TOKEN=$(cat "$WEIR_METRICS_TOKEN_FILE")
  export WEIR_METRICS_TOKEN
fi
exec /app/weir "$@"
