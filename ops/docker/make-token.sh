#!/bin/sh
# Makes tokens at the first start, one in each folder: 32 random bytes, written once. Later starts keep them. Who may read one
# is decided by who has its folder mounted.
set -eu
[ $# -gt 0 ] || { echo 'usage: make-token.sh DIRECTORY...' >&2; exit 2; }
for directory; do
  [ ! -s "$directory/token" ] || continue
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$directory/token.new"
  chmod 0444 "$directory/token.new"
  mv "$directory/token.new" "$directory/token"
done
