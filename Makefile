# Everything starts here: `make` lists what there is. Each target installs what it needs by itself.
# ARGS passes options on, as in: make demo ARGS="--for 60s"

.DEFAULT_GOAL := help
.PHONY: help setup demo test check verify bench chaos sim lock clean

RUN := .venv/bin/python
RUNTIME := .venv/.runtime
DEVELOPMENT := .venv/.development
BENCHMARKS := .venv/.benchmarks
COMPILE := uv pip compile --quiet --upgrade --generate-hashes --universal \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml

QUICK := $(wildcard tests/unit tests/contract tests/simulation tests/house)
SLOWER := $(wildcard tests/integration tests/web)
CHAOS := $(wildcard tests/chaos)
MODELS := $(wildcard tests/verification)
PYTEST := $(RUN) -m pytest -q $(ARGS)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(DEVELOPMENT) ## Install everything for running and developing into .venv
	@echo "Ready. Run .venv/bin/onefill, or make demo."

demo: $(RUNTIME) ## Show a prod and a dev instance trading on a paper exchange (Ctrl-C ends it)
	@exec $(RUN) -m onefill demo $(ARGS)

test: $(DEVELOPMENT) ## Run all tests, the quick ones first; a failing stage stops
	@scripts/test-tools
	$(if $(QUICK),$(PYTEST) $(QUICK))
	$(if $(SLOWER),$(PYTEST) $(SLOWER))
	$(if $(CHAOS),$(PYTEST) -m 'not long' $(CHAOS))
	$(if $(MODELS),$(PYTEST) $(MODELS))

check: $(DEVELOPMENT) ## Check style, types and the rules of the house
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m pytest -q tests/house

verify: $(DEVELOPMENT) ## Check the models with Spin (needs spin and gcc); ARGS=--quick for less
	@scripts/test-tools
	$(RUN) verification/check.py $(ARGS)

# The failovers are driven by what the chaos tests drive.
bench: $(DEVELOPMENT) $(BENCHMARKS) ## Measure speed, as ratios to pgbench in the same run
	$(RUN) benchmarks $(ARGS)

chaos: $(DEVELOPMENT) ## Kill, stop and cut off instances, and count orders afterwards
	ONEFILL_CHAOS_ORDERS=$${ONEFILL_CHAOS_ORDERS:-2000} ONEFILL_CHAOS_BREAKS=$${ONEFILL_CHAOS_BREAKS:-300} $(PYTEST) $(CHAOS)

sim: $(DEVELOPMENT) ## Run 10,000 simulated worlds full of faults (ARGS="--seed 8142 --trace": one)
	$(RUN) -m onefill simulate $(or $(ARGS),--seeds 10000)

lock: ## Pin the newest versions of all dependencies, with hashes (needs uv)
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) --group bench --constraint requirements.lock --output-file requirements-bench.lock

clean: ## Remove .venv and all caches (not the data)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): requirements.lock scripts/install
	@scripts/install requirements.lock
	@touch $@

$(DEVELOPMENT): requirements-dev.lock scripts/install
	@scripts/install requirements-dev.lock
	@touch $(RUNTIME) $@

$(BENCHMARKS): requirements-bench.lock scripts/install
	@scripts/install requirements-bench.lock
	@touch $(RUNTIME) $@
