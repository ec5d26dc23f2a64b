# The interface to everything here; `make` alone lists it.
# Variables: STACK=dev, BENCH=name, NAME=container, PYTHON=python3, TESTS=path, BERTH_ENGINE=embedded|cli.

STACK ?= dev
BENCH ?=
NAME ?=
TESTS ?=
PYTHON ?= python3

.DEFAULT_GOAL := help
SHELL := /bin/sh
export STACK

# Written by set-up: PATH with .venv first, where the passphrase is, where Docker listens.
RUN = . ./.berth/env &&
SETUP = $(PYTHON) -m bootstrap --stack "$(STACK)"
# `preview` writes the block that it read here, `up` applies that block and no other.
PIN = $(CURDIR)/.berth/$(STACK).pin
CHECKS = $(SETUP) checks && ruff check . && ruff format --check . && mypy && (cd web && npm run --silent lint)
# tests/conftest.py says which tests stay with one worker.
PYTEST = pytest -n 2
COMPILE = CUSTOM_COMPILE_COMMAND="make requirements" .venv/bin/pip-compile --quiet --generate-hashes --strip-extras \
	--allow-unsafe --annotation-style=line --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host $(UPGRADE)

.PHONY: help setup up preview refresh down clean demo test test-long bench policy lint format logs requirements contracts docs

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Find or install what is needed (Docker, .venv, Node packages, engine, base image); no deployment
	@$(SETUP)

up: setup ## Set up, deploy the stack and repair what was changed by hand; applies the block that `make preview` pinned
	@$(RUN) BERTH_PIN_FILE="$(PIN)" pulumi up --yes --skip-preview --refresh --stack "$(STACK)"
	@rm -f "$(PIN)"
	@$(RUN) $(PYTHON) -m bootstrap closing --stack "$(STACK)"

preview: setup ## Show what `make up` would change, token by token, and pin that block
	@rm -f "$(PIN)"
	@$(RUN) BERTH_PIN_FILE="$(PIN)" pulumi preview --refresh --diff --stack "$(STACK)"

refresh: setup ## Read what is really there into the state (the next `make up` repairs the difference)
	@$(RUN) pulumi refresh --yes --skip-preview --stack "$(STACK)"

down: ## Destroy what `make up` made; volumes, images and the base image stay
	@if [ -f .berth/env ]; then \
	  $(SETUP) && $(RUN) pulumi destroy --yes --skip-preview --stack "$(STACK)"; \
	else echo "nothing is set up here, so there is nothing to take down"; fi
	@rm -f "$(PIN)"

clean: ## As `down`, then remove the stack's volumes, images and state (found by label and name alone)
	@$(MAKE) --no-print-directory down || echo "the engine could not destroy the stack; removing what bears its label"
	@$(PYTHON) -m bootstrap clean --stack "$(STACK)"
	@rm -f "$(PIN)"

demo: setup ## Tell the whole story with real clients: mint, connect, sell, shut out (needs `make up`)
	@$(RUN) python -m demo

test: setup ## Lint, types and every test, the real deployment included
	@$(RUN) $(CHECKS)
	@$(RUN) $(PYTEST) -m "not slow" $(TESTS)

test-long: setup ## As `test`, with what is marked slow (soaks and fault campaigns)
	@$(RUN) $(CHECKS)
	@$(RUN) $(PYTEST) $(TESTS)

bench: setup ## Run the benchmarks, or the one named by BENCH=
	@$(RUN) python -m bench $(BENCH)

policy: setup ## Preview the stack against the rules in policies/
	@$(RUN) pulumi preview --stack "$(STACK)" --policy-pack policies

lint: setup ## Style, format, types, and what holds for the tree (arrows between packages, addresses, docs)
	@$(RUN) $(CHECKS)
	@$(RUN) pytest -q tests/architecture

format: setup ## Put the code into its format and mend what the linter can mend
	@$(RUN) ruff check --fix . ; ruff format .

logs: setup ## The last lines of each container of the stack, or of the one named by NAME=
	@$(RUN) found=$$(docker ps -a --filter "label=berth.stack" --filter "name=berth-$(STACK)-$(NAME)" \
	  --format '{{.Names}}' | sort); [ -n "$$found" ] || echo "no container is named berth-$(STACK)-$(NAME)..."; \
	  for c in $$found; do echo "== $$c"; docker logs --tail 50 "$$c" 2>&1; done

requirements: setup ## Recompile the pinned requirements (UPGRADE=--upgrade for newer versions)
	@$(COMPILE) -o requirements/dev.txt requirements/dev.in
	@$(COMPILE) -o requirements/services.txt requirements/services.in

contracts: setup ## Compile the contracts into contracts/artifacts
	@$(RUN) cd contracts && npm run --silent compile

docs: setup ## Write docs/settings.md from the settings' model
	@$(RUN) python docs/generate_settings.py
