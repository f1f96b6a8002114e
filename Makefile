# Merganser: everything a developer runs. Needs Python 3.11 or later and make; the rest is installed into .venv.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
JOBS ?= 2
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo serve check test test-again spec conformance lint format types bench bench-live soak docs screenshots lock image clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: .venv/.installed ## make .venv with everything in it, the console script included

.venv/.installed: requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or later found; name one: make setup PYTHON=/path/to/python" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## the sample upstreams and a catalog over them; Ctrl-C ends both
	$(BIN)/merganser demo

serve: setup ## serve CATALOG=file
	$(BIN)/merganser serve $(CATALOG)

check: setup ## check every catalog in config/
	@for catalog in config/*.yaml; do echo "merganser check $$catalog"; $(BIN)/merganser check $$catalog || exit 1; done

test: lint types ## style, types, import rules and every test of this repository
	$(BIN)/python -m pytest -q -n $(JOBS)

test-again: setup ## what failed in the last run of the tests, one at a time
	$(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none

spec: setup ## the promises alone: tests/spec
	$(BIN)/python -m pytest -q -n $(JOBS) tests/spec

conformance: setup ## the outside suite in ../shared/conformance, file by file as .ci/conformance lists them
	.ci/conformance.sh

lint: setup ## style, imports between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: setup ## rewrite files as the style says
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup ## mypy, strict
	$(BIN)/mypy

bench: setup ## side by side with other programs: CPU per request and latency, into docs/performance.md
	bench/setup.sh
	$(BIN)/python bench/run.py all --write

bench-live: setup ## deliveries per second and CPU per delivery over WebSockets
	$(BIN)/python bench/live.py

soak: setup ## minutes of load with faults: memory, tasks and connections must stay level; thousands of requests and frames made up
	SOAK=100000 $(BIN)/python -m pytest -q tests/soak tests/spec/test_no_request_makes_a_5xx.py tests/spec/test_frames_of_every_sort.py

docs: setup ## write the generated pages anew
	$(BIN)/merganser schema > config/merganser.schema.json
	$(BIN)/python -m app.catalog.reference > docs/catalog.md

screenshots: setup ## the console and the docs as pictures, into docs/images; needs chromium
	$(BIN)/python -m tests.browser.screenshots

lock: setup ## resolve the dependencies anew, with hashes
	$(COMPILE) --upgrade --extra demo --extra otel --extra build -o requirements.lock
	$(COMPILE) --all-extras -c requirements.lock -o requirements-dev.lock

image: ## the container image
	docker build -t merganser .

clean: ## remove what was made
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache var
