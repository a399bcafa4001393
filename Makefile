.DEFAULT_GOAL := help
PYTHON ?= .venv/bin/python

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

install:  ## a virtual environment with everything for development
	python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt -e '.[cpu,dev]'

format:  ## rewrite the code in the project's format
	$(PYTHON) -m ruff check --fix . && $(PYTHON) -m ruff format .

lint:  ## lint and format check
	$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check .

fast:  ## the fast tests
	$(PYTHON) -m pytest -m 'not slow'

test:  ## all tests
	$(PYTHON) -m pytest

demo:  ## both experiments on phantoms
	.venv/bin/lesiongan demo

wheel:  ## build the wheel
	$(PYTHON) -m build --wheel

.PHONY: help install format lint fast test demo wheel
