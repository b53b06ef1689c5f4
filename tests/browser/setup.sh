#!/bin/sh
# Makes sure that there is a Chromium, a Firefox, an npm and other tools for the tests, or says how to get them.
set -eu

need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "Installing $2 for the browser tests."
        export DEBIAN_FRONTEND=noninteractive
        { apt-get install -y -qq --no-install-recommends "$2" || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$2"; }; } >/dev/null
    fi
    command -v "$1" >/dev/null 2>&1 || {
        echo "The browser tests need $1: install it (Debian, Ubuntu: apt-get install $2), or name a browser in CHROMIUM=/path/to/chromium, FIREFOX=/path/to/firefox." >&2
        exit 1
    }
}

[ -n "${CHROMIUM:-}" ] || need chromium chromium
[ -n "${FIREFOX:-}" ] || command -v firefox >/dev/null 2>&1 || need firefox-esr firefox-esr
need npm npm
need curl curl
need ip iproute2
need turnserver coturn
