#!/bin/sh
# Makes the cluster's token at the first start: 32 random bytes, written once. Later starts keep it.
set -eu
directory=${1:?usage: make-token.sh DIRECTORY}
if [ ! -s "$directory/token" ]; then
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$directory/token.new"
  chmod 0444 "$directory/token.new"
  mv "$directory/token.new" "$directory/token"
fi
