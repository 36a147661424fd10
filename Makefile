# make book       build the book into _build/html (runs the notebooks; unchanged ones come from the cache)
# make test       run all tests (also builds the book)            ARGS="-k clips -x" is handed to pytest
# make check      style, and all tests but the chapters and the book    ARGS=FILE runs one file
# make bench      measure speed: the media path, the engine, workers    ARGS=--quick makes the last two short
# make smol       fetch the language model of the organisms that can talk (93 MB, once)
# make lint       check style and formatting
# make notebooks  write what is generated: the .ipynb beside the .py chapters, tables of README and book
# make clean      remove what was built (the environment stays)
#
# Everything runs in .venv, which is made on first use from requirements.txt.
# VENV=/path/to/environment uses that environment as it is and installs nothing.

PYTHON ?= python3

ifdef VENV
ready :=
else
VENV := .venv
ready := .venv/.ready
endif
python := $(VENV)/bin/python
# A process and a thread for each core: half the time of one process with all of them. A file stays with one process, so
# that the book is built once; files come in the order of tests/conftest.py.
tests := OMP_NUM_THREADS=1 $(python) -m pytest -n logical --dist loadfile --no-loadscope-reorder

.PHONY: book test check bench smol chromium lint notebooks clean

book: smol
	$(python) book/build.py

test: smol chromium
	$(tests) $(ARGS)

check: lint
	$(tests) -m "not chapter and not book and not organism and not soak" $(ARGS)

bench: $(ready)
	$(python) -m pytest tests/bench -o python_files='bench_*.py' -s -q
	$(python) -m tests.bench $(ARGS)
	$(python) -m tests.bench.together
	$(python) -m tests.bench.workers $(filter --quick,$(ARGS))

# The browser that the book is tested in; without it those tests are skipped, and say so.
chromium:
	-command -v chromium chromium-browser google-chrome || (apt-get update && apt-get install -y --no-install-recommends chromium)

# Without a network the book is built on the toy organisms and says so.
smol: $(ready)
	-$(python) -m avnb fetch smol

lint: $(ready)
	$(python) -m ruff check .
	$(python) -m ruff format --check .

notebooks: $(ready)
	$(python) book/notebooks.py
	$(python) book/generated.py

clean:
	rm -rf _build build dist .pytest_cache .ruff_cache notebooks/.ruff_cache .hypothesis .coverage
	find avnb book notebooks tests -name __pycache__ -prune -exec rm -rf {} +

# One pip call, so that torch, torchvision and what depends on them are resolved together, and the pins are
# checked against the ranges of pyproject.toml.
.venv/.ready: requirements.txt pyproject.toml
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off -r requirements.txt -e .
	touch $@
