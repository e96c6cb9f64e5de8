"""Exports read by the tools that they are for: lm-eval, lmms-eval, datasets, webdataset, mlcroissant.

The harnesses' own commands, on the shipped checkpoint and the same items, must give the answers and the scores of
`vtbench run`. Every command is printed with its seconds (`pytest -s`). Every tool is told that there is no network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_llava import WEIGHTS

ALLOWED = 0.01
"""Fraction of answers that may differ: another batch composition changes the last digits of a near tie."""
SAMPLES = {"relational": 200, "all": 12}
"""Number of samples per task; few of all four, as a scene graph is a long answer."""
METRICS = "accuracy,rank_accuracy,pair_accuracy,scene_graph"
BIN = Path(sys.executable).parent
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
COMMANDS = {
    "lm-eval": (
        *("lm_eval", "--model", "hf-multimodal", "--model_args", f"pretrained={WEIGHTS},dtype=float32"),
        *("--device", "cpu", "--batch_size", "16", "--apply_chat_template", "--log_samples"),
    ),
    # lmms-eval 0.7.3's `huggingface` passes `audios=[]`, which transformers 5 refuses; `llava_hf` takes single items
    "lmms-eval": (
        *("lmms-eval", "--model", "llava_hf", "--batch_size", "1", "--log_samples", "--model_args"),
        f"pretrained={WEIGHTS},device=cpu,device_map=cpu,dtype=float32",
    ),
}
Records = dict[tuple[str, int], dict[str, Any]]

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def call(home: Path) -> Callable[..., str]:
    """Return a function that runs a command of this environment, in an empty home, and returns what it printed."""

    def call(*words: object) -> str:
        program, began = [BIN / str(words[0]), *map(str, words[1:])], time.perf_counter()
        environment = os.environ | OFFLINE | {"HF_HOME": str(home / "hf")}
        done = subprocess.run(program, env=environment, cwd=home, capture_output=True, text=True, check=False)
        print(f"\n{time.perf_counter() - began:7.1f} s  {' '.join(map(str, words))}")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


@pytest.fixture(scope="module")
def ours(call: Callable[..., str], home: Path) -> dict[str, tuple[Records, dict[str, Any]]]:
    """Return what `vtbench run` answers and scores, for each of `SAMPLES`."""
    found = {}
    for tasks, limit in SAMPLES.items():
        words = ("--tasks", tasks, "--limit", limit, "--metrics", METRICS, "--output", home / "runs", "--json")
        document = json.loads(call("vtbench", "run", "--model", "llava", *words))
        lines = (Path(document["run"]) / "samples.jsonl").read_text().splitlines()
        records = {(record["task"], record["index"]): record for record in map(json.loads, lines)}
        found[tasks] = records, document["results"]
    return found


def theirs(directory: Path) -> tuple[dict[tuple[str, int], str], dict[str, Any]]:
    """Return the answers and scores that a harness wrote."""
    answers = {}
    for path in directory.rglob("*samples_vtb_*.jsonl"):
        task = path.stem.partition("samples_vtb_")[2].partition("_20")[0]
        for line in map(json.loads, path.read_text().splitlines()):
            answer = line["resps"]
            while isinstance(answer, list):
                (answer,) = answer
            answers[task, line["doc_id"]] = answer
    (results,) = directory.rglob("*results*.json")
    return answers, json.loads(results.read_text())["results"]


def different(records: Records, answers: dict[tuple[str, int], str]) -> Iterator[str]:
    """Yield a line for every answer that differs from `vtbench run`, with the margin of the likeliest choice."""
    assert answers.keys() == records.keys()
    for key, answer in answers.items():
        record = records[key]
        if answer.strip() != record["output"].strip():
            first, second, *_ = sorted(record["logprobs"] or (0, float("nan")), reverse=True)
            tie = f"the two likeliest choices are {first - second:.3g} nats apart"
            yield f"{record['id']}: {answer!r}, vtbench {record['output']!r}; {tie}"


@pytest.mark.parametrize("tasks", SAMPLES)
@pytest.mark.parametrize("harness", COMMANDS)
def test_a_harness_gives_the_answers_and_scores_of_vtbench(harness, tasks, ours, call, home):
    directory, output = home / f"{harness}-{tasks}", home / f"{harness}-{tasks}-out"
    export = ("--format", harness, "--tasks", tasks, "--limit", SAMPLES[tasks], "--output", directory)
    print(call("vtbench", "export", *export).strip())
    names = ("--tasks", f"vtb_{tasks}", "--include_path", directory, "--output_path", output)
    print(call(*COMMANDS[harness], *names))
    (records, our_scores), (answers, their_scores) = ours[tasks], theirs(output)
    differing = list(different(records, answers))
    print(f"{len(differing)} of {len(records)} answers differ", *differing, sep="\n")
    assert len(differing) <= ALLOWED * len(records)
    compared = 0
    for task in {task for task, _ in records}:
        scores = {name: value for name, value in their_scores[f"vtb_{task}"].items() if name in our_scores[task]}
        for name in (name for name, value in scores.items() if name != "alias" and "_stderr" not in name):
            near = 1e-9 if not differing else 2 * len(differing) / len(records)
            assert scores[name] == pytest.approx(our_scores[task][name], abs=near), (task, name)
            compared += 1
    assert compared == {"relational": 2, "all": 11}[tasks]
    share, asked = their_scores["vtb_relational"], SAMPLES[tasks]
    independent = (share["acc,none"] * (1 - share["acc,none"]) / (asked - 1)) ** 0.5
    assert share["acc_stderr,none"] == pytest.approx(independent, rel=1e-6)


@pytest.fixture(scope="module")
def parquet(call: Callable[..., str], home: Path) -> Path:
    """Return an export of all families as a dataset."""
    call("vtbench", "export", "--format", "parquet", "--tasks", "all", "--limit", 5, "--output", home / "parquet")
    return home / "parquet"


def test_datasets_reads_every_task(parquet, home):
    import datasets

    for name in ("attribute", "coarse", "relational", "scene_graph"):
        rows = datasets.load_dataset(str(parquet), name, split="test", cache_dir=str(home / "cache"))
        assert isinstance(rows.features["image"], datasets.Image)
        task = load_task(find_task_files()[name])
        for row, sample in zip(rows, (task.sample(index, 112) for index in range(5)), strict=True):
            assert row["image"].tobytes() == sample.images[0].tobytes()
            assert (row["id"], row["prompt"], tuple(row["choices"])) == (sample.id, sample.prompt, sample.choices)
    files = str(parquet / "coarse" / "*.parquet")
    assert len(datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(home / "cache"))) == 5


def test_croissant_reads_every_task(parquet):
    import mlcroissant

    dataset = mlcroissant.Dataset(parquet / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    for name in ("attribute", "coarse", "relational", "scene_graph"):
        task = load_task(find_task_files()[name])
        records = list(dataset.records(name))
        assert len(records) == 5
        for index, record in enumerate(records):
            assert record[f"{name}/image"].tobytes() == task.sample(index, 112).images[0].tobytes()
            assert record[f"{name}/target"].decode() == task.sample(index).target


def test_webdataset_reads_its_shards(call, home):
    import webdataset

    export = ("--format", "webdataset", "--tasks", "relational", "--limit", 20, "--output", home / "webdataset")
    call("vtbench", "export", *export)
    shard = str(home / "webdataset" / "relational" / "000000.tar")
    task = load_task(find_task_files()["relational"])
    samples = list(webdataset.WebDataset(shard, shardshuffle=False).decode("pil"))
    assert len(samples) == 20
    for index, sample in enumerate(samples):
        assert sample["png"].tobytes() == task.sample(index, 112).images[0].tobytes()
        assert sample["json"]["prompt"] == task.sample(index).prompt
