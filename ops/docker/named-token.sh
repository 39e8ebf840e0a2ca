#!/bin/sh
# Makes a token by name for another program of the cluster, so that it has the role that it needs and no more. One that is there
# and still opens the door is kept; one that was taken back (weir token revoke) is followed by a new one.
set -eu
[ $# = 3 ] || { echo 'usage: named-token.sh NAME ROLE DIRECTORY' >&2; exit 2; }
name=$1 role=$2 file=$3/token
weir=/app/ops/docker/entrypoint.sh
refused=6 # of the command's exit codes: the master is there, and does not let this token in
if [ -s "$file" ]; then
  code=0
  WEIR_TOKEN=$(cat "$file") "$weir" get jobs --quiet >/dev/null || code=$?
  [ "$code" = "$refused" ] || exit "$code"
fi
# The text of one that is still good is lost when the folder was deleted, and its name is taken.
"$weir" token revoke "$name" --quiet 2>/dev/null || :
"$weir" token create "$name" --role "$role" --quiet >"$file.new"
chmod 0400 "$file.new"
mv -f "$file.new" "$file"
