"""Models of lmms-eval in vtbench, and vtbench's in lm-eval and lmms-eval, the real ones, on the same 200 items."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import vtbench
from conftest import ITEMS, PIXELS
from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench.runs.results import RunResult
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task

ALLOWED = 0.01
"""Fraction of answers that may differ."""


def outputs(result: RunResult) -> list[str]:
    return [json.loads(line)["output"] for line in (result.path / "samples.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> RunResult:
    """A run of `--model llava`, with RS as a harness measures it: without scenes, the first third gives the basis."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vtbench_redundancy.metrics.basis_task.shows_scenes", lambda task: False)
        return vtbench.run(
            model="llava", tasks=["relational"], limit=ITEMS, metrics=["accuracy", "redundancy"],
            output=str(tmp_path_factory.mktemp("ours")), report=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def rs(ours) -> dict[str, float]:
    """RS and its interval in that run."""
    row = next(row for row in ours.rows() if row["score"] == "rs")
    return {"rs": row["value"], "rs_low": row["low"], "rs_high": row["high"]}


def check_same(answers: list[str], reference: list[str], name: str, why: str) -> None:
    """Print what differs, and fail where it is more than is allowed."""
    differ = [i for i, pair in enumerate(zip(answers, reference, strict=True)) if pair[0] != pair[1]]
    print(f"\n{name}: {len(differ)} of {len(reference)} answers differ from llava's")
    for i in differ:
        print(f"  item {i}: {answers[i]!r}, llava {reference[i]!r} ({why})")
    assert len(differ) <= ALLOWED * len(reference)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"model": "huggingface"}, "it computes in bfloat16, always"),
        ({"model": "huggingface", "batch_size": 8}, "it computes in bfloat16, always"),
        ({"model": "llava_hf", "dtype": "float32"}, "not known"),
    ],
    ids=["huggingface", "huggingface, batches", "llava_hf"],
)
def test_lmms_answers_as_llava_does(ours, checkpoint, tmp_path, arguments, why):
    result = vtbench.run(
        model="lmms", model_args={**arguments, "pretrained": checkpoint}, tasks=["relational"], limit=ITEMS,
        metrics=["accuracy"], output=str(tmp_path), report=False, prompt_format="plain",
    )  # fmt: skip
    check_same(outputs(result), outputs(ours), f"lmms {arguments}", why)
    assert result.document["failed"] == {"relational": 0}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"model": "hugginface"}, "lmms-eval has no model 'hugginface'. Did you mean 'huggingface'?"),
        ({"model": "huggingface", "pretrained": "/no/such"}, "pretrained: /no/such is not a directory"),
        ({"model": "huggingface", "pretrained": "."}, "lmms-eval's 'huggingface' cannot be loaded: "),
        (
            {"model": "huggingface", "pretrained": "no-such/model"},
            "lmms-eval's 'huggingface' cannot be loaded: OSError",
        ),
        ({"model": "huggingface", "pretrained": ".", "other": 1}, "Unexpected kwargs: {'other': 1}"),
    ],
)
def test_what_lmms_cannot_load_says_why(arguments, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VtbenchError) as caught:
        Registry().adapter("lmms", arguments, "cpu")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    print(f"\n{caught.value}")


def results_of(output: Path) -> dict:
    return json.loads(next(output.rglob("*results*.json")).read_text())


def samples_of(output: Path) -> list[str]:
    """Return the answers that a harness wrote; only one of the two packs each into a list."""
    lines = [json.loads(line) for line in next(output.rglob("*samples*.jsonl")).read_text().splitlines()]
    answers = [line["filtered_resps"] for line in sorted(lines, key=lambda line: line["doc_id"])]
    return [text if isinstance(text, str) else text[0] for text in answers]


def check(output: Path, printed: str, ours: RunResult, rs: dict[str, float], name: str) -> None:
    """Fail where a harness's own table, files or answers are not those of `vtbench run`."""
    check_same(samples_of(output), outputs(ours), name, "not known")
    scores = results_of(output)["results"]["vtb_tiny"]
    accuracy = next(row["value"] for row in ours.rows() if row["score"] == "acc")
    assert scores["acc,none"] == pytest.approx(accuracy)
    for key, value in rs.items():
        assert scores[f"{key},none"] == pytest.approx(value), key
    assert re.search(r"redundancy of the visual tokens · vtb_tiny", printed)
    assert re.search(r"\|\s*rs\s*\|", printed), "a row of the harness's own table"
    print(f"{name}: acc {scores['acc,none']:.3f}, " + ", ".join(f"{k} {scores[f'{k},none']:.3f}" for k in rs))


def test_vtbench_in_lmms_eval(ours, rs, local_tasks, run, tmp_path):
    printed = run(
        "lmms-eval", "--model", "vtbench", "--model_args", f"adapter=llava,redundancy_path={tmp_path}/rs.json",
        "--tasks", "vtb_tiny", "--include_path", str(local_tasks / "lmms-eval"), "--batch_size", "auto",
        "--output_path", str(tmp_path / "out"), "--log_samples",
    )  # fmt: skip
    check(tmp_path / "out", printed, ours, rs, "lmms-eval --model vtbench")
    assert json.loads((tmp_path / "rs.json").read_text())["vtb_tiny"]["scores"]["rs"]["value"] == pytest.approx(
        rs["rs"]
    )


def test_vtbench_in_lm_eval(ours, rs, local_tasks, run, tmp_path):
    printed = run(
        "python", "-m", "vtbench_harness.lm_eval", "run", "--model", "vtbench", "--model_args", "adapter=llava",
        "--tasks", "vtb_tiny", "--include_path", str(local_tasks / "lm-eval"), "--batch_size", "auto",
        "--apply_chat_template", "--output_path", str(tmp_path), "--log_samples",
    )  # fmt: skip
    check(tmp_path, printed, ours, rs, "lm-eval, model vtbench")
    config = results_of(tmp_path)["config"]
    assert config["vtbench_model"]["checkpoint"] == "embedded"
    assert config["vtbench_redundancy"]["vtb_tiny"]["scores"]["rs"]["value"] == pytest.approx(rs["rs"])


def test_lm_evals_own_command_takes_a_task_by_its_file(local_tasks, run, tmp_path):
    """The task's functions import vtbench_harness, which registers the model before lm-eval looks for it."""
    printed = run(
        "lm_eval", "run", "--model", "vtbench", "--model_args", "adapter=llava", "--limit", "4",
        "--tasks", str(local_tasks / "lm-eval" / "vtb_tiny.yaml"), "--output_path", str(tmp_path),
    )  # fmt: skip
    assert re.search(r"\|vtb_tiny\s*\|", printed)


def test_other_models_get_no_rs_from_the_same_tasks(checkpoint, local_tasks, run, tmp_path):
    few = ("--tasks", "vtb_tiny", "--limit", "4")
    run(
        "lmms-eval", "--model", "dummy", *few, "--include_path", str(local_tasks / "lmms-eval"),
        "--output_path", str(tmp_path / "lmms"),
    )  # fmt: skip
    run(
        "lm_eval", "--model", "hf-multimodal", "--model_args", f"pretrained={checkpoint}", "--device", "cpu", *few,
        "--apply_chat_template", "--include_path", str(local_tasks / "lm-eval"), "--output_path", str(tmp_path / "lm"),
    )  # fmt: skip
    for output in (tmp_path / "lmms", tmp_path / "lm"):
        names = {key.partition(",")[0] for key in results_of(output)["results"]["vtb_tiny"]}
        assert "acc" in names
        assert not names & {"rs", "rs_low", "rs_high"}


def test_an_error_in_lm_eval_is_one_line(local_tasks, run):
    words = ["python", "-m", "vtbench_harness.lm_eval", "run", "--model", "vtbench", "--tasks", "vtb_tiny"]
    words += ["--include_path", str(local_tasks / "lm-eval"), "--limit", "4"]
    assert "vtbench: unknown model 'lava'. Did you mean 'llava'" in run(
        *words, "--model_args", "adapter=lava", status=1
    )
    assert "vtbench: vtbench adapters answer greedily" in run(*words, "--gen_kwargs", "do_sample=true", status=1)


def test_the_items_are_those_of_the_task(local_tasks):
    from datasets import load_dataset

    data = load_dataset("parquet", data_files=str(local_tasks / "data.parquet"), split="train")
    task = load_task(find_task_files()["relational"])
    for index in (0, ITEMS - 1):
        assert data[index]["image"].tobytes() == task.sample(index, PIXELS).images[0].tobytes()
