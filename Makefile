# make install   creates .venv and installs the project with its test tools
# make run       runs the stream manager          (make run ARGS="--port 5081 --hook-uri http://localhost:8000/")
# make test      lint and every test, with what they need
# make lint      formatting, types, layers, documentation
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=

.PHONY: install run test lint format unit browser-setup bench-relay bench-hooks bench-dashboard screenshots clean

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

bench-relay: install
	$(BIN)/python bench/relay.py

bench-hooks: install
	$(BIN)/python bench/hooks.py

bench-dashboard: install
	$(BIN)/python -m bench.dashboard

clean:
	rm -rf $(VENV) .cache build *.egg-info
