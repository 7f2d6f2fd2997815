# make up      install what is missing and start Cairn on http://127.0.0.1:8000
# make up MODEL=qwen2.5-coder-1.5b   the same with a larger language model, also at later starts
# make test    the quick tests, in minutes; slower ones have their own targets
# make test-slow   tests in a browser, with the real models, and those that start many processes or send thousands of requests
# make test-faults   tests with faults: killed processes, full disks, unavailable servers
# make test-cluster   before a release: a whole cluster with the handbook, interrupted backups, and what .ci/run leaves out
# make test-all   all of these
# make test-postgres   the tests that use the database, on PostgreSQL
# make test-vllm   tests against a real vLLM on the CPU; installs it into .venv-vllm (3 GB)
# make test-phoenix   an answer's trace in a real Phoenix; installs it into .venv-phoenix (1 GB)
# make lint    ruff, mypy, import rules
# make audit-dependencies   look up known vulnerabilities of the installed packages
# make lock    regenerate requirements/ from pyproject.toml: versions and hashes of every package
# make sbom    write the software bill of materials of a server to dist/
# make texts   collect the interface's texts for translation, and compile the translations
# make cluster   run a whole cluster on this machine, to try it out
# make bench   speed and memory, as a table and as JSON
# make bench-ingest   how fast documents become searchable, compared with the bare encoder
# make bench-search   how fast search and answers are, at 100,000 passages and with 50 people at once
# make bench-load   people chatting on two web processes: errors, waiting times, memory
# make evaluate   search, answers and refusals on the evaluation sets; the first run ingests them
# make screenshots   screenshots of every page in screenshots/: light, dark, high contrast, and on a phone
# make bench-scale   the vector index with up to a million passages: filling, search, memory, and a cluster's size
# make bench-pages   page speed as users see it, from the browser's performance entries
# make bench-timing   whether response times reveal hidden documents; needs an idle machine
# make clean   remove .venv and caches; your data in var/ stays

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help up test test-slow test-all test-cluster test-faults test-postgres test-vllm test-phoenix lint texts audit-dependencies lock sbom cluster bench bench-load bench-ingest bench-search bench-scale bench-pages bench-timing evaluate screenshots clean

# Tests start hundreds of processes: each would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
PHOENIX_VERSION := 20.26.1
RUNTIME := .venv/.runtime
DEV := .venv/.dev
# Tests of one file stay in one process: they share its servers. In their order, for the slowest files have few tests and
# would all come last.
PROCESSES ?= 2
SPREAD := --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder

help:
	@sed -n '/^#/!q;s/^# //p' Makefile

up: $(RUNTIME)
	@exec $(BIN)/python manage.py up $(if $(MODEL),--model $(MODEL)) $(ARGS)

test: $(DEV)
	$(BIN)/python -m pytest --quick $(SPREAD) $(ARGS)

test-slow: $(DEV)
	$(BIN)/python -m pytest -m "(slow or models or browser) and not faults and not acceptance" $(SPREAD) $(ARGS)

test-all: $(DEV)
	$(BIN)/python -m pytest $(ARGS)

test-cluster: $(DEV)
	$(BIN)/python -m pytest -m acceptance $(ARGS)

test-faults: $(DEV)
	$(BIN)/python -m pytest -m "faults and not acceptance" $(SPREAD) $(ARGS)

test-postgres: $(DEV)
	$(BIN)/python -m tests.on_postgres $(SPREAD) $(ARGS)

test-vllm: $(DEV) .venv-vllm/.made
	$(BIN)/python -m tests.vllm.run .venv-vllm $(ARGS)

test-phoenix: $(DEV) .venv-phoenix/.$(PHOENIX_VERSION)
	$(BIN)/python -m pytest -v tests/web/api/test_phoenix.py $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if [ -e platform/__init__.py ]; then \
		echo "platform/__init__.py would hide the standard library's platform module: delete it." >&2; exit 1; fi

texts: $(DEV)
	$(BIN)/python -m tests.translations

lock: $(DEV)
	$(BIN)/python .ci/lock.py

sbom: $(DEV)
	$(BIN)/python .ci/sbom.py dist/cairn-$$($(BIN)/python -c 'from importlib.metadata import version; print(version("cairn"))').cdx.json

audit-dependencies: $(DEV)
	$(BIN)/python .ci/vulnerabilities.py

cluster: $(DEV)
	@exec $(BIN)/python -m tests.cluster $(ARGS)

bench: $(DEV)
	$(BIN)/python -m tests.bench $(ARGS)

bench-ingest: $(DEV)
	$(BIN)/python -m tests.bench.ingest $(ARGS)

bench-search: $(DEV)
	$(BIN)/python -m tests.bench.search $(ARGS)

bench-load: $(DEV)
	$(BIN)/python -m tests.bench.load $(ARGS)

bench-scale: $(DEV)
	$(BIN)/python -m tests.bench.scale $(ARGS)

bench-pages: $(DEV)
	$(BIN)/python -m tests.bench.pages $(ARGS)

bench-timing: $(DEV)
	$(BIN)/python -m tests.bench.timing $(ARGS)

evaluate: $(DEV)
	$(BIN)/python -m tests.evaluation $(ARGS)

screenshots: $(DEV)
	$(BIN)/python -m tests.tour.screenshots $(ARGS)

clean:
	rm -rf .venv .venv-vllm .venv-phoenix build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

.venv: $(RUNTIME)

# The stamps make a second run free; a changed lock file, pyproject.toml or installer installs again.
$(RUNTIME): pyproject.toml requirements/runtime.txt .ci/install.py .ci/locked.py
	@$(PYTHON) .ci/install.py .venv runtime
	@touch $@

$(DEV): $(RUNTIME) requirements/development.txt
	@$(PYTHON) .ci/install.py .venv development
	@touch $@

.venv-vllm/.made: tests/vllm/environment.py
	$(PYTHON) tests/vllm/environment.py .venv-vllm
	@touch $@

.venv-phoenix/.$(PHOENIX_VERSION):
	$(PYTHON) -m venv .venv-phoenix
	.venv-phoenix/bin/pip install --quiet --progress-bar off arize-phoenix==$(PHOENIX_VERSION)
	@touch $@
