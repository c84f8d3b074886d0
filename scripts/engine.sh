#!/bin/sh
# Gives a Debian or Ubuntu machine a Docker engine: installs the distribution's packages and starts dockerd in the
# background, each only where needed. Running it again changes nothing; the last line says what it did.
set -eu

log=${REPROMATRIX_ENGINE_LOG:-/var/log/repromatrix-dockerd.log}
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
did=

say() { echo "engine: $*"; }
fail() { echo "engine: $*" >&2; exit 6; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# Any docker command will do to ask; there may be none yet, and then the API itself is asked.
answers() {
    if command -v docker; then
        as_root env DOCKER_HOST="$socket" timeout 20 docker version
    else
        as_root curl -fsS --max-time 20 --unix-socket "${socket#unix://}" http://localhost/_ping
    fi >/dev/null 2>&1
}

install_packages() {
    command -v apt-get >/dev/null || fail "no Docker engine and no apt-get: install Docker by hand, then try again"
    as_root apt-get update -qq >&2 || say "apt-get update failed, going on with the lists at hand" >&2
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends docker.io iptables ca-certificates >&2 ||
        fail "apt-get install docker.io failed"
    did="installed docker.io, "
}

# The packages start a service where there is an init system; elsewhere dockerd is started here and left running.
start_daemon() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl start docker >&2 || true
    else
        as_root sh -c "mkdir -p '$(dirname "$log")'; setsid dockerd >>'$log' 2>&1 </dev/null &"
    fi
    tries=0
    until answers; do
        tries=$((tries + 1))
        [ "$tries" -le 60 ] || fail "dockerd does not answer on $socket after 60 s, see $log"
        sleep 1
    done
    did="${did}started dockerd (log: $log)"
}

if answers; then
    say "one already answers on $socket, nothing to do"
    exit 0
fi
[ "$socket" = unix:///var/run/docker.sock ] || fail "DOCKER_HOST=$socket does not answer: start it, or unset DOCKER_HOST"
if ! command -v dockerd >/dev/null || ! { command -v iptables || [ -x /usr/sbin/iptables ]; } >/dev/null; then
    install_packages
fi
start_daemon
say "$did"
