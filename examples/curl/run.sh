#!/bin/sh
# A test with curl alone, against a stream manager that runs (smproxy serve): sh run.sh [URL]
# A step that fails prints the answer of the stream manager, which says what came instead.
set -eu
base=${1:-http://localhost:5080}
api=$base/api/v1
ws=ws${base#http}/streammanager

expect() { # expect TEXT [OPTION …] URL: the answer is no error, and has this text
    text=$1
    shift
    answer=$(curl --silent --show-error --fail-with-body "$@") || { echo "failed: $*: $answer" >&2; exit 1; }
    case $answer in
        *"$text"*) ;;
        *) echo "failed: $*: no $text in $answer" >&2; exit 1 ;;
    esac
}

# A clean slate: no sessions, no hooks, no faults.
expect '' --request POST "$api/reset"

# Publish; wait until the stream is live; look at its session.
smproxy publish "$ws" --stream cam-1 --customer-scope acme >/dev/null &
publisher=$!
trap 'kill $publisher 2>/dev/null || true' EXIT
expect '"role":"publisher"' "$api/hooks/wait?state=peer_joined&id=cam-1&customerScope=acme&timeout=20"
expect '"stream":"cam-1"' "$api/sessions?id=cam-1&state=connected"
echo "cam-1 is live"

# Stop; the hook of the end tells the reason: 0, the user left.
kill -INT $publisher
expect '"reason":0' "$api/hooks/wait?state=disconnected&id=cam-1&timeout=20"
wait $publisher || true
echo "cam-1 has ended"

# Make the next publish fail on purpose, and see what that looks like.
expect '' --request POST --data '{"fault": "publish-denied", "match": {"id": "cam-2"}}' "$api/faults"
if smproxy publish "$ws" --stream cam-2 --customer-scope acme --duration 1 >/dev/null 2>&1; then
    echo "failed: cam-2 was not refused" >&2
    exit 1
fi
expect '"injected":1' "$api/faults"
echo "cam-2 was refused"
expect '' --request POST "$api/reset"
