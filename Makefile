# Two commands on a fresh machine with Python >= 3.11 and make:
#   make demo   sets up and clusters the world's places
#   make test   sets up and runs the tests, without the slow ones
# For developers:
#   make test-slow   what make test leaves out, and all examples of properties
#   make test-all    both
#   make test-fuzz   10,000 new random inputs
#   make docs        builds the site in build/site
#   make package     builds wheel and sdist, and tries them
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Processes that share the tests.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS)

# The tests start many processes, which would each compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow test-all test-fuzz lint docs package clean

demo: $(VENV)/.demo
	$(BIN)/sparse-ap demo --output demo-output

test: $(VENV)/.ready
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/.ready
	$(PYTEST) -m "slow or hypothesis" --hypothesis-profile=ci

test-all:
	$(MAKE) test
	$(MAKE) test-slow

test-fuzz: $(VENV)/.ready
	$(PYTEST) tests/test_fuzz.py --hypothesis-profile=fuzz

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) docs

docs: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

package: $(VENV)/.ready
	tools/check_package.sh $(PYTHON) $(BIN)/python

$(VENV)/.ready: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test,lint,docs]'
	touch $@ $(VENV)/.demo

# The demo alone needs half of that.
$(VENV)/.demo: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[plot]'
	touch $@

clean:
	rm -rf $(VENV) build dist demo-output .pytest_cache .mypy_cache .ruff_cache
