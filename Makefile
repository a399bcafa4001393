.DEFAULT_GOAL := help
PYTHON ?= .venv/bin/python
BIN = $(patsubst ./%,%,$(dir $(PYTHON)))

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

install:  ## a virtual environment with everything for development
	python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt -e '.[cpu,dev]'

format:  ## rewrite the code in the project's format
	$(PYTHON) -m ruff check --fix . && $(PYTHON) -m ruff format .

lint:  ## lint, format check, contracts on imports, types
	$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check .
	$(MAKE) --no-print-directory imports types

imports:  ## check which room imports which
	$(BIN)lint-imports

types:  ## check the types
	$(PYTHON) -m mypy

rooms:  ## count the rooms and the imports between them
	$(PYTHON) -m benchmarks.rooms

fast:  ## the fast tests
	$(PYTHON) -m pytest -m 'not slow and not long'

long:  ## the tests that are too long for every change: further variants, whole runs that are killed
	$(PYTHON) -m pytest -m long

test:  ## the tests, but for the long ones
	$(PYTHON) -m pytest

coverage:  ## the same, and which lines they run: a third slower
	$(PYTHON) -m pytest --cov

demo:  ## both experiments on phantoms
	.venv/bin/lesiongan demo

golden:  ## write the presets anew as the tests expect them
	$(PYTHON) tests/pipelines/golden_presets.py

notebook:  ## run docs/python.ipynb and store its outputs
	$(PYTHON) tests/docs/run_notebook.py

docs:  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

wheel:  ## build the wheel
	$(PYTHON) -m build --wheel

# One image for all steps; `docker` may be podman or buildah. pip.conf and a certificate authority of your own are handed in
# as secrets: make image PIP_CONF=~/.config/pip/pip.conf CA=/etc/ssl/certs/ca-certificates.crt
BUILDER ?= docker
BASE ?= python:3.12-slim
TARGET ?= cpu
IMAGE ?= lesiongan
comma = ,
SECRETS = $(if $(PIP_CONF),--secret id=pip.conf$(comma)src=$(PIP_CONF)) $(if $(CA),--secret id=ca.crt$(comma)src=$(CA))
TAGS = $(eval TAGS := $$(shell $$(PYTHON) -m components.tags))$(TAGS)

image:  ## build the image: make image IMAGE=registry.example.org/lesiongan TARGET=cpu|gpu
	$(BUILDER) build $(BUILD_OPTIONS) --target $(TARGET) --build-arg BASE=$(BASE) $(SECRETS) -t $(IMAGE):$(firstword $(TAGS)) .
	for tag in $(wordlist 2,99,$(TAGS)); do $(BUILDER) tag $(IMAGE):$(firstword $(TAGS)) $(IMAGE):$$tag || exit 1; done

push: image  ## the same, and push it under the tags that compiled pipelines ask for
	for tag in $(TAGS); do $(BUILDER) push $(IMAGE):$$tag || exit 1; done

containers:  ## build the image, run both pipelines in it (podman), and compare with this machine
	$(PYTHON) -m benchmarks.containers --kill --base $(BASE) $(if $(PIP_CONF),--pip-conf $(PIP_CONF)) $(if $(CA),--ca $(CA))

.PHONY: help install format lint imports types rooms fast long test coverage demo golden notebook docs wheel image push containers
