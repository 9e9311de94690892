# Everything sets itself up: `make run` and `make test` need Python 3.11+ and nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run test lint docs clean

run: $(VENV)/core  ## learn a reward from preferences and train a policy on it
	$(BIN)/rlax-pref quickstart

test: $(VENV)/test  ## the whole test suite
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/test  ## style, types, generated pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m docs.methods --check
	$(BIN)/python -m benchmarks.speed.table --check

docs: $(VENV)/core  ## write docs/methods.md and tables anew, from docstrings and results
	$(BIN)/python -m docs.methods
	$(BIN)/python -m benchmarks.speed.table

clean:  ## forget the environment and what was run
	rm -rf $(VENV) runs build dist *.egg-info

$(VENV)/core: setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("rlax_pref needs Python 3.11 or newer, but $(PYTHON) is %d.%d: try make PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/test: $(VENV)/core
	$(PIP) -e '.[test,dev]'
	@touch $@
