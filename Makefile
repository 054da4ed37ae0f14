# make demo   sets up its own environment and runs the product on what ships with it
# make test   sets up and runs all checks and tests (set HALBENCH_DATA to run those on real suite data as well)
# make quick  the tests without the slow ones

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
RUN = $(VENV)/bin

.PHONY: demo test quick clean

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "halbench needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	touch $@

test: $(VENV)/.ready
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/python -m pytest

quick: $(VENV)/.ready
	$(RUN)/python -m pytest -m "not slow"

clean:
	rm -rf $(VENV) build *.egg-info
