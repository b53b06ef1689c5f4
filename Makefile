# `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
SEEDS ?= 10000
.DEFAULT_GOAL := help
QUICK := -m 'not browser and not media' -n 4
# Python keeps its caches, which some container images switch off: else each of the hundreds of processes that tests start compiles
# the package again, and each of pytest's workers rewrites the assertions of every test module.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install run test lint format unit npm-package mutants-cluster torture-cluster pythons coverage browser-setup bench bench-setup bench-relay bench-memory bench-churn bench-media bench-edges
.PHONY: bench-subscribers bench-hooks bench-journal bench-start bench-growth bench-profile bench-dashboard screenshots clean

help:                                    ## list what there is
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-18s %s\n' "$$name" "$$text"; done

install: $(STAMP)                        ## create .venv and install the project with its test tools

$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed: make install PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); } || \
		{ echo "The venv module is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

run: install                             ## run the stream manager  (make run ARGS="--port 5081 --hook-uri http://localhost:8000/")
	$(BIN)/smproxy serve $(ARGS)

lint: install                            ## check formatting, types, layers and documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/check_docs.py

format: install                          ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

browser-setup: install                   ## install browsers, npm and the servers that the tests need
	@sh tests/browser/setup.sh
	$(BIN)/python -m tests.browser.sdk
	$(BIN)/python -m tests.js_package

unit: install                            ## run the tests that need no network
	$(BIN)/pytest tests/unit

test: install                            ## run lint and every test, and install what they need
	@$(MAKE) --no-print-directory -j 2 --output-sync=target lint browser-setup
	@sh tests/suite.sh $(BIN)

npm-package:                             ## build the npm package of clients/js
	cd clients/js && npm install --no-audit --no-fund --loglevel error && npm pack --loglevel error

.PHONY: simulate fuzz torture mutants states
simulate: install                        ## run a node and the core of the cluster in virtual time  (make simulate SEEDS=100000)
	SMPROXY_SIMULATION_RUNS=$(SEEDS) $(BIN)/pytest tests/simulation/test_cluster.py tests/simulation/test_whip.py tests/simulation/test_manager.py -n 2 -q
	$(BIN)/python -W ignore -m tests.simulation.node --seeds $(SEEDS)

fuzz: install                            ## fuzz each target for a minute, guided by coverage  (make fuzz SECONDS=600)
	$(BIN)/python -m tests.fuzz all --seconds $(or $(SECONDS),60)

torture: install                         ## kill it, fill its disk, set its clock back, run a million sessions (half an hour)
	$(BIN)/python -m tests.torture $(ARGS)

mutants: install                         ## put faults in, one at a time, and see that each is caught
	$(BIN)/python -m tests.mutants $(ARGS)

states: install                          ## see which states, errors and refusals the tests reach; writes docs/guarantees.md
	rm -rf .cache/states
	STATES_FOLDER=.cache/states $(BIN)/python -m pytest -p tests.states $(QUICK) tests/unit tests/simulation tests/hostile tests/e2e tests/integration
	$(BIN)/python -m tests.states .cache/states

mutants-cluster: install                 ## run cores of the cluster that are broken on purpose: the simulation must find each
	$(BIN)/python -m tests.simulation.mutants $(ARGS)

torture-cluster: install                 ## kill, freeze and cut off nodes of a cluster, each 50 times under load (two hours: ARGS="-k killed")
	SMPROXY_CLUSTER_RUNS=50 SMPROXY_CLUSTER_LOAD=10 SMPROXY_CLUSTER_RACES=100 SMPROXY_CLUSTER_OUTAGE=30 $(BIN)/pytest tests/cluster $(ARGS)

.PHONY: bench-cluster
bench-cluster: bench-setup               ## measure how a cluster grows, its registry and its fail-overs (needs nats-server)
	$(BIN)/python bench/cluster.py

bench-edges: install                     ## measure how much later a picture is at an edge of a cluster (needs nats-server)
	$(BIN)/python bench/edges.py

pythons: install                         ## run the unit tests with every other Python that is at hand
	@sh tests/pythons.sh

coverage: install                        ## measure what the unit tests reach, and fail below the floor  (make coverage ARGS=tests for more)
	COVERAGE_CORE=ctrace $(BIN)/pytest $(or $(ARGS),tests/unit) -n 2 --cov=smproxy --cov-report=term:skip-covered --cov-report=html

screenshots: install                     ## take the pictures of the documentation
	$(BIN)/python -m tests.browser.screenshots

# Everything that docs/performance.md tells of, in a quarter of an hour on an idle machine with two cores.
bench: bench-relay bench-memory bench-media bench-subscribers bench-sound bench-hooks bench-journal bench-start bench-growth bench-profile bench-network ## measure everything beside its peers; writes docs/performance.md

bench-setup: install
	@sh bench/setup.sh

bench-relay: bench-setup                 ## measure the signaling relay
	$(BIN)/python bench/relay.py

bench-churn: bench-setup
	$(BIN)/python bench/relay.py --task close

bench-memory: bench-setup
	$(BIN)/python bench/memory.py

bench-media: bench-setup                 ## measure the origin with publishers
	$(BIN)/python bench/media.py

bench-subscribers: install
	$(BIN)/python bench/subscribers.py

.PHONY: bench-sound
bench-sound: bench-setup                 ## measure publishers and subscribers of sound alone
	$(BIN)/python bench/sound.py

bench-hooks: install                     ## measure journal and delivery of hooks
	$(BIN)/python bench/hooks.py

bench-journal: install                   ## measure a journal of a million events
	$(BIN)/python bench/journal.py

bench-start: install                     ## measure the start
	-@sh tests/browser/setup.sh
	$(BIN)/python bench/start.py

bench-growth: bench-setup
	$(BIN)/python bench/growth.py

bench-profile: install
	$(BIN)/python bench/profiles.py

.PHONY: bench-network
bench-network: install                   ## measure bad networks, one port, captures
	$(BIN)/python bench/network.py

bench-dashboard: install
	$(BIN)/python -m bench.dashboard

clean:                                   ## delete what was installed and built
	rm -rf $(VENV) .cache build proxy/*.egg-info
