# Two commands for a newcomer: `make demo` and `make test`. Both set up what they need in .venv, once;
# the set-up is repeated when pyproject.toml or constraints.txt changes.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
CHECKED := onnxopt passes tests models tools

.DEFAULT_GOAL := help
.PHONY: help demo test lint types contract unit format bench clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## */\t/' | expand -t 12

demo: $(VENV)/.for-demo  ## set up, optimise the trained model that ships here, show what was done
	$(BIN)/onnxopt optimize models/digits_cnn.onnx -o out.onnx

test: lint types contract unit  ## set up, then everything below

lint: $(VENV)/.for-test  ## style
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)

types: $(VENV)/.for-test  ## mypy --strict
	$(BIN)/mypy --strict $(CHECKED)

contract: $(VENV)/.for-test  ## which package may import which
	PYTHONPATH=. $(BIN)/lint-imports

unit: $(VENV)/.for-test  ## the tests themselves
	$(BIN)/python -m pytest -n $(WORKERS)

format: $(VENV)/.for-test  ## rewrite the sources in the project's style
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

bench: $(VENV)/.for-test  ## measure against other tools; takes long
	$(BIN)/python tools/bench.py compile

clean:  ## remove what the commands above made
	rm -rf $(VENV) build dist *.egg-info out.onnx out.onnx.data .cache
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.for-demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing onnxopt[cpu] into $(VENV) ..."
	@$(PIP) --editable '.[cpu]'
	@touch $@

$(VENV)/.for-test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing onnxopt[cpu,torch,bench,dev] into $(VENV); the first time takes minutes ..."
	@$(PIP) --editable '.[cpu,torch,bench,dev]'
	@touch $@ $(VENV)/.for-demo
