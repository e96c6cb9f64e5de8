"""Credit of one answer agrees with the metrics that score all of them."""

from __future__ import annotations

import pytest

from vtbench.errors import TaskError
from vtbench.metric import Batch
from vtbench.scoring.credit import credit
from vtbench.scoring.graph_metric import SceneGraph
from vtbench.scoring.metrics import Accuracy
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Output, Record, Sample


@pytest.mark.parametrize(("name", "metric"), [("relational", Accuracy()), ("scene_graph", SceneGraph())])
def test_the_mean_credit_is_the_score(name, metric):
    """Every sample is given the answer of the first: some are right, some partly, some not."""
    task = load_task(find_task_files()[name])
    samples = [task.sample(i, 16) for i in range(30)]
    text = samples[0].target
    seen = metric.observe(Batch(samples, [Output(text)] * 30, {}))
    records = [
        Record(name, s.id, s.index, s.prompt, s.target, s.choices, s.kind, s.cluster, answer_type=s.answer_type)
        for s in samples
    ]
    scores = metric.compute(records, seen)
    expected = scores["acc"].value if name == "relational" else scores["tuple_f1"].detail["per_sample"]
    assert 0 < expected < 1
    assert sum(credit(text, sample) for sample in samples) / 30 == pytest.approx(expected)
    assert credit(text, samples[0]) == 1


def test_no_answer_earns_nothing():
    graph = Sample("t/0", 0, (), "Describe.", "1 large red striped circle", kind="graph", answer_type="graph")
    assert credit(None, graph) == credit("", graph) == credit(None, Sample("t/1", 1, (), "?", "yes")) == 0


def test_a_graph_without_a_true_one_is_refused():
    with pytest.raises(TaskError, match="t/0"):
        credit(
            "1 large red striped circle",
            Sample("t/0", 0, (), "Describe.", "a circle", kind="graph", answer_type="graph"),
        )
