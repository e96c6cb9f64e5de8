"""Fixtures of the harness suite: the shipped checkpoint, and 200 items of `relational` as a task of each harness.

The task is a Parquet file with images, a module of functions, and one YAML file for lm-eval and for lmms-eval.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_llava import WEIGHTS

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is first imported: the tests run in two processes
ITEMS = 200
PIXELS = 112
"""Side of the images that the shipped checkpoint takes."""

FUNCTIONS = """
from vtbench_harness.hooks import with_redundancy

def images(doc):
    return [doc["image"].convert("RGB")]

def score(doc, results):
    answer = results[0].strip().lower().rstrip(".")
    return with_redundancy({"acc": float(answer == doc["target"].lower())}, doc)
"""
COMMON = """
task: vtb_tiny
dataset_path: parquet
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_target: target
process_results: !function functions.score
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: rs, aggregation: !function vtbench_harness.hooks.rs, higher_is_better: false}
  - {metric: rs_low, aggregation: !function vtbench_harness.hooks.rs_low, higher_is_better: false}
  - {metric: rs_high, aggregation: !function vtbench_harness.hooks.rs_high, higher_is_better: false}
metadata: {version: 1}
"""
LM_EVAL = """
doc_to_text: "<image>{{question}}"
doc_to_image: !function functions.images
generation_kwargs: {max_gen_toks: 8, do_sample: false, until: []}
"""
LMMS_EVAL = """
doc_to_text: question
doc_to_visual: !function functions.images
generation_kwargs: {max_new_tokens: 8, do_sample: false, temperature: 0, until: []}
"""


@pytest.fixture(scope="session", autouse=True)
def no_network() -> None:
    """Nothing here may ask a hub."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


@pytest.fixture(scope="session")
def checkpoint() -> str:
    """Return the directory of the checkpoint that ships with vtbench."""
    return str(WEIGHTS)


@pytest.fixture(scope="session")
def local_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the first items of `relational` as a task of each harness; return their common directory."""
    from datasets import Dataset

    task = load_task(find_task_files()["relational"])
    samples = [task.sample(index, PIXELS) for index in range(ITEMS)]
    rows = [{"image": s.images[0], "question": s.prompt, "target": s.target, "cluster": s.cluster} for s in samples]
    root = tmp_path_factory.mktemp("tasks")
    Dataset.from_list(rows).to_parquet(root / "data.parquet")
    for harness, own in (("lm-eval", LM_EVAL), ("lmms-eval", LMMS_EVAL)):
        directory = root / harness
        directory.mkdir()
        (directory / "functions.py").write_text(FUNCTIONS)
        (directory / "vtb_tiny.yaml").write_text(COMMON.replace("DATA", str(root / "data.parquet")) + own)
    return root


@pytest.fixture(scope="session")
def run():
    """Return a function that runs a command of this environment and returns its output."""

    def run(*words: str, status: int = 0) -> str:
        program = Path(sys.executable).parent / words[0]
        done = subprocess.run([program, *words[1:]], capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        assert done.returncode == status, output
        return output

    return run
