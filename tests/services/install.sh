#!/bin/sh
# Install those of the servers and tools that the tests start themselves and that are missing. Only as root
# on a machine with apt-get; anywhere else the tests say what they miss. Starts no service.
set -eu

[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0

on_path() { command -v "$1" >/dev/null 2>&1; }
any()     { [ -e "$1" ]; }   # any GLOB: the shell leaves a glob that matches nothing as it is

missing=
on_path redis-server    || missing="$missing redis-server"
on_path rabbitmq-server || missing="$missing rabbitmq-server"
on_path initdb || any /usr/lib/postgresql/*/bin/initdb || missing="$missing postgresql"
# An engine that is reached through a socket from elsewhere needs no dockerd here.
on_path dockerd || [ -n "${DOCKER_HOST:-}" ] || [ -S /var/run/docker.sock ] || missing="$missing docker.io"
on_path busybox || missing="$missing busybox-static"
# For the fault suite: ports that drop everything, clocks that are wrong.
on_path ip      || missing="$missing iproute2"
on_path nft     || missing="$missing nftables"
any /usr/lib/*/faketime/libfaketimeMT.so.1 || missing="$missing libfaketime"
# Checks docker-compose.yml; the plugin `docker compose` serves as well.
on_path docker-compose || docker compose version >/dev/null 2>&1 || missing="$missing docker-compose"
[ -n "$missing" ] || exit 0

echo "Installing what the tests need:$missing"

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
made_policy=
tidy() { rm -f "$log"; [ -z "$made_policy" ] || rm -f "$policy"; }
trap tidy EXIT
trap 'exit 1' HUP INT TERM

# Debian's packages start their service unless this file says no (101: "action forbidden by policy").
if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

install_packages() {
    # shellcheck disable=SC2086  # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -y -q \
        install --no-install-recommends $missing >"$log" 2>&1
}

update_lists() {
    # apt waits for dpkg's lock, but not for the one on its lists.
    for _ in $(seq 60); do
        apt-get -q update >"$log" 2>&1 && return 0
        grep -q 'Could not get lock' "$log" || return 1
        sleep 5
    done
    return 1
}

# The lists may be good enough: an update is tried only after a failure.
if ! install_packages && ! { update_lists && install_packages; }; then
    tail -n 5 "$log" >&2
    echo "Could not install:$missing. The tests that need them can't run." >&2
fi
