# Two commands matter: `make demo` and `make test`. Both set up what is missing first and ask nothing.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3 2>/dev/null))
BIN := .venv/bin
INSTALLED := .venv/.installed
PROFILE ?= quick

export MPLBACKEND ?= Agg
# Kernels run in the notebooks' folder: a relative path would mean another place there.
ifdef LEAN_AGENTIC_DATA
export LEAN_AGENTIC_DATA := $(abspath $(LEAN_AGENTIC_DATA))
endif

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: setup data  ## Run every experiment (PROFILE=quick or full), then print the targets table
	@$(BIN)/lean-agentic run all --profile $(PROFILE); status=$$?; \
	$(BIN)/lean-agentic report && exit $$status

test: setup browser  ## Lint, type-check, run every test, notebook and browser test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --cov --cov-report=term --cov-fail-under=85 tests
	$(BIN)/python -m pytest --nbmake --nbmake-timeout=180 -p no:cacheprovider notebooks

lab: setup  ## Open the notebooks in JupyterLab
	$(BIN)/lean-agentic lab

setup: $(INSTALLED)  ## Create .venv and install the pinned packages

$(INSTALLED): pyproject.toml constraints.txt setup.py $(wildcard lean_agentic/jit_runtime/native/*.[ch])
	@test -n "$(PYTHON)" || { echo "No python3 found: install Python 3.11 or newer, or call make PYTHON=/path/to/python."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than Python 3.11: call make PYTHON=/path/to/a/newer/python."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
	  { echo "$(PYTHON) cannot make a virtual environment: on Debian, install python3-venv."; exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check --no-input -c constraints.txt -e '.[dev]'
	@touch $@

# Public data makes the figures real; without it the experiments use generated sets and say so.
data: setup
	@$(BIN)/lean-agentic data fetch || \
	  echo "Not all public data is here: experiments that miss some use generated data and say so."

browser:
	@bash tests/browser/install_chromium.sh

lock: setup  ## Pin the versions of the present .venv in constraints.txt
	@$(BIN)/python -m pip list --format=freeze --exclude-editable \
	  | grep -viE '^(pip|setuptools)==' | sed 's/+cpu$$//' > constraints.txt.new
	@mv constraints.txt.new constraints.txt

clean:  ## Remove the environment, runs and caches
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .coverage* build experiments/*/runs experiments/report

.PHONY: help demo test lab setup data browser lock clean
