#!/bin/sh
# Makes sure that there is a Chromium, a Firefox, an npm, nginx, HAProxy, coturn, tshark, zsh, fish and other tools for the tests, or says how to get them.
set -eu
PATH=$PATH:/usr/sbin

# A server that is installed for the tests does not start by itself: they run it with a configuration of their own.
policy=/usr/sbin/policy-rc.d
need_server() { # need_server COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
        trap 'rm -f $policy' EXIT
    fi
    need "$1" "$2"
}

need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "Installing $2 for the tests."
        export DEBIAN_FRONTEND=noninteractive
        { apt-get install -y -qq --no-install-recommends "$2" || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$2"; }; } >/dev/null
    fi
    command -v "$1" >/dev/null 2>&1 || {
        echo "The tests need $1: install it (Debian, Ubuntu: apt-get install $2); another browser is named in CHROMIUM=/path/to/chromium, FIREFOX=/path/to/firefox." >&2
        exit 1
    }
}

[ -n "${CHROMIUM:-}" ] || need chromium chromium
[ -n "${FIREFOX:-}" ] || command -v firefox >/dev/null 2>&1 || need firefox-esr firefox-esr
need npm npm
need curl curl
need ip iproute2
need tshark tshark
need zsh zsh
need fish fish
need_server turnserver coturn
need_server nginx nginx-light
need_server haproxy haproxy
