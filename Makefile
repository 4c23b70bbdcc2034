# The only door to everything: `make` lists what there is. Works with GNU make 3.81 (macOS) and newer.
VENV ?= .venv
BIN := $(VENV)/bin
export VENV
# A machine may be told to keep no bytecode; then each of the hundreds of processes that start here would compile all libraries again.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help setup ready demo demo-full test check bench soak kafka reference lock clean

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: ## make .venv from the lock, with the command .venv/bin/bus (PYTHON=… chooses the interpreter)
	@deploy/python/setup.sh

ready:
	@QUIET=1 deploy/python/setup.sh

demo: ready ## the whole bus on this machine with a made-up regency, until Ctrl-C (DATA=folder: one agency's real exports)
	@$(BIN)/bus demo $(if $(DATA),--data "$(DATA)") $(ARGS)

demo-full: ready ## the same with the agencies' systems in PostgreSQL and MariaDB, and sensors at a Mosquitto
	@$(BIN)/bus demo --full $(ARGS)

test: check ## everything that must hold: check, then all tests (small campaigns)
	@$(BIN)/python -m pytest -n auto $(ARGS)

check: ready ## formatting, lint, types, import rules and the bus's own rules
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bus check

bench: ready ## our worker against naive Faust and bare getmany on real Kafka, state, webhooks, alerts, commit to pixels, 1,000 subscribers; writes build/bench.json
	@$(BIN)/python -m tests.bench $(ARGS)
	@$(BIN)/python -m tests.bench.state
	@$(BIN)/python -m tests.bench.webhook
	@$(BIN)/python -m tests.bench.alerts --kafka
	@$(BIN)/python -m tests.bench.pixels
	@$(BIN)/python -m tests.bench.crowd

soak: ready ## the crash and fault campaigns in full size (several hours on two cores; SIMPUL_SEED=n: the first seed, SIMPUL_SEEDS=n: n times as many)
	@SIMPUL_SOAK=1 $(BIN)/python -m pytest -m soak --timeout=7200 $(ARGS)

kafka: ready ## start one real Apache Kafka node on this machine, until Ctrl-C (Java and Maven)
	@$(BIN)/bus kafka $(ARGS)

reference: ready ## write deploy/reference.md from the code
	@$(BIN)/python -m bus.testing.reference

lock: ready ## choose versions anew and write requirements.lock and its inventory of wheels (ARGS=--upgrade)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python deploy/python/lock.py $(ARGS)

clean: ## remove what was made here: environment, caches, build/ and var/
	rm -rf .venv build var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
