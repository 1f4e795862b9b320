# Everything runs in .venv, made on first use from constraints.txt (the tested set).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo dashboard test lint types docs benchmarks mutation audit clean

help: ## Show what can be done
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/base ## Answer a real question: fine-tune, RAG, SaaS or nothing for a support desk?
	@$(BIN)/tuneroi compare examples/support-assistant.yaml

dashboard: $(VENV)/base ## Open the what-if dashboard
	@$(BIN)/tuneroi dashboard

test: $(VENV)/dev lint types ## Check style and types, then run every test
	@$(BIN)/python -m pytest -n auto

lint: $(VENV)/dev ## Check style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/dev ## Check types
	@$(BIN)/mypy

docs: $(VENV)/dev ## Build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

mutation: $(VENV)/dev ## Change formulas and see whether a test notices: FORMULAS='estimator.training.spot*'
	@$(PIP) install mutmut
	@$(BIN)/mutmut run --max-children 1 $(if $(FORMULAS),'$(FORMULAS)')

audit: $(VENV)/base ## Look up known faults of the dependencies (needs the network)
	@$(PIP) install --constraint constraints.txt pip-audit || echo "audit: pip-audit cannot be installed"
	@$(BIN)/python .ci/audit.py $(BIN)/pip-audit -r constraints.txt --no-deps --disable-pip --timeout 5

benchmarks: $(VENV)/dev ## Print speed and accuracy figures
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean: ## Remove the environment and caches
	rm -rf site mutants $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/base: pyproject.toml constraints.txt
	@test -x $(BIN)/python || { echo "Making $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing tuneroi (one or two minutes, once) ..."
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

# torch goes in by itself, at its exact version, so that nothing else chooses another build.
$(VENV)/dev: $(VENV)/base
	@echo "Installing what the tests need (a few minutes, once) ..."
	@$(PIP) install "$$(grep '^torch==' constraints.txt)"
	@$(PIP) install --constraint constraints.txt --editable '.[benchmark,browser,dev,docs]'
	@touch $@
