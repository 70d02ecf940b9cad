#!/bin/sh
# Installs by apt what some tests need beside Python, where it is missing: tmux and Mosquitto, without
# a Mosquitto that listens: tests start their own on a free loopback port. Needs root.
set -eu
PATH="$PATH:/usr/sbin"
missing=""
for program in tmux mosquitto; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "missing, and not to be installed here:$missing; as root: apt-get install$missing" >&2
    exit 1
fi
# While this file answers 101 no package starts its service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
{ apt-get update -qq && apt-get install -qq --yes --no-install-recommends $missing; } >&2
if command -v systemctl >/dev/null; then
    systemctl disable --now mosquitto.service >/dev/null 2>&1 || true
fi
