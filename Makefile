# Celeriac: every verb works on a bare machine with python3 (3.11 or later, with venv), make and git.
# `make` alone lists the verbs.

.DEFAULT_GOAL := help
.PHONY: help run test test-alone test-with-servers conformance faults bench lint docs clean example-genomics environment services

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Without their caches: a module that is new since makes what they remember wrong.
RUFF   := $(BIN)/ruff check --no-cache .
LAYERS := $(BIN)/lint-imports --no-logo --no-cache
# What the types and the tests without servers say, while those with servers run: these wait much of the time.
ALONE  := build/test-alone.log
# Nothing may hang without a word: what takes so long (seconds) is ended, and Python says where each thread was.
BOUND  := PYTHONFAULTHANDLER=1 timeout --foreground --verbose --signal=ABRT --kill-after=30

READY      := $(VENV)/.ready
READY_LINT := $(VENV)/.ready-lint

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(READY) ## run the example workflow; its outputs go to out/quickstart
	$(BIN)/celeriac run examples/quickstart/workflow.cwl examples/quickstart/job.yml --outdir out/quickstart

test: $(READY) $(READY_LINT) services ## check the style, then run the unit, integration and acceptance tests
	$(RUFF)
	@$(MAKE) --no-print-directory --jobs=2 test-alone test-with-servers

test-alone:
	@mkdir -p $(dir $(ALONE))
	@{ $(if $(filter true,$(CI)),$(BOUND) 600 $(BIN)/mypy &&) $(BOUND) 120 $(LAYERS) && \
	    $(BOUND) 1500 $(BIN)/python -m pytest -o cache_dir=.pytest_cache/alone tests/unit; } > $(ALONE) 2>&1; \
	    status=$$?; cat $(ALONE); exit $$status

test-with-servers:
	$(BOUND) 3000 $(BIN)/python -m pytest tests/integration tests/acceptance

conformance: $(READY) services ## run the CWL v1.2 conformance suite (CONFORMANCE_SUITE=folder, BROKER=embedded|redis|rabbitmq)
	$(BIN)/python tests/conformance/run.py

faults: $(READY) services ## kill workers, brokers and engines under running workflows (ONLY=ci|words of pytest -k, MINUTES=10, SEED=1)
	$(BIN)/python -m pytest tests/faults $(if $(ONLY),$(if $(filter ci,$(ONLY)),-m ci,-k "$(ONLY)")) \
	    $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

bench: $(READY) ## measure beside cwltool, StreamFlow and Toil; the README shows it (REPEAT=5, SCALING=1: as it grows)
	@PYTHON=$(PYTHON) sh benchmarks/peers.sh --missing || echo "The table will say 'not installed'." >&2
	$(BIN)/python -m benchmarks$(if $(SCALING),.scaling) $(if $(REPEAT),--repeat $(REPEAT))
	$(BIN)/python -m benchmarks.readme

example-genomics: $(READY) ## run the genomics example
	examples/genomics/run.sh

lint: $(READY_LINT) ## check style, types and the direction of imports
	$(RUFF)
	$(BIN)/mypy
	$(LAYERS)

docs: $(READY) ## check that every relative link in the documentation leads somewhere
	$(BIN)/python tests/docs_links.py

clean: $(READY) ## remove what the other verbs made, except the environment
	rm -rf out build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.*' -prune -exec rm -rf {} +

environment: $(READY) # only make .venv

services: # as root with apt: install the servers that the tests start
	@sh tests/services/install.sh

$(READY): setup.cfg pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Celeriac needs Python 3.11 or later; '$(PYTHON)' is not on the PATH." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Celeriac needs Python 3.11 or later; $$($(PYTHON) --version 2>&1) is what '$(PYTHON)' is. Name a newer one: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is not complete; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing Celeriac into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -e '.[test]'
	@touch $@

$(READY_LINT): $(READY)
	@$(PIP) install -e '.[lint]'
	@touch $@
