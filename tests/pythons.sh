#!/bin/sh
# Runs the unit tests with every supported Python that is at hand beside the one of .venv; says which are not.
set -u

failed=""
for version in 3.12 3.13 3.14; do
    python=""
    for candidate in "python$version" "$HOME"/.pyenv/versions/"$version".*/bin/python; do
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c 'import venv' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "Python $version: not on this machine, not tested."
        continue
    fi
    folder=.cache/python-$version
    if [ ! "$folder/.installed" -nt setup.cfg ]; then
        rm -rf "$folder"
        "$python" -m venv "$folder" &&
            "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[test]' && touch "$folder/.installed" ||
            { echo "Python $version: the project could not be installed."; failed="$failed $version"; continue; }
    fi
    echo "Python $version:"
    "$folder/bin/python" -m pytest tests/unit -q -n 2 -p no:cacheprovider || failed="$failed $version"
done
[ -z "$failed" ] || { echo "Failed with Python$failed."; exit 1; }
