"""Ratio terms give the metrics' own values and intervals."""

from __future__ import annotations

import pytest

from vtbench.metric import Batch
from vtbench.scoring.graph_metric import SceneGraph
from vtbench.scoring.group_metrics import GroupAccuracy, MacroAccuracy, YesNo
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


def grouped(index: int) -> Sample:
    """Two questions about two images in each group; the last group lacks one, and some kinds are rarer."""
    target = ("yes", "no")[(index + index // 2) % 2]
    meta = {"pair": index // 2 % 2, "group_size": 4}
    kind = ("2D/near", "2D/far", "3D")[min(index % 5, 2)]
    return Sample(f"t/{index}", index, (), f"q{index % 2}", target, ("yes", "no"), kind=kind, cluster=f"g{index // 4}",
                  meta=meta)  # fmt: skip


def record(sample: Sample) -> Record:
    names = ("id", "index", "prompt", "target", "choices", "kind", "cluster", "meta")
    facts = {name: getattr(sample, name) for name in names}
    return Record("t", **facts, image_sha256=(f"image {sample.index // 2 % 2}",))


@pytest.mark.parametrize(
    ("name", "metric", "make"),
    [
        ("accuracy", Accuracy(), closed),
        ("rank_accuracy", RankAccuracy(), closed),
        ("pair_accuracy", PairAccuracy(), closed),
        ("scene_graph", SceneGraph(), graph),
        ("group_accuracy", GroupAccuracy(), grouped),
        ("pair_accuracy", PairAccuracy(), grouped),
        ("yes_no", YesNo(), grouped),
        ("macro_accuracy", MacroAccuracy(), grouped),
    ],
)
def test_values_and_intervals_are_those_of_the_metric(name, metric, make):
    samples = [make(i) for i in range(19)] + [graph(20), closed(21)]
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
    assert all(len(terms.numerators) > 1 for terms in found.values())
    for score, terms in found.items():
        estimate = ratio_value(terms)
        assert estimate.value == pytest.approx(scores[score].value)
        assert estimate.interval == pytest.approx(scores[score].interval)
