"""Code that a task names: refused by the key that names it, run where it may, and never the end of a run."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
from import_fakes import COLOURS, lmms_recipe, loaded, recipe, registry

from vtbench.cli import status
from vtbench.engine.loop import run
from vtbench.errors import TaskError

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
    path = recipe(home, **changes)
    with pytest.raises(TaskError, match=rf"squares.yaml, line \d+: {key}.*: runs .*utils.py; .*--allow-code"):
        loaded(path)
    assert not (home / "ran").exists()


def test_the_flag_is_on_the_command_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe(home, doc_to_text="!function utils.doc_to_text")
    command = ["run", "--model", "painter", "--tasks", f"lm-eval:{path}", "--output", str(home / "out")]
    assert status(command, registry()) == 2
    assert "--allow-code" in capsys.readouterr().err
    assert status([*command, "--allow-code"], registry()) == 0
    assert status(["validate", f"lm-eval:{path}"], registry()) == 2
    assert status(["validate", "--allow-code", f"lm-eval:{path}"], registry()) == 0


def test_questions_by_code_with_the_prompts_around_them(home: Path) -> None:
    path = lmms_recipe(
        home,
        doc_to_text="!function utils.doc_to_text",
        doc_to_visual="!function utils.doc_to_visual",
        doc_to_target="!function utils.doc_to_target",
        lmms_eval_specific_kwargs={"default": {"pre_prompt": "Look. ", "post_prompt": " One word."}},
    )
    sample = loaded(path, "lmms", allow_code=True).sample(1)
    assert sample.prompt == "Look. Which colour is square 1? One word."
    assert sample.target == "GREEN"
    assert sample.images[0].getpixel((0, 0)) == COLOURS["green"]


def test_a_metric_by_code(home: Path) -> None:
    path = recipe(home, metric_list=[{"metric": "!function utils.starts_with", "aggregation": "mean"}])
    assert values(path) == {"starts_with": 1.0}


def test_results_by_code_with_the_mean_and_an_aggregation_of_its_own(home: Path) -> None:
    metrics = [
        {"metric": "acc", "aggregation": "mean"},
        {"metric": "longest", "aggregation": "!function utils.longest"},
    ]
    path = recipe(home, process_results="!function utils.process_results", metric_list=metrics)
    assert values(path) == {"acc": 1.0, "longest": 6.0}


def test_code_that_fails_on_an_answer_is_a_failed_sample_and_in_an_aggregation_no_score(home: Path) -> None:
    metrics = [{"metric": "acc", "aggregation": "!function utils.fails"}]
    path = recipe(home, process_results="!function utils.process_results", metric_list=metrics)
    assert values(path) == {"acc": None}
    path = recipe(home, process_results="!function utils.fails", metric_list=metrics)
    result = run(
        registry=registry(), model="painter", tasks=[f"lm-eval:{path}"], output=str(home / "o"), allow_code=True
    )
    assert result.exit_status == 1
    assert "the task's own scoring raised RuntimeError: not today" in (result.path / "samples.jsonl").read_text()


def test_code_that_is_not_there_or_does_not_load_is_named(home: Path) -> None:
    with pytest.raises(TaskError, match=r"doc_to_text: gone of .*utils.py cannot be loaded: AttributeError"):
        loaded(recipe(home, doc_to_text="!function utils.gone"), allow_code=True)
    with pytest.raises(TaskError, match=r"doc_to_text: x of module nowhere cannot be loaded: ModuleNotFoundError"):
        loaded(recipe(home, doc_to_text="!function nowhere.x"), allow_code=True)
    with pytest.raises(
        TaskError, match=r"first row makes no question: doc_to_text: utils.fails raised RuntimeError: not"
    ):
        loaded(recipe(home, doc_to_text="!function utils.fails"), allow_code=True)


def test_data_by_code(home: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(home / "one.png")
    path = recipe(home, custom_dataset="!function utils.dataset", dataset_path=None, dataset_kwargs=None)
    task = loaded(path, allow_code=True)
    assert (len(task), task.sample(0).prompt) == (1, "Q?")


@pytest.mark.parametrize(("format_", "source"), [("lm-eval", "lm-eval"), ("lmms-eval", "lmms")])
def test_what_vtbench_exports_comes_back(
    format_: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporting = pytest.importorskip("vtbench_export.exporting")
    monkeypatch.setitem(sys.modules, "datasets", types.ModuleType("datasets"))  # lm-eval's own way to the data
    exporting.export(["relational"], format_, str(tmp_path / "there"), limit=8, registry=registry())
    back = f"{source}:{tmp_path}/there/vtb_relational.yaml"
    asked: dict[str, Any] = {"model": "echo", "model_args": {"text": "yes"}, "output": str(tmp_path), "report": False}
    metrics = ["accuracy", "pair_accuracy"]
    here = run(registry=registry(), tasks=["relational"], metrics=metrics, limit=8, **asked).scores["relational"]
    there = run(registry=registry(), tasks=[back], allow_code=True, **asked).scores["vtb_relational"]
    assert (there["acc"].value, there["acc"].stderr) == (here["acc"].value, here["acc"].stderr)  # clustered by scene
    assert there["pair_acc"].value == here["pair_acc"].value is not None


def test_changed_code_is_another_run(home: Path) -> None:
    path = recipe(home, doc_to_text="!function utils.doc_to_text")
    before = loaded(path, allow_code=True).config()["code_sha256"]
    (home / "utils.py").write_text(UTILS.replace('doc["question"]', '"New: " + doc["question"]'))
    task = loaded(path, allow_code=True)
    assert task.config()["code_sha256"] != before
    assert task.sample(0).prompt.startswith("New: ")
    assert values(path)


def test_a_report_that_is_made_again_runs_no_code(home: Path) -> None:
    path = recipe(home, doc_to_text="!function utils.doc_to_text")
    values(path)
    (done,) = (home / "out").iterdir()
    assert "data:image/png" in (done / "report.html").read_text()
    (home / "ran").unlink()
    (home / "utils.py").write_text(UTILS + "\n")  # would run anew
    assert status(["report", str(done)], registry()) == 0
    assert "Without pictures, as the task cannot be loaded" in (done / "report.html").read_text()
    assert not (home / "ran").exists()
