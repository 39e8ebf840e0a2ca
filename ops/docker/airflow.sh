#!/bin/sh
# Runs an airflow command with the connection `weir`: its token is a header that the operators send, and comes from a file, so
# that it stands in no image, no compose file and not in Airflow's database.
set -eu
token=$(cat "$WEIR_TOKEN_FILE")
AIRFLOW_CONN_WEIR="{\"conn_type\": \"http\", \"host\": \"$WEIR_ADDRESS\", \"extra\": {\"Authorization\": \"Bearer $token\"}}"
export AIRFLOW_CONN_WEIR
exec airflow "$@"
