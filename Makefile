# Every command a person needs, one line each; `make` alone prints them.
.DEFAULT_GOAL := help
PYTHON ?= python3
PROFILE ?= default
ENGINE ?= auto
RESULTS ?= results
OUTPUT ?= report
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/repromatrix

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

matrix: $(VENV)/.installed ## run the matrix and write report/index.html  (PROFILE= ENGINE= ARGS=)
	@$(RUN) matrix --profile $(PROFILE) --engine $(ENGINE) --results $(RESULTS) --output $(OUTPUT) $(ARGS)

plan: $(VENV)/.installed ## print every cell  (PROFILE=)
	@$(RUN) plan --profile $(PROFILE) $(ARGS)

report: $(VENV)/.installed ## write the report again from the records
	@$(RUN) report --results $(RESULTS) --output $(OUTPUT) $(ARGS)

verify: $(VENV)/.installed ## hold the report against the records, by other code and to the byte
	@$(RUN) verify $(OUTPUT) --results $(RESULTS) $(ARGS)

accept: $(VENV)/.installed ## keep what this run gave as what is expected: accepted.json, to commit
	@$(RUN) accept --results $(RESULTS) $(ARGS)

impact: $(VENV)/.installed ## what changes between two versions  (FROM=torch==2.8.0 TO=torch==2.13.0)
	@$(RUN) impact '$(FROM)' '$(TO)' --engine $(ENGINE) --results $(RESULTS) $(ARGS)

atlas: $(VENV)/.installed ## write docs/atlas from its log  (ARGS="run numpy": what the log does not have)
	@$(BIN)/python scripts/atlas.py $(ARGS)

lock: $(VENV)/.installed ## resolve what matrix.yaml asks for and write the locks
	@$(RUN) lock $(ARGS)

engine: ## install and start a Docker engine (Debian, Ubuntu; as root)
	@sh scripts/engine.sh

base: $(VENV)/.installed ## build the base image from the distribution's packages (no registry needed)
	@command -v mmdebstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends mmdebstrap; }
	@$(RUN) base --profile $(PROFILE) $(ARGS)

doctor: $(VENV)/.installed ## what works on this machine, what does not, what to type
	@$(RUN) doctor

test: $(VENV)/.dev ## unit, contract, property and end-to-end tests (Docker tests where an engine answers)
	@$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.dev ## ruff, mypy, the workflows' schema check and security audit, the documentation
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --schemafile runner/repromatrix/schemas/matrix.json matrix.yaml examples/matrix.yaml
	@$(BIN)/check-jsonschema --schemafile runner/repromatrix/schemas/workload.json workloads/*/workload.yaml examples/*/workload.yaml
	@$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/zizmor --offline --quiet .github action.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-actions action.yml
	@$(MAKE) --no-print-directory docs

bench: $(VENV)/.dev ## measure the numbers that the README quotes  (ENGINE=process|docker)
	@$(BIN)/python bench/bench.py $(ARGS) --engine $(ENGINE)

evaluate: $(VENV)/.dev ## put faults into runs and count those that the explainer names: docs/evaluation.md  (ARGS=)
	@$(BIN)/python -m bench.faults $(ARGS)

docs: $(VENV)/.dev ## the documentation as a site: build/docs/index.html  (ARGS=)
	@$(BIN)/sphinx-build -E -W --keep-going --quiet $(ARGS) -b html docs build/docs

torture: $(VENV)/.dev ## kill commands, fill disks, damage files, count what must not come of it: docs/reliability.md  (ARGS=)
	@$(BIN)/python -m bench.torture $(ARGS)

clean: ## remove what this checkout made; the cache of wheels and environments stays
	@rm -rf $(VENV) results report build dist .mypy_cache .ruff_cache .pytest_cache *.egg-info

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) scripts/setup.py $(VENV) $@

$(VENV)/.dev: $(VENV)/.installed
	@$(PYTHON) scripts/setup.py $(VENV) $@ dev

.PHONY: help matrix plan report verify accept impact atlas lock engine base doctor test lint bench evaluate torture docs clean
