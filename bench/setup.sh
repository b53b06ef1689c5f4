#!/bin/sh
# Gets what the benches compare with: nginx, haproxy and Janus from Debian where root may install them, and environments of
# their own for mitmproxy and matplotlib, and for aiortc as it is. What cannot be had is said here, and reported as missing by the benches.
set -u

PYTHON=${PYTHON:-python3}
CACHE=$(dirname "$0")/../.cache

missing=""
for pair in nginx:nginx-light haproxy:haproxy janus:janus; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        export DEBIAN_FRONTEND=noninteractive
        printf '#!/bin/sh\nexit 101\n' >"${TMPDIR:-/tmp}/policy.$$" # no service is to be started by its package
        chmod +x "${TMPDIR:-/tmp}/policy.$$"
        [ -e /usr/sbin/policy-rc.d ] || { mv "${TMPDIR:-/tmp}/policy.$$" /usr/sbin/policy-rc.d; policy=ours; }
        apt-get update -qq >/dev/null 2>&1
        for package in $missing; do
            apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 || echo "$package could not be installed."
        done
        [ "${policy:-}" = ours ] && rm -f /usr/sbin/policy-rc.d
        rm -f "${TMPDIR:-/tmp}/policy.$$"
    else
        echo "Not installed, and reported as missing:$missing (Debian, Ubuntu: apt-get install$missing)."
    fi
fi

environment() { # environment FOLDER PACKAGE…: an environment with these packages, as far as they can be had
    folder=$1
    shift
    [ "$folder/.installed" -nt "$0" ] && return
    mkdir -p "$folder"
    [ -x "$folder/bin/python" ] || "$PYTHON" -m venv "$folder" || return
    for package in "$@"; do
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$package" 2>"$folder/.log" ||
            echo "$package could not be installed: $(tail -n 1 "$folder/.log")"
    done
    touch "$folder/.installed"
}

# mitmproxy and aiortc ask for versions of pyOpenSSL that exclude each other.
environment "$CACHE/bench" matplotlib mitmproxy
environment "$CACHE/bench-aiortc" 'aiortc>=1.16,<1.17'
