#!/bin/sh
# The users' producer in a container. Without USERS_SEED every start brings new users; with it, the same ones again.
set -eu
seed=${USERS_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
set -- produce dist/jobs/producers/users.js --rate "${USERS_RATE:-200}" --seed "$seed"
if [ -n "${USERS_COUNT:-}" ]; then set -- "$@" --count "$USERS_COUNT"; fi
exec /app/ops/docker/entrypoint.sh "$@"
