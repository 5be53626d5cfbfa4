# make help: what there is. Everything happens in this folder: .venv, results, .snakemake.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help install demo test test-long lint docs format clean

# The first Python of at least 3.11; name another with `make PYTHON=/path/to/python demo`.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; exit; }; done)
BIN := .venv/bin
INSTALLED := .venv/.installed
CORES ?= all
# one process a core, each with one thread; tests of one xdist_group share a process
PARALLEL := --numprocesses auto --dist loadgroup
export OMP_NUM_THREADS := 1

help:  ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 14

$(INSTALLED): pyproject.toml envs/constraints.txt
	@if [[ -z "$(PYTHON)" ]]; then echo "clmassmod needs Python 3.11 or newer; name one: make PYTHON=..." >&2; exit 1; fi
	@"$(PYTHON)" -c 'import ensurepip, venv' || { echo "$(PYTHON) cannot make environments; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "== setting up .venv with $$("$(PYTHON)" --version), the versions of envs/constraints.txt"
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable '.[test,lint,docs,slurm,cluster]'
	@touch $@

install: $(INSTALLED)  ## set up .venv: the package, Snakemake, tests, linters and Sphinx

demo: $(INSTALLED)  ## run the campaign of config/default.yaml and print its biases
	@echo "== running the campaign config/default.yaml; what is done already is not done again"
	$(BIN)/snakemake --cores $(CORES)
	@$(BIN)/clmassmod report --campaign results/default --print

test: $(INSTALLED)  ## run the tests; those of minutes are in test-long
	@echo "== running the tests (the long ones: make test-long)"
	$(BIN)/python -m pytest -m "not long" $(PARALLEL)

test-long: $(INSTALLED)  ## run the tests that take minutes
	@echo "== running the long tests"
	$(BIN)/python -m pytest -m long $(PARALLEL)

lint: $(INSTALLED)  ## check style, types, layers and the workflow
	@echo "== ruff, mypy, import-linter, snakefmt, snakemake --lint"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

docs: $(INSTALLED)  ## build the documentation: docs/_build/html/index.html
	@echo "== building the documentation; a warning is an error"
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

format: $(INSTALLED)  ## format Python and Snakemake files
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

clean:  ## remove what tools leave behind and the demo's results; other campaigns and .venv stay
	@echo "== removing caches and results/default"
	rm -rf results/default build dist docs/_build docs/reference/generated .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find clmassmod tests config workflow -name __pycache__ -prune -exec rm -rf {} +
