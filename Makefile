# The front door. `make demo` sells one card for real on this machine; `make test` proves everything.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
RUN := .venv/bin/python
export PYTHONDONTWRITEBYTECODE := 1

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

demo: .ready ## start everything, sell one card for real, leave it running
	@$(RUN) -m engine demo

up: .ready ## start the engine and the simulated provider, deploy, stock the demo product
	@$(RUN) -m engine up

down: .ready ## stop what `up` started; everything is kept
	@$(RUN) -m engine down

operator-token: .ready ## print a one-hour operator token (STACK=name for a stack on AWS)
	@$(RUN) -m engine operator-token $(if $(STACK),--stack $(STACK))

# A module each at a time, in the order that tests/conftest.py gives them. Three at a time take as long on two cores.
test: .ready tests/oracles/node_modules/.ready tests/browser/node_modules/.ready ## everything, from nothing, beside a running `make up`
	@$(RUN) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

screens: .ready tests/browser/node_modules/.ready ## docs/screens anew: the pages as their tests see them
	@rm -f docs/screens/*
	@SCREENS=docs/screens $(RUN) -m pytest -q tests/browser/test_every_page.py

flash-sale: .ready ## 2,000 buyers at once for 500 cards, five times, on the engine and on DynamoDB Local
	@FLASH_SALE="2000 500 5" $(RUN) -m pytest -q -s tests/contention/test_flash_sale.py -k "hardly or plenty"

bench: .ready benchmarks/lighthouse/node_modules/.ready ## the figures: speed, cost per order, growth; compared with benchmarks/baseline.json (ARGS="--only cost")
	@$(RUN) -m benchmarks $(ARGS)

simulate: .ready ## what the shop would do on AWS at scale: a model against AWS's documented limits, a minute
	@$(RUN) -m benchmarks.simulation

faults: .ready ## every crash, repeat and race of every flow, ≈ 30 minutes (CASE=pay:crash-after:14 for one, ARGS="--flow pay")
	@$(RUN) -m faults $(if $(CASE),--case $(CASE)) $(ARGS)

iam: .ready ## take each right from each role in turn and show that its function's own flow fails, ≈ 7 minutes
	@$(RUN) -m pytest -q -s tests/iam $(ARGS)

check: .ready ## ruff, mypy --strict, tsc, sam validate --lint, cfn-lint
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@$(RUN) -c "from engine.pages import build; build()"
	@.venv/bin/cfn-lint template.yaml
	@SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 PATH="$$PWD/.venv/bin:$$PATH" .venv/bin/sam validate --lint

RUNTIME ?= python3.13
ARCHITECTURE ?= x86_64
SNAPSTART ?= off
deploy: export PATH := $(CURDIR)/.venv/bin:$(PATH)
deploy: export LAYER_PYTHON = $(patsubst python%,%,$(RUNTIME))
deploy: export LAYER_PLATFORM = manylinux2014_$(patsubst arm64,aarch64,$(ARCHITECTURE))
deploy: .ready ## deploy to AWS with your own credentials (RUNTIME=python3.13 ARCHITECTURE=x86_64|arm64 SNAPSTART=off|on PARAMETERS="AlarmEmail=…")
	$(if $(filter-out on off,$(SNAPSTART)),$(error SNAPSTART is on or off, not $(SNAPSTART)))
	$(if $(filter on-python3.11,$(SNAPSTART)-$(RUNTIME)),$(error SnapStart needs RUNTIME=python3.12 or newer))
	sam build --parameter-overrides Runtime=$(RUNTIME) Architecture=$(ARCHITECTURE)
	$(if $(filter on,$(SNAPSTART)),$(RUN) -m engine snapstart)
	sam deploy --config-env prod --parameter-overrides Runtime=$(RUNTIME) Architecture=$(ARCHITECTURE) $(PARAMETERS)
	$(RUN) -m engine pages --stack cardshop-prod

lock: .ready ## resolve the pinned requirements anew
	@for each in requirements layers/dependencies/requirements layers/cryptography/requirements layers/validation/requirements engine/requirements; do \
	  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-strip-extras --no-annotate --no-header $$each.in --output-file $$each.txt \
	    $$([[ $$each == layers/* ]] && echo --constraints requirements.txt \
	      --no-emit-package botocore --no-emit-package jmespath --no-emit-package python-dateutil --no-emit-package six --no-emit-package urllib3); \
	done

.ready: .venv/.ready .engine-venv/.ready

.venv/.ready: requirements.txt
	@./engine/preflight.sh $(PYTHON)
	@echo "making the environment .venv (a minute)"
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

.engine-venv/.ready: engine/requirements.txt
	@echo "making the engine's environment .engine-venv"
	@$(PYTHON) -m venv --clear .engine-venv
	@.engine-venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

tests/%/node_modules/.ready: tests/%/package-lock.json
	@echo "installing what tests/$* asks for a judgement: official SDKs, axe, a reader of QR codes"
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer" >&2; exit 1; }
	@cd tests/$* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

benchmarks/lighthouse/node_modules/.ready: benchmarks/lighthouse/package-lock.json
	@echo "installing Lighthouse, which says how good the pages are"
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer" >&2; exit 1; }
	@cd $(<D) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: help demo up down operator-token test screens flash-sale bench simulate iam check deploy lock .ready
