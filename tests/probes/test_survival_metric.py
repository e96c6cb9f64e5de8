"""The probes in a run: a model whose tokens say shape and colour and no more, and what the run leaves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from probe_fakes import BOXES, Plugin, SceneModel

import vtbench
import vtbench_probes
from vtbench.errors import SampleError, VtbenchError
from vtbench.metric import Batch, VisualMetric
from vtbench.registry import Registry
from vtbench.runs.reader import read_records
from vtbench.scoring import plugin as scoring
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Output, Record, VisualTokens
from vtbench_probes import attention_probe
from vtbench_probes.cues import CUES
from vtbench_probes.report import token_space
from vtbench_probes.retention_table import STAGES, retention_matrix
from vtbench_probes.survival_metric import CuesMetric
from vtbench_redundancy.features.common_grid import Grid

RUN = {"model": "scenes", "tasks": ["attribute"], "metrics": ["accuracy", "cues"]}


@pytest.fixture(scope="module")
def fakes() -> Plugin:
    return Plugin()


def registry(fakes: Plugin) -> Registry:
    return Registry({"fakes": fakes, "probes": vtbench_probes, "scoring": scoring})


@pytest.fixture(scope="module")
def result(fakes: Plugin, tmp_path_factory: pytest.TempPathFactory):
    output = str(tmp_path_factory.mktemp("runs"))
    with pytest.MonkeyPatch.context() as patch:
        # Of six initialisations two are enough here; integration/truth finds what is there with all of them.
        patch.setattr(attention_probe, "STARTS", 2)
        return vtbench.run(**RUN, limit=200, output=output, report=False, registry=registry(fakes))


@pytest.fixture(scope="module")
def rows(result) -> dict[tuple[str, str, str, str], dict]:
    found = retention_matrix(json.loads((result.path / "results.json").read_text()))
    return {(row["cue"], row["stage"], row["probe"], row["control"]): row for row in found}


def test_registers_without_importing_what_it_wraps() -> None:
    factory = vtbench_probes.vtbench_metrics()["cues"]
    assert factory.__doc__
    assert isinstance(factory(), VisualMetric)


def test_finds_what_the_tokens_say_and_not_what_they_are_silent_of(result) -> None:
    scores = result.scores["attribute"]
    for cue in ("shape", "colour"):
        assert scores[f"cue_{cue}"].interval[0] > 0.6, cue
    for cue in ("texture", "background"):
        low, high = scores[f"cue_{cue}"].interval
        assert low <= scores[f"cue_{cue}"].chance <= high, cue
    assert {name.removeprefix("cue_") for name in scores if name != "acc"} == set(CUES)
    assert scores["cue_occlusion"].value is None
    assert scores["cue_occlusion"].flags == ("not_in_scenes",)


def test_a_stage_that_says_nothing_is_at_chance(rows) -> None:
    for cue in ("shape", "colour", "texture"):
        deaf = rows[cue, "decoder_50", "attention", ""]
        assert deaf["low"] <= deaf["chance"] <= deaf["high"]
        assert abs(deaf["retention"]) < 0.15


def test_the_matrix_holds_every_stage_probe_and_control(rows) -> None:
    stages = {stage for cue, stage, _, _ in rows if cue == "colour"}
    assert stages == {"pixels", "untrained", "connector", "decoder_50", "answer"} <= set(STAGES)
    controls = {(probe, control) for cue, stage, probe, control in rows if cue == "colour" and stage == "connector"}
    assert controls == {(probe, control) for probe in ("linear", "attention") for control in ("", "shuffled", "grey")}
    for (cue, stage, _, control), row in rows.items():
        if stage != "answer":
            assert row["retention"] == pytest.approx((row["accuracy"] - row["chance"]) / (1 - row["chance"]), abs=1e-3)
        if control == "shuffled" and cue in ("shape", "colour"):
            assert row["accuracy"] < row["chance"] + 0.12
    assert rows["background", "pixels", "linear", ""]["accuracy"] > 0.9
    assert rows["count", "connector", "linear", ""]["low"] > rows["count", "connector", "linear", ""]["chance"]
    assert rows["binding", "answer", "", ""]["retention"] == 1
    assert ("position", "answer", "", "") not in rows


def test_the_score_carries_its_retention_by_stage(result, rows) -> None:
    detail = result.scores["attribute"]["cue_colour"].detail
    there = rows["colour", "connector", "attention", ""]
    assert detail["retention"]["connector"] == pytest.approx(there["retention"], abs=1e-4)
    assert set(detail["retention"]) == {"pixels", "untrained", "connector", "decoder_50"}
    assert (detail["told"], detail["reference"], len(detail["labels"])) == ("place", 1.0, 8)


def test_a_run_that_goes_on_asks_no_model_again(fakes: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_probe, "STEPS", 5)  # equal is equal, however well the probes are trained
    once = vtbench.run(**RUN, limit=110, output=str(tmp_path), report=False, registry=registry(fakes))
    again = vtbench.run(config=once.config, resume=True, registry=registry(fakes))
    assert again.path == once.path
    assert fakes.model.asked == 0
    assert again.scores == once.scores
    assert once.scores["attribute"]["cue_colour"].value is not None


def test_observations_are_small(result) -> None:
    (record, *_) = read_records(result.path, "attribute")
    arrays = {key: value for key, value in record.scores["cues"].items() if isinstance(value, np.ndarray)}
    assert {array.dtype for key, array in arrays.items() if key.startswith("tokens/")} == {np.dtype(np.float16)}
    assert sum(array.nbytes for array in arrays.values()) <= 4 * 64 * 24 * 2 + 64


def token_contents(layers: dict[str, np.ndarray], n: int) -> Batch:
    made = load_task(find_task_files()["attribute"])
    visual = {layer: VisualTokens(layer, x, BOXES) for layer, x in layers.items()}
    return Batch([made.sample(i, 32) for i in range(n)], [Output()] * n, visual)


def test_broken_tokens_fail_their_sample_and_not_the_basis() -> None:
    x = np.random.default_rng(0).standard_normal((6, 64, 5)).astype(np.float32)
    x[2, 3, 1] = np.nan
    metric = CuesMetric()
    metric.partial_fit(token_contents({"connector": x}, 6))
    metric.load_state(metric.state())
    with pytest.raises(SampleError, match=r"attribute/test/0/2 at connector are NaN"):
        metric.observe(token_contents({"connector": x}, 6))
    with pytest.raises(SampleError, match="9 visual tokens at connector where the first samples had 64"):
        metric.observe(token_contents({"connector": x[:2, :9]}, 2))
    x[:] = np.inf
    metric = CuesMetric()
    metric.partial_fit(token_contents({"connector": x}, 6))
    with pytest.raises(VtbenchError, match="finite"):
        metric.state()


def test_images_without_a_scene_have_no_cues_and_no_crash() -> None:
    x = np.random.default_rng(0).standard_normal((6, 64, 5)).astype(np.float32)
    batch = token_contents({"connector": x}, 6)
    own = replace(batch, samples=[replace(sample, scene=None) for sample in batch.samples])
    metric = CuesMetric()
    metric.partial_fit(own)
    metric.load_state(metric.state())
    records = [Record("mine", s.id, s.index, s.prompt, s.target) for s in own.samples]
    scores = metric.compute(records, metric.observe(own))
    assert {(score.value, score.flags) for score in scores.values()} == {(None, ("not_in_scenes",))}


def test_its_numbers_do_not_depend_on_the_batch() -> None:
    made = load_task(find_task_files()["attribute"])
    samples = [made.sample(i, 32) for i in range(9)]
    (visual,) = SceneModel().visual_tokens(samples, ["connector"])
    metric = CuesMetric()
    whole = Batch(samples, [Output()] * 9, {"connector": visual})
    metric.partial_fit(whole)
    metric.load_state(metric.state())
    one = VisualTokens("connector", visual.tokens[4:5], BOXES)
    (alone,) = metric.observe(Batch(samples[4:5], [Output()], {"connector": one}))
    together = metric.observe(whole)[4]
    for key, value in together.items():
        assert np.array_equal(alone[key], value) if isinstance(value, np.ndarray) else alone[key] == value


def test_the_report_shows_the_token_space_with_its_numbers(result, fakes: Plugin) -> None:
    page = token_space(result.path)
    assert page.count('data-chart="scatter"') == 2
    assert "In the embedding space: silhouette" in page
    assert "token space" in registry(fakes).report_sections()


def test_a_run_without_probes_has_no_token_space(fakes: Plugin, tmp_path: Path) -> None:
    plain = {**RUN, "metrics": ["accuracy"]}
    run = vtbench.run(**plain, limit=4, output=str(tmp_path), report=False, registry=registry(fakes))
    assert token_space(run.path) is None


def in_two_sizes(n: int, placed: bool = True, every: int = 2) -> list[Batch]:
    """Images with a token a cell; every so many, the first among them, with four tokens a cell that say the same."""
    model, task, found = SceneModel(), load_task(find_task_files()["attribute"]), list[Batch]()
    for i in range(n):
        sample = task.sample(i, 32)
        (visual, *_) = model.visual_tokens([sample], ["connector"])
        if i % every == 0:
            cells = visual.tokens.reshape(8, 8, -1).repeat(2, axis=0).repeat(2, axis=1)
            visual = VisualTokens("connector", cells.reshape(1, 256, -1), Grid(16, 16).boxes())
        found.append(Batch([sample], [Output()], {"connector": visual if placed else replace(visual, boxes=None)}))
    return found


def fitted(batches: Sequence[Batch]) -> tuple[CuesMetric, bool]:
    metric = CuesMetric()
    for batch in batches:
        metric.partial_fit(batch)
    again = metric.fit_again()
    for batch in batches if again else ():
        metric.partial_fit(batch)
    metric.load_state(metric.state())
    return metric, again


def test_images_of_several_token_counts_are_pooled_to_one_grid() -> None:
    batches = in_two_sizes(24)
    metric, again = fitted(batches)
    assert again
    (plain, *_), sample = SceneModel().visual_tokens(batches[0].samples, ["connector"]), batches[0].samples[0]
    (coarse,) = metric.observe(Batch([sample], [Output()], {"connector": plain}))
    (fine,) = metric.observe(batches[0])
    assert fine["tokens/connector"].shape == (64, 16)
    np.testing.assert_allclose(fine["tokens/connector"], coarse["tokens/connector"], atol=1e-3)
    assert fine["shows"].tolist() == coarse["shows"].tolist()
    seen = [metric.observe(batch)[0] for batch in batches]
    records = [Record("t", str(i), i, "What?", "yes") for i in range(24)]
    for score in metric.compute(records, seen).values():
        assert score.detail["grid"] == [8, 8]
        assert score.detail["first_images_by_token_count"] == {"64": 12, "256": 12}
        assert "pooled" in score.flags


def test_without_boxes_the_most_frequent_count_is_probed_and_not_the_first() -> None:
    batches = in_two_sizes(24, placed=False, every=3)
    metric, again = fitted(batches)
    assert not again
    with pytest.raises(SampleError, match="256 visual tokens at connector where the first samples had 64"):
        metric.observe(batches[0])
    seen = [metric.observe(batch)[0] for i, batch in enumerate(batches) if i % 3]
    records = [Record("t", str(i), i, "What?", "yes") for i in range(16)]
    for score in metric.compute(records, seen).values():
        assert "one_token_count" in score.flags
        assert score.detail["no_grid"].startswith("the tokens of 24 of the first 24 images have no boxes")
