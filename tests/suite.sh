# Run every test: quick ones side by side, then those with browsers or media, four files at a time, which mostly wait for media.
# Beside them each fuzzed target gets its minute, of what processor time the tests leave. Called by `make test`.
bin=${1:-.venv/bin}
mkdir -p .cache
rm -f .cache/fuzz.passed
{ "$bin/python" -m tests.fuzz all --seed 1 --idle --jobs 2 && touch .cache/fuzz.passed; } >.cache/fuzz.log 2>&1 &
fuzz=$!
trap 'kill "$fuzz" 2>/dev/null' EXIT INT TERM
# These folders have none of the one kind, or none of the other: no worker need import them.
"$bin/pytest" -m 'not browser and not media' -n 4 --ignore tests/browser --ignore tests/plugin
quick=$?
# In the order of the files: those of browsers and of the cluster have few tests that wait long, and would otherwise be the last.
"$bin/pytest" -m 'browser or media' -n 4 --dist loadfile --no-loadscope-reorder --ignore tests/unit
heavy=$?
wait "$fuzz"
echo "==== Fuzzed beside the tests: ===="
cat .cache/fuzz.log
[ "$quick" = 0 ] && [ "$heavy" = 0 ] && [ -e .cache/fuzz.passed ]
