"""Code that a task names: refused by its key, run where allowed, and its errors end no run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from import_fakes import COLOURS, load, registry, write_config, write_lmms_config

from vtbench.cli import status
from vtbench.engine.loop import run
from vtbench.errors import TaskError
from vtbench_export import export

UTILS = '''
"""Hooks as tasks have them."""

from pathlib import Path

Path(__file__).with_name("ran").touch()


def doc_to_text(doc, settings=None):
    settings = settings or {"pre_prompt": "", "post_prompt": ""}
    return settings["pre_prompt"] + doc["question"] + settings["post_prompt"]


def doc_to_visual(doc):
    return [doc["image"].convert("RGB")]


def doc_to_target(doc):
    return doc["answer"].upper()


def starts_with(references, predictions, **settings):
    return float(predictions[0].lower().startswith(references[0].lower()))


def process_results(doc, results):
    right = results[0].strip(".").lower() == doc["answer"]
    return {"acc": float(right), "longest": {"length": len(results[0]), "pair": (1, "a")}, "unused": object()}


def longest(items):
    assert all(isinstance(item["pair"], tuple) for item in items)
    return max(item["length"] for item in items)


def fails(*_, **__):
    raise RuntimeError("not today")


def dataset(data_files=None, **metadata):
    return {"test": [{"question": "Q?", "answer": "a", "image": {"bytes": None, "path": "one.png"}}]}
'''


def values(path: Path, source: str = "lm-eval", **fields: Any) -> dict[str, float | None]:
    given: dict[str, Any] = {"model": "painter", "tasks": [f"{source}:{path}"], "output": str(path.parent / "out")}
    result = run(registry=registry(), **{**given, "allow_code": True, **fields})
    return {name: score.value for name, score in result.scores["squares"].items()}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "utils.py").write_text(UTILS)
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"doc_to_text": "!function utils.doc_to_text"}, "doc_to_text"),
        ({"doc_to_image": "!function utils.doc_to_visual"}, "doc_to_image"),
        ({"process_results": "!function utils.process_results"}, "process_results"),
        ({"metric_list": [{"metric": "!function utils.starts_with"}]}, "metric_list.0.metric"),
        ({"metric_list": [{"metric": "exact_match", "aggregation": "!function utils.longest"}]}, "metric_list.0.aggre"),
        ({"custom_dataset": "!function utils.dataset"}, "custom_dataset"),
    ],
)
def test_code_is_refused_by_the_key_that_names_it_and_not_run(changes: dict[str, Any], key: str, home: Path) -> None:
    path = write_config(home, **changes)
    with pytest.raises(TaskError, match=rf"squares.yaml, line \d+: {key}.*: runs .*utils.py; .*--allow-code"):
        load(path)
    assert not (home / "ran").exists()


def test_the_flag_is_on_the_command_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(home, doc_to_text="!function utils.doc_to_text")
    command = ["run", "--model", "painter", "--tasks", f"lm-eval:{path}", "--output", str(home / "out")]
    assert status(command, registry()) == 2
    assert "--allow-code" in capsys.readouterr().err
    assert status([*command, "--allow-code"], registry()) == 0
    assert status(["validate", f"lm-eval:{path}"], registry()) == 2
    assert status(["validate", "--allow-code", f"lm-eval:{path}"], registry()) == 0


def test_doc_to_text_gets_the_prompt_settings(home: Path) -> None:
    path = write_lmms_config(
        home,
        doc_to_text="!function utils.doc_to_text",
        doc_to_visual="!function utils.doc_to_visual",
        doc_to_target="!function utils.doc_to_target",
        lmms_eval_specific_kwargs={"default": {"pre_prompt": "Look. ", "post_prompt": " One word."}},
    )
    sample = load(path, "lmms", allow_code=True).sample(1)
    assert sample.prompt == "Look. Which colour is square 1? One word."
    assert sample.target == "GREEN"
    assert sample.images[0].getpixel((0, 0)) == COLOURS["green"]


def test_a_metric_function(home: Path) -> None:
    path = write_config(home, metric_list=[{"metric": "!function utils.starts_with", "aggregation": "mean"}])
    assert values(path) == {"starts_with": 1.0}


def test_process_results_with_mean_and_custom_aggregation(home: Path) -> None:
    metrics = [
        {"metric": "acc", "aggregation": "mean"},
        {"metric": "longest", "aggregation": "!function utils.longest"},
    ]
    path = write_config(home, process_results="!function utils.process_results", metric_list=metrics)
    assert values(path) == {"acc": 1.0, "longest": 6.0}


def test_code_that_fails_on_an_answer_is_a_failed_sample_and_in_an_aggregation_no_score(home: Path) -> None:
    metrics = [{"metric": "acc", "aggregation": "!function utils.fails"}]
    path = write_config(home, process_results="!function utils.process_results", metric_list=metrics)
    assert values(path) == {"acc": None}
    path = write_config(home, process_results="!function utils.fails", metric_list=metrics)
    result = run(
        registry=registry(), model="painter", tasks=[f"lm-eval:{path}"], output=str(home / "o"), allow_code=True
    )
    assert result.exit_status == 1
    assert "the task's own scoring raised RuntimeError: not today" in (result.path / "samples.jsonl").read_text()


def test_missing_or_failing_code_is_named(home: Path) -> None:
    with pytest.raises(TaskError, match=r"doc_to_text: gone of .*utils.py cannot be loaded: AttributeError"):
        load(write_config(home, doc_to_text="!function utils.gone"), allow_code=True)
    with pytest.raises(TaskError, match=r"doc_to_text: x of module nowhere cannot be loaded: ModuleNotFoundError"):
        load(write_config(home, doc_to_text="!function nowhere.x"), allow_code=True)
    with pytest.raises(
        TaskError, match=r"first row has no valid question: doc_to_text: utils.fails raised RuntimeError: not"
    ):
        load(write_config(home, doc_to_text="!function utils.fails"), allow_code=True)


def test_custom_dataset_makes_the_rows(home: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(home / "one.png")
    path = write_config(home, custom_dataset="!function utils.dataset", dataset_path=None, dataset_kwargs=None)
    task = load(path, allow_code=True)
    assert (len(task), task.sample(0).prompt) == (1, "Q?")


@pytest.mark.parametrize(("format_", "source"), [("lm-eval", "lm-eval"), ("lmms-eval", "lmms")])
def test_an_export_of_vtbench_comes_back(format_: str, source: str, tmp_path: Path) -> None:
    export(["relational"], format_, str(tmp_path / "there"), limit=8, registry=registry())
    back = f"{source}:{tmp_path}/there/vtb_relational.yaml"
    asked: dict[str, Any] = {"model": "echo", "model_args": {"text": "yes"}, "output": str(tmp_path), "report": False}
    metrics = ["accuracy", "pair_accuracy"]
    here = run(registry=registry(), tasks=["relational"], metrics=metrics, limit=8, **asked).scores["relational"]
    there = run(registry=registry(), tasks=[back], allow_code=True, **asked).scores["vtb_relational"]
    assert (there["acc"].value, there["acc"].stderr) == (here["acc"].value, here["acc"].stderr)  # clustered by scene
    assert there["pair_acc"].value == here["pair_acc"].value is not None


def test_changed_code_is_another_run(home: Path) -> None:
    path = write_config(home, doc_to_text="!function utils.doc_to_text")
    before = load(path, allow_code=True).config()["code_sha256"]
    (home / "utils.py").write_text(UTILS.replace('doc["question"]', '"New: " + doc["question"]'))
    task = load(path, allow_code=True)
    assert task.config()["code_sha256"] != before
    assert task.sample(0).prompt.startswith("New: ")
    assert values(path)


def test_a_report_that_is_made_again_runs_no_code(home: Path) -> None:
    path = write_config(home, doc_to_text="!function utils.doc_to_text")
    values(path)
    (done,) = (home / "out").iterdir()
    assert "data:image/" in (done / "report.html").read_text()
    (home / "ran").unlink()
    (home / "utils.py").write_text(UTILS + "\n")  # would run anew
    for previews in (done / "visual").glob("*.previews"):
        previews.unlink()
    assert status(["report", str(done)], registry()) == 0
    assert "as the task cannot be loaded" in (done / "report.html").read_text()
    assert not (home / "ran").exists()
