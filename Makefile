# Everything a fresh Debian needs is installed by these targets, into .venv and the user's cache.
# `make demo` and `make test` are all there is to know; the rest is for developers.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LAB_STATE ?= .lab
HOSTS ?= 10
# Where it is set, every process of the demo and the tests would compile our sources anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo demo-down test nightly check bench docs lab-up lab-down lock clean

help:
	@echo "make demo       patch a fleet of real Debian hosts, end to end (APPROVE=ui: you approve;"
	@echo "                WINDOWS=2: with two simulated Windows hosts)"
	@echo "make demo-down  take down what 'make demo APPROVE=ui' left running"
	@echo "make test       run all tests"
	@echo "make nightly    300 random kills, pairs of them, 100 hosts in flight: an hour"
	@echo "make check      linters, types, import contracts"
	@echo "make bench      measure, and print ratios"
	@echo "make docs       write the generated pages again"
	@echo "make install    make .venv with the wavemend command and nothing else"
	@echo "make lab-up     bring up HOSTS=10 real hosts; make lab-down takes them down"

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"wavemend needs Python 3.11 or newer, this is {v[0]}.{v[1]}: set PYTHON=python3.11")'
	@# Debian's python3-venv is not needed: the pip at hand installs into the new environment.
	@$(PYTHON) -m venv --clear --without-pip $(VENV)
	@# The lock constrains too: pip before 23.1 forgets a pin when a package is asked for with extras.
	@echo "Installing the locked dependencies into $(VENV); this takes a minute"
	@$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check \
	  --require-hashes --only-binary :all: -r requirements.lock -c requirements.lock
	@$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check \
	  --no-deps --no-build-isolation -e .
	@touch $@

install: $(STAMP)

demo: $(STAMP)
	@tools/system_packages.sh demo
	@PYTHONPATH=.:src $(BIN)/python -m examples.demo

demo-down: $(STAMP)
	@PYTHONPATH=.:src $(BIN)/python -m examples.demo down

test: $(STAMP)
	@tools/system_packages.sh test
	$(BIN)/python -m pytest -q -n auto tests/unit
	$(BIN)/python -m pytest -q -n auto tests/contract tests/test_architecture.py
	PYTHONPATH=. $(BIN)/python -m tools.side_by_side tests/live tests/rollouts tests/orchestration

# -s: the figures it measures are printed.
nightly: $(STAMP)
	@tools/system_packages.sh test
	$(BIN)/python -m pytest -q -s --durations=10 tests/nightly

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src flows tasks blocks deployments examples tools tests
	PYTHONPATH=.:src $(BIN)/lint-imports

bench: $(STAMP)
	PYTHONPATH=.:src $(BIN)/python -m tests.bench

docs: $(STAMP)
	PYTHONPATH=.:src $(BIN)/python -m tools.generate_docs

lab-up: $(STAMP)
	@tools/system_packages.sh demo
	@$(BIN)/python -m tests.lab up --hosts $(HOSTS) --state $(LAB_STATE)

lab-down: $(STAMP)
	@$(BIN)/python -m tests.lab down --state $(LAB_STATE)

# Resolves the ranges of pyproject.toml again, for every Python from 3.11 on. The lock names no
# place to download from.
lock: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
