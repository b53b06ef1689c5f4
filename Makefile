# make install   creates .venv and installs the project with its test tools
# make run       runs the stream manager          (make run ARGS="--port 5081 --hook-uri http://localhost:8000/")
# make test      lint and every test, with what they need
# make lint      formatting, types, layers, documentation
# make bench     measures everything beside its peers, and writes the figures into docs/performance.md
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=

.PHONY: install run test lint format unit browser-setup bench bench-setup bench-relay bench-memory bench-churn bench-media
.PHONY: bench-subscribers bench-hooks bench-start bench-growth bench-profile bench-dashboard screenshots clean

install: $(STAMP)

$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed: make install PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); } || \
		{ echo "The venv module is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

run: install
	$(BIN)/smproxy serve $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/check_docs.py

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

browser-setup: install
	@sh tests/browser/setup.sh
	$(BIN)/python -m tests.browser.sdk

unit: install
	$(BIN)/pytest tests/unit

test: browser-setup lint
	$(BIN)/pytest

screenshots: install
	$(BIN)/python -m tests.browser.screenshots

# Everything that docs/performance.md tells of, in a quarter of an hour on an idle machine with two cores.
bench: bench-relay bench-memory bench-media bench-subscribers bench-hooks bench-start bench-growth bench-profile

bench-setup: install
	@sh bench/setup.sh

bench-relay: bench-setup
	$(BIN)/python bench/relay.py

bench-churn: bench-setup
	$(BIN)/python bench/relay.py --task close

bench-memory: bench-setup
	$(BIN)/python bench/memory.py

bench-media: bench-setup
	$(BIN)/python bench/media.py

bench-subscribers: install
	$(BIN)/python bench/subscribers.py

bench-hooks: install
	$(BIN)/python bench/hooks.py

bench-start: install
	-@sh tests/browser/setup.sh
	$(BIN)/python bench/start.py

bench-growth: bench-setup
	$(BIN)/python bench/growth.py

bench-profile: install
	$(BIN)/python bench/profiles.py

bench-dashboard: install
	$(BIN)/python -m bench.dashboard

clean:
	rm -rf $(VENV) .cache build proxy/*.egg-info
