# `make demo` and `make test` work on a fresh clone with Python 3.11 or newer; later runs do not reinstall.
PYTHON ?= python3
BIN := .venv/bin
STORE ?= sqlite:///robustness.db

.PHONY: demo serve test test-fast lint check system-packages clean

demo: .venv/installed
	$(BIN)/robustness run studies/quickstart.toml --store $(STORE) --report report.html

serve: .venv/installed
	$(BIN)/robustness serve --store $(STORE)

# What needs a library of the system (PostgreSQL, Chromium) skips without it, except under CI=true. Three at a time
# keep two processors busy. A file's tests stay together, so that what they share is made once. Under CI=true the same
# run measures coverage, and holds it to the floors of pyproject.toml.
PYTEST := $(BIN)/python -m pytest --dist loadscope --no-loadscope-reorder
test: .venv/installed-test
	$(PYTEST) -n $(or $(JOBS),3) $(if $(filter true,$(CI)),--cov --cov-report=)
	$(if $(filter true,$(CI)),$(BIN)/python -m tests.coverage_floors)

# The inner loop: no Ray, no browser, no database server; of TESTS, where given.
test-fast: .venv/installed-test
	$(PYTEST) -n $(or $(JOBS),2) -q -m "not (slow or cluster or browser or postgres)" $(TESTS)

lint: .venv/installed-lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: test lint

# Debian's packages for the tests that would otherwise skip; as root.
system-packages:
	@missing=""; for p in chromium postgresql-15 dataset-fashion-mnist fonts-liberation texlive-latex-recommended shellcheck; do \
	  dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing; fi

.venv/python:
	$(PYTHON) -m venv .venv
	@touch $@

# One pip call, so that torch and torchvision are resolved together.
.venv/installed: pyproject.toml | .venv/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/installed-test: pyproject.toml | .venv/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ .venv/installed

.venv/installed-lint: pyproject.toml | .venv/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	@touch $@ .venv/installed .venv/installed-test

clean:
	rm -rf .venv build *.egg-info report.html
