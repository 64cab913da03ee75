#!/bin/sh
# Options without a program are bash's own: `docker run bash:4.4 -c 'echo moo'`.
case "$1" in
    -* | '') set -- bash "$@" ;;
esac
exec "$@"
