"""The scores that lm-eval and lmms-eval compute from an export equal those of `vtbench run`."""

import json

import pyarrow.parquet as pq
import pytest
from export_fakes import registry

import vtbench
import vtbench_controls
from vtbench.registry import Registry
from vtbench.scoring import plugin
from vtbench_export import export
from vtbench_export.scoring import SCORES, Scoring, pooled

ITEMS = 60


@pytest.mark.parametrize("task", ["coarse", "attribute", "relational", "scene_graph", "precise_offset"])
@pytest.mark.parametrize("model", ["bag_of_objects", "shuffled", "echo"])
def test_scores_are_those_of_a_run(tmp_path, task, model):
    export([task], "parquet", tmp_path / "out", limit=ITEMS, registry=registry())
    rows = pq.read_table(tmp_path / "out" / task / "test-00000-of-00001.parquet").to_pylist()
    metrics = [name for name in vtbench_metrics(task) if name in SCORES]
    run = vtbench.run(
        model=model,
        tasks=[task],
        limit=ITEMS,
        metrics=metrics,
        output=str(tmp_path / "runs"),
        report=False,
        registry=Registry({"controls": vtbench_controls, "scoring": plugin}),
    )
    lines = (run.path / "samples.jsonl").read_text().splitlines()
    answers = {record["id"]: record["output"] for record in map(json.loads, lines)}

    scoring = Scoring({task: metrics})
    values = [scoring.process_results(row, [answers[row["id"]]]) for row in rows]
    json.dumps(values)  # the harnesses log them
    for metric in metrics:
        for name, key in SCORES[metric].items():
            items = [value[name] for value in values]
            ours = run.scores[task][name].value
            theirs = sum(items) / len(items) if key else pooled(name)(items)
            assert theirs == pytest.approx(ours, abs=1e-12) if ours is not None else theirs != theirs


def vtbench_metrics(task):
    from vtbench.task.loading import builtin_spec

    return builtin_spec(task).metrics


def test_a_metric_that_does_not_apply_gives_no_value(tmp_path):
    export(["scene_graph"], "parquet", tmp_path / "out", limit=1, registry=registry())
    (row,) = pq.read_table(tmp_path / "out" / "scene_graph" / "test-00000-of-00001.parquet").to_pylist()
    assert Scoring({"scene_graph": ["accuracy"]}).process_results(row, ["yes"]) == {}


def test_the_table_of_scores_matches_the_metrics():
    from vtbench_export.scoring import METRICS

    for name, metric in METRICS.items():
        assert list(SCORES[name]) == list(metric().compute([], []))
        assert metric().needs == {"generate"}
