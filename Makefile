# make demo   sets up its own environment and runs the product on what ships with it
# make test   sets up and runs all checks and tests (set HALBENCH_DATA to run those on real suite data as well)
# make quick  the tests without the slow ones
# make faults kills, full disks, bad judges and damaged files, for a nightly job; the table of docs/reliability.md
# make audit  known weaknesses of the installed packages, where the service that knows them can be reached

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
RUN = $(VENV)/bin
# One process per core, each with one thread; the tests of a file share what they set up.
PYTEST = OMP_NUM_THREADS=1 $(RUN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

.PHONY: demo test quick faults audit clean

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "halbench needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	touch $@

# The embedded world: run the shipped checkpoint, look at what it says, tune it three ways on identical pairs, report.
DEMO = out/demo
demo: $(VENV)/.ready
	$(RUN)/halbench run --model scenes:base --suite scenes --out $(DEMO)/base
	$(RUN)/halbench scenes sheet $(DEMO)/base --out $(DEMO)/scenes.png
	$(RUN)/halbench ablate experiments/demo.yaml --out $(DEMO)/ablation
	$(RUN)/halbench report all $(DEMO)/ablation --out $(DEMO)/report --title "DPO, mDPO and SFT on the embedded world"
	@echo "What the checkpoint says of twelve scenes, hallucinations in red: $(DEMO)/scenes.png"
	@echo "The report, to open in a browser: $(DEMO)/report/report.html"

test: $(VENV)/.ready
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/mypy benchmarks/*.py
	$(RUN)/lint-imports --no-logo
	$(PYTEST)

quick: $(VENV)/.ready
	$(PYTEST) -m "not slow"

faults: $(VENV)/.ready
	$(RUN)/python -m tests.faults

# The service is asked for a release with a known weakness: a mirror without advisories would pass everything.
KNOWN = import json, urllib.request as r; assert json.load(r.urlopen("https://pypi.org/pypi/nltk/3.9.1/json", timeout=10))["vulnerabilities"]
audit: $(VENV)/.ready
	@if $(RUN)/python -c '$(KNOWN)' 2>/dev/null; then $(RUN)/pip-audit --progress-spinner off --skip-editable; \
	else echo "audit skipped: no service with advisories can be reached"; fi

clean:
	rm -rf $(VENV) build *.egg-info
