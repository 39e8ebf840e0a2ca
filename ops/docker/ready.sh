#!/bin/bash
# Ends with 0 when the process on this port answers GET /readyz, or another path, with 200. By bash alone: a Node for each look
# would cost more than the process that is looked at.
set -eu
port=${1:?usage: ready.sh PORT [PATH]}
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n' "${2:-/readyz}" "$port" >&3
read -r -t 2 _ status _ <&3
[ "$status" = 200 ]
