"""Ratio terms give the metrics' own values and intervals."""

from __future__ import annotations

import pytest

from vtbench.metric import Batch
from vtbench.scoring.graph_metric import SceneGraph
from vtbench.scoring.metrics import Accuracy, PairAccuracy, RankAccuracy
from vtbench.types import Output, Record, Sample
from vtbench_analysis.comparison.ratio_terms import RATIO_METRICS
from vtbench_analysis.comparison.score_rows import ratio_value

TRUE = "1 large red striped circle ; 2 small blue solid square | 1 left 2"
TEXTS = [
    TRUE,
    "1 small red striped circle ; 2 small blue solid square | 1 above 2",
    "1 large red striped circle",
    "1 large red striped star ; 2 small blue solid square",
    "no idea",
]


def closed(index: int) -> Sample:
    target = ("yes", "no")[index % 2]
    cluster = f"pair{index // 2}" if index < 16 else ""
    return Sample(f"t/{index}", index, (), f"q{index}", target, ("yes", "no"), kind="left", cluster=cluster)


def graph(index: int) -> Sample:
    return Sample(
        f"t/{index}", index, (), "describe", TRUE, kind="graph", answer_type="graph", cluster=f"scene{index // 2}"
    )


def record(sample: Sample) -> Record:
    facts = {name: getattr(sample, name) for name in ("id", "index", "prompt", "target", "choices", "kind", "cluster")}
    return Record("t", **facts)


@pytest.mark.parametrize(
    ("name", "metric", "make"),
    [
        ("accuracy", Accuracy(), closed),
        ("rank_accuracy", RankAccuracy(), closed),
        ("pair_accuracy", PairAccuracy(), closed),
        ("scene_graph", SceneGraph(), graph),
    ],
)
def test_values_and_intervals_are_those_of_the_metric(name, metric, make):
    samples = [make(i) for i in range(20)] + [graph(20), closed(21)]
    outputs = [
        Output(TEXTS[i % len(TEXTS)], (-0.1 * (i % 3), -0.15), (1, 2))
        if s.kind == "graph"
        else Output(("yes", "no", "red")[i % 3], (-0.1 * (i % 3), -0.15), (1, 2))
        for i, s in enumerate(samples)
    ]
    observations = metric.observe(Batch(samples, outputs, {}))
    records = [record(sample) for sample in samples]
    scores, found = metric.compute(records, observations), RATIO_METRICS[name](records, observations)
    assert found.keys() == scores.keys()
    for score, terms in found.items():
        estimate = ratio_value(terms)
        assert estimate.value == pytest.approx(scores[score].value)
        assert estimate.interval == pytest.approx(scores[score].interval)
