# Two commands set up everything by themselves and are quick when repeated:
#   make demo   the main job on a photo in this repository
#   make test   all tests
# Both with HASHES=1 check every package against the hashes in requirements-*.txt.
# Also: make test-fast (without the slow ones), make coverage (which lines the tests run), make web (the browser page, into web/dist), make consumers (our files read by other packages), make lint (style, spelling, types), make clean.

# Not 3.10, for which NumPy as pinned in constraints.txt has no release.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SETTINGS := setup.cfg pyproject.toml constraints.txt
# HASHES=1 installs nothing whose SHA-256 is not in the repository. pip does that for lists of
# packages only: a project that is installed from its folder has no hash, so it comes afterwards.
ifdef HASHES
install = $(PIP) --require-hashes --requirement requirements-$(2).txt && $(PIP) --no-deps --no-build-isolation --editable .
else
install = $(PIP) --constraint constraints.txt --editable ".[$(1)]"
endif
COVERAGE := --cov=dwpose_infer --cov=benchmarks --cov=export --cov=models
DEMO := tests/photos/astronaut.jpg

.PHONY: demo test test-fast coverage web consumers lint clean

demo: $(VENV)/.demo-ready
	$(BIN)/dwpose-infer $(DEMO) --out demo-out --format json,openpose --draw overlay,openpose
	@echo "Look at demo-out/astronaut_overlay.jpg and demo-out/astronaut_openpose.png"

# Training runs in a process of its own: it starts others by forking, which is no friend of the
# threads of runtimes that other tests have loaded.
test: $(VENV)/.dev-ready
	$(BIN)/pytest --ignore tests/models/training
	$(BIN)/pytest tests/models/training

# Counting lines takes about a quarter more time where Python does the work.
coverage: $(VENV)/.dev-ready
	$(BIN)/pytest $(COVERAGE) --cov-report= --ignore tests/models/training
	$(BIN)/pytest $(COVERAGE) --cov-append --cov-report=term:skip-covered tests/models/training

test-fast: $(VENV)/.dev-ready
	$(BIN)/pytest -q -m "not slow" --ignore tests/models/training
	@echo "Left out: the slow tests (deselected above) and those of tests/models/training; make test runs all."

# The page's packages are pinned by web/package-lock.json; none of their install scripts is needed.
web:
	@command -v npm > /dev/null || { echo "Node.js 20.11 or newer is needed, with npm: https://nodejs.org"; exit 1; }
	cd web && npm ci --ignore-scripts --no-audit --no-fund && npm run --silent build

# Installs about 4 GB for a while, one package after the other; the table stands in docs/formats.md.
consumers: $(VENV)/.dev-ready
	$(BIN)/python tests/consumers/run.py

lint: $(VENV)/.dev-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	# Types are checked on what is installed: in the tree, models/ and benchmarks/ stand outside
	# the package that they belong to.
	rm -rf build/types build/lib
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --target build/types .
	cd build/types && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache -p dwpose_infer

$(VENV)/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make PYTHON=/path/to/python')"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-ready: $(SETTINGS) | $(VENV)/bin/python
	$(call install,cpu,demo)
	touch $@

$(VENV)/.dev-ready: $(SETTINGS) | $(VENV)/bin/python
	$(call install,dev,test)
	touch $@ $(VENV)/.demo-ready

clean:
	rm -rf $(VENV) build dist demo-out dwpose-out web/dist web/node_modules .mypy_cache .pytest_cache .ruff_cache .coverage
