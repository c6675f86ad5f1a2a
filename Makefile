# Everything that is done with this checkout. `make` alone lists it.

VENV ?= .venv
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
ARGS ?=

BIN := $(VENV)/bin
CLIENTS := tests/gateway/node
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := UV_NO_CONFIG=1 $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check lint format types coverage docs bench soak lock clean

help: ## Show this list
	@if [ -t 1 ]; then on=$$(printf '\033[1;36m'); off=$$(printf '\033[0m'); fi; \
	printf '\nagentops: record, watch and guard what AI agents do\n\n'; \
	awk -F ':.*## ' -v on="$$on" -v off="$$off" '/^[a-z]+:.*## / { printf "  %smake %-10s%s %s\n", on, $$1, off, $$2 }' $(firstword $(MAKEFILE_LIST)); \
	printf '\n  PYTHON=…  the interpreter of %s (now: %s)      ARGS=…  more for the command behind it\n\n' '$(VENV)' '$(or $(PYTHON),none found)'

run: $(VENV)/.base ## Serve the embedded default: SQLite, one process, http://127.0.0.1:8787
	@exec $(BIN)/agentops serve $(ARGS)

test: $(VENV)/.dev $(CLIENTS)/node_modules/.made ## Run every test, with a Postgres and a Redis that come along
	@$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile $(ARGS)

check: lint types test ## Everything a change must pass

lint: $(VENV)/.dev ## Check rules and formatting (ruff)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(VENV)/.dev ## Mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(VENV)/.dev ## Check types twice (mypy --strict, pyright)
	@$(BIN)/mypy --strict
	@$(BIN)/pyright

soak: $(VENV)/.dev ## Break a cluster for ten minutes, and see that nothing is lost (SOAK_SEED=… has the same again)
	@SOAK_SECONDS=$${SOAK_SECONDS:-300} SOAK_RUNS=$${SOAK_RUNS:-300} SOAK_STREAMS=$${SOAK_STREAMS:-60} \
		$(BIN)/python -m pytest -s tests/durability/test_cluster.py $(ARGS)

coverage: $(VENV)/.dev $(CLIENTS)/node_modules/.made ## Run the tests and hold the core to complete branch coverage
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --include='src/agentops/core/*' --fail-under=100

docs: $(VENV)/.dev ## Build the documentation into site/, its reference made from the code
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS)

bench: $(VENV)/.dev ## Measure speed and memory, and write docs/reference/benchmarks.md (half an hour; ARGS=--quick tries it)
	@$(BIN)/python -m bench $(ARGS)

lock: $(VENV)/.lock ## Renew requirements/*.txt from pyproject.toml
	@$(COMPILE) --all-extras --group dev pyproject.toml --output-file requirements/dev.txt
	@$(COMPILE) --constraint requirements/dev.txt --group build pyproject.toml --output-file requirements/base.txt
	@$(COMPILE) --group lock --output-file requirements/lock.txt

clean: ## Remove what was made here, but never a database
	rm -rf $(VENV) $(CLIENTS)/node_modules site .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@if [ -z '$(PYTHON)' ]; then \
		echo 'No Python 3.11 or newer with venv was found. Install one (on Debian: apt install python3 python3-venv), or say PYTHON=/path/to/it.' >&2; exit 1; fi
	@echo 'Making $(VENV) with $(PYTHON) …'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.base: requirements/base.txt pyproject.toml | $(BIN)/python
	@echo 'Installing what the server needs …'
	@$(PIP) install --require-hashes -r requirements/base.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo 'Installing what the tests and checks need (a Postgres and a Redis among it) …'
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.base

$(CLIENTS)/node_modules/.made: $(CLIENTS)/package.json $(CLIENTS)/package-lock.json
	@if ! command -v npm >/dev/null; then \
		echo 'There is no npm here: the test of the client for Node will be skipped.' >&2; \
	elif npm ci --prefix $(CLIENTS) --silent --no-audit --no-fund --ignore-scripts; then \
		touch $@; \
	else \
		echo 'The client for Node could not be installed: its test will be skipped.' >&2; fi

$(VENV)/.lock: requirements/lock.txt | $(BIN)/python
	@$(PIP) install --require-hashes -r requirements/lock.txt
	@touch $@
