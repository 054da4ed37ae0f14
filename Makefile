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

# The embedded world: run the shipped checkpoint, look at what it says, tune it on preference pairs, compare.
DEMO = out/demo
demo: $(VENV)/.ready
	$(RUN)/halbench run --model scenes:base --suite scenes --out $(DEMO)/base
	$(RUN)/halbench scenes sheet $(DEMO)/base --out $(DEMO)/scenes.png
	test -d $(DEMO)/pairs || $(RUN)/halbench scenes pairs --pairs 400 --out $(DEMO)/pairs
	$(RUN)/halbench train --objective mdpo --config experiments/scenes_train.yaml --data $(DEMO)/pairs --out $(DEMO)/mdpo
	$(RUN)/halbench run --model $(DEMO)/mdpo --suite scenes --out $(DEMO)/mdpo-run
	$(RUN)/halbench compare $(DEMO)/base $(DEMO)/mdpo-run
	@echo "Twelve scenes with what the checkpoint said of them, hallucinations in red: $(DEMO)/scenes.png"

test: $(VENV)/.ready
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/python -m pytest

quick: $(VENV)/.ready
	$(RUN)/python -m pytest -m "not slow"

clean:
	rm -rf $(VENV) build *.egg-info
