"""Tasks of lm-eval and lmms-eval as tasks of vtbench: the same questions, answers and scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from import_fakes import COLOURS, load, registry, write_config, write_lmms_config
from PIL import Image

from vtbench.cli import status
from vtbench.engine.loop import run
from vtbench.errors import ResultsError, TaskError, VtbenchError
from vtbench_analysis import compare


def go(path: Path, source: str = "lm-eval", **fields: Any) -> Any:
    given: dict[str, Any] = {"model": "painter", "tasks": [f"{source}:{path}"], "output": str(path.parent / "out")}
    return run(registry=registry(), **{**given, **fields})


def values(result: Any) -> dict[str, float | None]:
    return {name: score.value for name, score in result.scores["squares"].items()}


def test_a_sample_is_the_question_of_the_harness(tmp_path: Path) -> None:
    path = write_config(tmp_path, description="Look closely.", doc_to_choice="options", metadata={"version": 2.0})
    task = load(path)
    assert (task.name, task.version, task.split, len(task), task.max_new_tokens) == ("squares", 2, "test", 4, 256)
    sample = task.sample(2)
    assert sample.prompt == "Look closely.\n\nWhich colour is square 2?"
    assert (sample.target, sample.choices, sample.id) == ("blue", tuple(COLOURS), "squares/test/2")
    assert sample.images[0].getpixel((0, 0)) == COLOURS["blue"]


def test_lmms_eval_has_its_own_keys_and_defaults(tmp_path: Path) -> None:
    task = load(write_lmms_config(tmp_path), "lmms")
    assert task.max_new_tokens == 1024
    assert task.sample(0).prompt == "Which colour is square 0?"
    with pytest.raises(TaskError, match=r"squares.yaml, line \d+: doc_to_image: lmms-eval has no such key.*doc_to_"):
        load(write_config(tmp_path), "lmms")


@pytest.mark.parametrize(
    ("settings", "score"),
    [
        ({}, 0.0),
        ({"ignore_case": True}, 0.0),
        ({"ignore_case": True, "ignore_punctuation": True}, 1.0),
        ({"ignore_case": True, "regexes_to_ignore": [r"\."]}, 1.0),
    ],
)
def test_exact_match_compares_texts_under_its_settings(settings: dict[str, Any], score: float, tmp_path: Path) -> None:
    metric = {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True, **settings}
    found = values(go(write_config(tmp_path, metric_list=[metric])))
    assert found == {"exact_match": score, "acc": 0.0}  # `acc` has no choices to find in the long answer


def test_an_answer_ends_at_the_stop_string_of_the_task(tmp_path: Path) -> None:
    metric = {"metric": "exact_match", "ignore_case": True, "ignore_punctuation": True}
    found = go(write_config(tmp_path, metric_list=[metric], generation_kwargs={"until": ["!"], "max_gen_toks": 9}))
    assert values(found)["exact_match"] == 0.0
    assert found.document["configs"]["squares"]["keys"]["generation_kwargs"]["max_gen_toks"] == 9


def test_any_of_several_correct_answers_matches(tmp_path: Path) -> None:
    metric = {"metric": "exact_match", "ignore_case": True, "ignore_punctuation": True}
    result = go(write_config(tmp_path, doc_to_target="other", metric_list=[metric]))
    assert values(result) == {"exact_match": 1.0}


@pytest.mark.parametrize("target", ["label", "{{label}}", "answer", "{{answer}}"])
def test_a_choice_is_given_by_text_or_index(target: str, tmp_path: Path) -> None:
    sample = load(write_config(tmp_path, doc_to_target=target, doc_to_choice="{{options}}")).sample(1)
    assert (sample.target, sample.choices) == ("green", tuple(COLOURS))


def test_multiple_choice_is_ranked(tmp_path: Path) -> None:
    path = write_config(tmp_path, output_type="multiple_choice", doc_to_choice="options", doc_to_target="label")
    assert values(go(path)) == {"rank_acc": 1.0, "rank_acc_norm": 1.0, "acc_norm": 1.0}


def test_an_included_file_gives_the_missing_keys(tmp_path: Path) -> None:
    write_config(tmp_path, "_base_yaml")
    path = tmp_path / "own.yaml"
    path.write_text("include: _base_yaml\ntask: own\ndoc_to_text: '{{question}} Say one word.'\n")
    task = load(path)
    assert task.name == "own"
    assert task.sample(0).prompt == "Which colour is square 0? Say one word."
    path.write_text("include: _base_yaml\ntask: own\nnum_fewshot: 5\n")
    with pytest.raises(TaskError, match=r"own.yaml, line 3: num_fewshot: must be 0"):
        load(path)
    (tmp_path / "_base_yaml").write_text("filter_list: [1]\n")
    with pytest.raises(TaskError, match=r"_base_yaml, line 1: filter_list: answers are scored as they are"):
        load(path)


def test_a_run_is_reported_and_resumed_only_with_the_same_task(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    first = go(path, limit=3)
    facts = json.loads((first.path / "run.json").read_text())
    assert facts["tasks"]["squares"]["file"] == f"lm-eval:{path}"
    assert (first.path / "report.html").read_text().count("data:image/png") >= 3
    assert go(path, limit=3, resume=True).path == first.path
    path.write_text(path.read_text().replace("{{question}}", "{{question}} Now."))
    with pytest.raises(ResultsError, match=r"differs in tasks.squares.keys.doc_to_text"):
        go(path, limit=3, resume=True)


def test_runs_of_an_imported_task_are_compared(tmp_path: Path) -> None:
    metric = {"metric": "exact_match", "ignore_case": True, "ignore_punctuation": True}
    path = write_config(tmp_path, doc_to_target="other", metric_list=[metric])
    right, wrong = go(path), go(path, model="echo", model_args={"text": "red"})
    table = compare([right.path, wrong.path]).tables["squares"]
    line = next(line for line in table.rows if line.metric == "exact_match")
    assert (line.score, [value.value for value in line.values]) == ("exact_match", [1.0, 0.25])


def test_the_formats_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["ls", "formats"], registry()) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["lm-eval", "lmms"]


def test_validate_shows_the_first_question(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["validate", f"lm-eval:{write_config(tmp_path)}"], registry()) == 0
    assert "first question: Which colour is square 0?\nfirst answer:   red" in capsys.readouterr().out


def test_an_unknown_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(VtbenchError, match=r"nothing here reads tasks of the format 'lmm'\. Did you mean 'lmms'"):
        run(model="painter", tasks=["lmm:x.yaml"], registry=registry(), output=str(tmp_path))


def test_a_broken_image_is_a_failed_sample(tmp_path: Path) -> None:
    rows = [{"image": "ok.png", "q": "What?", "a": "it"}, {"image": "gone.png", "q": "What?", "a": "it"}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    Image.new("RGB", (8, 8)).save(tmp_path / "ok.png")
    data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "rows.json"}}}
    result = go(write_config(tmp_path, **data, doc_to_text="q", doc_to_target="a"), max_failed=0.5)
    assert result.document["failed"]["squares"] == 1
    assert "cannot read the image gone.png" in (result.path / "samples.jsonl").read_text()
