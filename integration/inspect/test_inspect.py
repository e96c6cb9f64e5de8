"""`vtbench export RUN --format inspect`: Inspect reads the logs, and its viewer shows them."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log
from PIL import Image
from playwright.sync_api import Page, expect

from conftest import FAILS
from vtbench.cli import status
from vtbench.runs.reader import read_answers
from vtbench_export.inspect_samples import to_score


@pytest.fixture(scope="module")
def log(logs: Path) -> EvalLog:
    (found,) = list_eval_logs(str(logs))
    assert found.task == "relational"
    return read_eval_log(found, resolve_attachments=True)


def test_the_log_is_whole(log: EvalLog, run: Path) -> None:
    assert log.status == "success"
    assert log.eval.model == "vtbench/halting"
    assert log.eval.task_version == 1
    assert log.eval.metadata is not None
    assert log.eval.metadata["digest"] == json.loads((run / "run.json").read_text())["digest"]
    assert log.eval.metadata["task"]["seed"] == 0
    assert log.samples is not None
    assert [sample.id for sample in log.samples] == [f"relational/test/0/{index}" for index in range(8)]
    assert log.results is not None
    assert (log.results.total_samples, log.results.completed_samples) == (8, 7)


def test_scores_have_their_intervals(log: EvalLog, run: Path) -> None:
    stored = json.loads((run / "results.json").read_text())["scores"]["relational"]
    assert log.results is not None
    found = {name: metric for each in log.results.scores for name, metric in each.metrics.items()}
    valued = {name for name, score in stored.items() if score["value"] is not None}
    assert {name for name in found if not name.endswith("_stderr")} == valued
    for name, score in stored.items():
        if score["value"] is not None:
            assert found[name].value == score["value"]
            assert found[name].metadata is not None
            assert found[name].metadata["interval"] == score["interval"]
            assert found[name].metadata["n"] == score["n"]
    assert found["acc_stderr"].value == stored["acc"]["stderr"]


def test_a_sample_is_what_the_model_was_asked_and_said(log: EvalLog, run: Path) -> None:
    assert log.samples is not None
    for sample, record in zip(log.samples, read_answers(run)["relational"], strict=True):
        assert sample.choices == list(record.choices)
        assert sample.target == record.target
        (message,) = sample.input
        image, text = message.content
        assert text.text == record.prompt
        kind, _, coded = image.image.partition(";base64,")
        assert kind.startswith("data:image/")
        assert Image.open(io.BytesIO(base64.b64decode(coded))).size[0] > 0
        if record.error is None:
            assert sample.output.completion == record.output == "left"
            assert sample.output.usage is not None
            assert (sample.output.usage.input_tokens, sample.output.usage.output_tokens) == (70, 2)
            assert sample.scores is not None
            assert sample.scores["accuracy"].value == ("C" if record.scores["accuracy"]["correct"] else "I")
            assert sample.scores["accuracy"].answer == record.scores["accuracy"]["answer"]
    stops = [sample.output.stop_reason for sample in log.samples if sample.output.choices]
    assert stops == ["stop", "max_tokens", *["stop"] * 5]


def test_a_failed_sample_has_its_error_and_no_score(log: EvalLog) -> None:
    assert log.samples is not None
    failed = log.samples[FAILS]
    assert failed.error is not None
    assert "no power" in failed.error.message
    assert not failed.scores
    assert all(sample.error is None for sample in log.samples if sample is not failed)


def test_an_observation_without_a_verdict_is_its_numbers() -> None:
    assert to_score({}) is None
    assert to_score({"answer": "left", "correct": 1}).value == "C"  # type: ignore[union-attr]
    assert to_score({"correct": 0.25}).value == 0.25  # type: ignore[union-attr]
    score = to_score({"tuples": 3, "parsed": 1, "missed": ["cup"]})
    assert score is not None
    assert score.value == {"tuples": 3, "parsed": 1}
    assert score.metadata == {"tuples": 3, "parsed": 1, "missed": ["cup"]}


def test_the_same_run_gives_the_same_log(run: Path, logs: Path, tmp_path: Path) -> None:
    assert status(["export", str(run), "--format", "inspect", "--output", str(tmp_path / "again")]) == 0
    one, two = (read_eval_log(str(path / "relational.eval")).model_dump_json(exclude={"location", "etag"})
                for path in (logs, tmp_path / "again"))  # fmt: skip
    assert one == two


def test_the_viewer_shows_the_samples(page: Page, site: str) -> None:
    page.goto(f"{site}#/logs/relational.eval")
    expect(page.get_by_text("vtbench/halting").first).to_be_visible()
    expect(page.get_by_text("relational/test/0/7")).to_be_visible()
    page.screenshot(path=shot("log"))


def test_the_viewer_shows_the_image_and_the_answer(page: Page, site: str) -> None:
    page.goto(f"{site}#/logs/relational.eval/samples/sample/relational%2Ftest%2F0%2F0/1/messages")
    image = page.locator("img[src^='data:image/']").first
    expect(image).to_be_visible()
    assert image.evaluate("image => image.naturalWidth") > 0
    page.screenshot(path=shot("sample"))


def test_the_viewer_shows_the_error(page: Page, site: str) -> None:
    page.goto(f"{site}#/logs/relational.eval/samples/sample/relational%2Ftest%2F0%2F{FAILS}/1/messages")
    page.get_by_role("tab", name="Error").click()
    expect(page.get_by_text("no power").first).to_be_visible()
    page.screenshot(path=shot("error"))


def shot(name: str) -> Path:
    """Return where a screenshot goes."""
    folder = Path(__file__).parents[2] / "build/inspect-view"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"
