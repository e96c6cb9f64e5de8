"""The directories for lm-eval and lmms-eval: complete, and without paths of this machine."""

import importlib.util
import re
import sys
from types import SimpleNamespace

import pytest
import yaml
from export_fakes import image_task, registry

from vtbench_export import export
from vtbench_export.errors import ExportError

HARNESSES = ("lm-eval", "lmms-eval")


class Loader(yaml.SafeLoader):
    """Reads `!function vtb.name` as that name."""


Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def read(path):
    return yaml.load(path.read_text(), Loader)


def hooks(directory, monkeypatch):
    """Import the hook module, with a `datasets` that returns its arguments."""
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=lambda *a, **k: (a, k)))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location("vtb", directory / "vtb.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def functions(value):
    if isinstance(value, dict | list):
        return {name for part in (value.values() if isinstance(value, dict) else value) for name in functions(part)}
    return {value.removeprefix("vtb.")} if isinstance(value, str) and value.startswith("vtb.") else set()


@pytest.mark.parametrize("harness", HARNESSES)
def test_a_directory_is_complete(tmp_path, monkeypatch, harness):
    export(["all", "precise_offset"], harness, tmp_path / "out", limit=2, registry=registry())
    directory = (tmp_path / "out").rename(tmp_path / "moved")
    group = read(directory / "vtb_all.yaml")
    assert group["group"] == "vtb_all"
    assert sorted(group["task"]) == [
        f"vtb_{t}" for t in ("attribute", "coarse", "precise_offset", "relational", "scene_graph")
    ]
    module = hooks(directory, monkeypatch)
    for name in group["task"]:
        task = read(directory / f"{name}.yaml")
        assert task["task"] == name
        (files,) = task["dataset_kwargs"]["data_files"].values()
        assert all((directory / file).is_file() for file in files)
        assert functions(task) >= {"process_results"}
        assert all(callable(getattr(module, function)) for function in functions(task))


@pytest.mark.parametrize(("harness", "key"), [("lm-eval", "max_gen_toks"), ("lmms-eval", "max_new_tokens")])
def test_answers_are_greedy_and_as_long_as_the_task_says(tmp_path, harness, key):
    export(["scene_graph"], harness, tmp_path / "out", limit=1, registry=registry())
    asked = read(tmp_path / "out" / "vtb_scene_graph.yaml")["generation_kwargs"]
    assert asked == {key: 72, "do_sample": False, "temperature": 0.0, "until": []}


def test_lm_eval_finds_the_files_beside_the_hooks(tmp_path, monkeypatch):
    export(["coarse"], "lm-eval", tmp_path / "out", limit=1, registry=registry())
    task = read(tmp_path / "out" / "vtb_coarse.yaml")
    monkeypatch.chdir("/")
    _, found = hooks(tmp_path / "out", monkeypatch).dataset(**task["metadata"], **task["dataset_kwargs"])
    assert found == {
        "data_files": {"test": [str(tmp_path / "out" / "data" / "coarse" / "test-00000-of-00001.parquet")]}
    }


def test_all_of_several_images_are_shown(tmp_path, monkeypatch):
    task = image_task(tmp_path, [["red", "blue"]])
    for harness in HARNESSES:
        export([task], harness, tmp_path / harness, registry=registry())
    lm_eval, lmms_eval = (read(tmp_path / harness / "vtb_own.yaml") for harness in HARNESSES)
    assert lm_eval["doc_to_image"] == "images"
    assert lm_eval["metadata"]["image_size"] is None
    assert "'<image>' * (images | length)" in lm_eval["doc_to_text"]
    assert lmms_eval["doc_to_visual"] == "vtb.images"
    assert hooks(tmp_path / "lmms-eval", monkeypatch).images({"images": ["a", "b"]}) == ["a", "b"]


@pytest.mark.parametrize("harness", HARNESSES)
def test_a_task_whose_metrics_need_more_than_answers_is_refused(tmp_path, harness):
    with pytest.raises(ExportError, match=r"'probe'.*\(redundancy\).*--format parquet"):
        export(["probe"], harness, tmp_path / "out", registry=registry())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("harness", HARNESSES)
def test_questions_may_be_put_for_models_that_have_not_seen_the_benchmark(tmp_path, harness):
    import pyarrow.parquet as parquet

    for name in ("plain", "instruct"):
        export("relational", harness, tmp_path / name, limit=4, prompt_format=name)
    plain, instruct = (
        parquet.read_table(next((tmp_path / name).rglob("*.parquet"))).to_pylist() for name in ("plain", "instruct")
    )
    for bare, asked in zip(plain, instruct, strict=True):
        assert asked["prompt"].startswith(bare["prompt"] + " Answer with one of these words: ")
        assert (asked["target"], asked["id"]) == (bare["target"], bare["id"])
    limits = [(tmp_path / name / "vtb_relational.yaml").read_text() for name in ("plain", "instruct")]
    assert [re.findall(r"(?:max_new_tokens|max_gen_toks): (\d+)", text) for text in limits] == [["8"], ["32"]]


def test_letters_are_not_exported(tmp_path):
    with pytest.raises(ExportError, match="'letters' has letters, which no other tool would score"):
        export("relational", "lm-eval", tmp_path / "out", limit=4, prompt_format="letters")
    assert not (tmp_path / "out").exists()


def test_synonyms_are_not_exported(tmp_path):
    task = image_task(tmp_path, [["red"]])
    (tmp_path / "own.yaml").write_text((tmp_path / "own.yaml").read_text() + "synonyms: {red: [rot]}\n")
    with pytest.raises(ExportError, match="'own' has synonyms, which no other tool would score"):
        export([task], "lm-eval", tmp_path / "out", registry=registry())
    assert not (tmp_path / "out").exists()
