# `make run` and `make test` work on a fresh machine with Python 3.11 and make: they create .venv themselves.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
YARDSTICK := .venv-yardstick
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: run test yardstick lint format schema clean

run: $(VENV)/run.stamp
	$(BIN)/vtbench run --model llava --tasks relational

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2

# Our mutual information and that of others on known truths, in an environment of its own (docs/yardstick.md).
yardstick: $(YARDSTICK)/stamp
	$(YARDSTICK)/bin/python -m pytest integration/yardstick

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The JSON schema of task files, for editors; a test says when it is out of date.
schema: $(VENV)/run.stamp
	$(BIN)/vtbench validate --schema > docs/task.schema.json

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable '.[hf]'
	touch $@

$(VENV)/dev.stamp: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable '.[dev]'
	touch $@ $(VENV)/run.stamp

$(YARDSTICK)/stamp: integration/yardstick/requirements.txt
	$(PYTHON) -m venv --clear $(YARDSTICK)
	$(YARDSTICK)/bin/python -m pip install --quiet --requirement integration/yardstick/requirements.txt
	$(YARDSTICK)/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) $(YARDSTICK) build dist .pytest_cache .mypy_cache .ruff_cache
