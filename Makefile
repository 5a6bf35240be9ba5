# Every chore of the project; `make` alone lists them.
.DEFAULT_GOAL := help
PY := .venv/bin/python
export UV_SYSTEM_CERTS = 1

.PHONY: help setup env temporal judges demo lint types imports test test-e2e test-vcsim test-long crash chaos mutants footprint bench

help: ## list the chores
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.venv/.stamp: pyproject.toml uv.lock
	@test -x .venv/bin/python || python3 -m venv .venv >&2
	@test -x .venv/bin/uv || .venv/bin/python -m pip install --quiet uv >&2
	@.venv/bin/uv sync --locked --quiet >&2
	@touch $@

env: .venv/.stamp ## the Python environment, from the lock

setup: env ## environment and Temporal server; says where things are
	@$(PY) -m starter.temporal_cli

# Built or downloaded once, before anything that has a time limit asks for it; what is missing is told by whoever needs it.
temporal: env
	-@$(PY) -m starter.temporal_cli >/dev/null

# What the tests judge with, in the same way.
judges: env
	-@$(PY) -m starter.go_tools vcsim versitygw
	-@.venv/bin/uv sync --locked --inexact --quiet --group judges >&2
	-@$(PY) -m tests.time_skipping

demo: env ## one migration, end to end, with a worker killed on the way
	@.venv/bin/ferry demo $(ARGS)

lint: env ## ruff
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

types: env ## mypy --strict
	@.venv/bin/mypy

imports: env ## who may enter which room
	@.venv/bin/lint-imports

test: env lint types imports temporal judges ## all of CI
	@command -v qemu-img >/dev/null || echo "make test: qemu-img is missing (Debian: qemu-utils): tests that need it say so" >&2
	@$(PY) -m pytest -m "not long" -n 4 --dist loadfile --no-loadscope-reorder

test-e2e: env temporal judges ## the by-hand run, judged by qemu-img
	@$(PY) -m pytest tests/end_to_end

test-vcsim: env ## our client against vcsim, govmomi's simulator (needs Go)
	@$(PY) -m pytest tests/conformance/test_vcsim.py

test-long: env temporal ## what takes long
	@$(PY) -m pytest -m long

crash: env temporal ## workers killed at seeded random moments; ARGS="--runs N --seed S"
	@$(PY) -m tests.crash $(ARGS)

chaos: env temporal ## every fault at every activity; ARGS="--runs N --seed S", "--only SEED", "--results FILE.md"
	@$(PY) -m tests.chaos $(ARGS)

mutants: env temporal ## one break per safety rule, each of which its test must catch; ARGS="--rule N"
	@$(PY) -m tests.mutants $(ARGS)

footprint: env temporal ## memory, events and seconds of a 1.9 TiB disk, as JSON
	@$(PY) -m tests.benchmarks.footprint $(ARGS)

bench: env temporal ## every transport beside a person's tools, and what a fleet costs; ARGS="-o json", "--path nfs", "--path fleet", "--results FILE"
	@$(PY) -m tests.benchmarks.datapath $(ARGS)
