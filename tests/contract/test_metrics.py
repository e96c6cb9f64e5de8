"""What every registered metric keeps to, a third party's as much as vtbench's own."""

import json
import math
import random
from dataclasses import asdict, replace
from typing import get_args

import numpy as np
import pytest

from vtbench.metric import Batch, BudgetMetric, Metric, VisualMetric
from vtbench.registry import Registry
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Capability, Record, VisualTokens

REGISTRY = Registry()
TASKS = ("relational", "scene_graph", "precise_offset")
FACTS = ("id", "index", "prompt", "target", "choices", "kind", "cluster", "scene_hash", "meta")


@pytest.fixture(scope="module")
def samples():
    """Items of several kinds, as a mixed task has them."""
    made = [load_task(find_task_files()[name]) for name in TASKS]
    return [replace(task.sample(i, 64), index=k * 8 + i) for k, task in enumerate(made) for i in range(8)]


def records(samples):
    return [Record(task="mixed", **{fact: getattr(sample, fact) for fact in FACTS}) for sample in samples]


def batch(samples, layers=("connector",)):
    """Every third sample is answered by `echo` (unparsed, mostly), the others by `oracle`."""
    echo, oracle = REGISTRY.adapter("echo", {}), REGISTRY.adapter("oracle", {})
    outputs = []
    for sample in samples:
        adapter = oracle if sample.index % 3 else echo
        said, ranked = adapter.generate([sample], 8)[0], adapter.rank([sample])[0]
        if sample.choices:
            said = replace(said, logprobs=ranked.logprobs, logprob_tokens=ranked.logprob_tokens)
        outputs.append(replace(said, tokens_in=66, visual_tokens_in=64))
    (visual,) = echo.visual_tokens(samples, ["connector"])
    return Batch(samples, outputs, {name: VisualTokens(name, visual.tokens, visual.boxes) for name in layers})


@pytest.fixture(params=sorted(REGISTRY.named("metric")))
def name(request):
    return request.param


@pytest.fixture
def make(name, samples):
    """Return a function that makes the metric anew, ready to observe."""
    first = REGISTRY.metric(name)
    basis = warmed(first, samples, 7) if isinstance(first, VisualMetric) else None

    def ready():
        metric = REGISTRY.metric(name)
        if isinstance(metric, VisualMetric):
            metric.load_state(basis)
        return metric

    return ready


def warmed(metric, samples, size):
    """Return the basis of the first samples, shown in parts of `size`."""
    first = samples[: metric.fit_samples]
    for start in range(0, len(first), size):
        metric.partial_fit(replace(batch(first[start : start + size], metric.layers), outputs=()))
    return metric.state()


def observe(metric, samples):
    return metric.observe(complete(metric, batch(samples, getattr(metric, "layers", ("connector",)))))


def complete(metric, shown):
    """Return the batch with what was said under a metric's budgets."""
    if isinstance(metric, BudgetMetric):
        return replace(shown, budgeted={name: within(shown.samples, name) for name in metric.budgets})
    return shown


def within(samples, name):
    """What is said under a budget: another mix of right and wrong answers, and another length, for each name."""
    said = {True: REGISTRY.adapter("oracle", {}), False: REGISTRY.adapter("echo", {})}
    seed = sum(name.encode())
    return [
        replace(
            said[(sample.index * seed) % 5 > 1].generate([sample], 8)[0],
            tokens_in=2 + seed % 7,
            visual_tokens_in=seed % 7,
        )
        for sample in samples
    ]


def close(a, b):
    """Return whether two observations, or two scores as data, are equal up to rounding."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, np.ndarray):
        return np.allclose(a, b, atol=1e-5)
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return a == b


def as_data(scores):
    return {name: asdict(score) for name, score in scores.items()}


def test_metrics_are_registered():
    assert {"accuracy", "rank_accuracy", "pair_accuracy", "scene_graph", "psychometric"} <= set(
        REGISTRY.named("metric")
    )


def test_it_meets_the_protocol_and_says_what_it_is(make):
    metric = make()
    assert isinstance(metric, Metric)
    assert metric.needs <= set(get_args(Capability))
    assert all(named.summary for named in REGISTRY.named("metric").values())


def test_one_observation_a_sample_of_json_and_arrays(make, samples):
    seen = observe(make(), samples)
    assert len(seen) == len(samples)
    for observation in seen:
        json.dumps({k: v for k, v in observation.items() if not isinstance(v, np.ndarray)}, allow_nan=False)


def test_a_basis_does_not_depend_on_the_parts_it_was_shown_in(name, samples):
    metric, other = REGISTRY.metric(name), REGISTRY.metric(name)
    if not isinstance(metric, VisualMetric):
        pytest.skip("it has no basis")
    assert close(dict(warmed(metric, samples, 5)), dict(warmed(other, samples, len(samples))))


def test_it_takes_the_headline_layer_alone(name, samples):
    """A model may give only the first of the layers that a metric would like."""
    metric = REGISTRY.metric(name)
    if not isinstance(metric, VisualMetric):
        pytest.skip("it has no layers")
    first = batch(samples, metric.layers[:1])
    metric.partial_fit(replace(first, outputs=()))
    metric.load_state(metric.state())
    scores = metric.compute(records(samples), metric.observe(complete(metric, first)))
    json.dumps(as_data(scores), allow_nan=False)


def test_shards_merge_by_concatenation(make, samples):
    whole = observe(make(), samples)
    parts = [seen for start in range(0, len(samples), 5) for seen in observe(make(), samples[start : start + 5])]
    assert all(close(dict(a), dict(b)) for a, b in zip(whole, parts, strict=True))
    assert close(as_data(make().compute(records(samples), whole)), as_data(make().compute(records(samples), parts)))


def test_order_does_not_matter(make, samples):
    metric = make()
    pairs = list(zip(records(samples), observe(metric, samples), strict=True))
    straight = as_data(metric.compute(*map(list, zip(*pairs, strict=True))))
    random.Random(0).shuffle(pairs)
    assert close(straight, as_data(metric.compute(*map(list, zip(*pairs, strict=True)))))


def test_scores_survive_the_file(make, samples):
    """A resumed or rescored run reads its records and observations back from JSON."""
    metric, seen = make(), observe(make(), samples)
    arrays = [{k: v for k, v in o.items() if isinstance(v, np.ndarray)} for o in seen]
    text = json.dumps([{k: v for k, v in o.items() if not isinstance(v, np.ndarray)} for o in seen])
    back = [{**plain, **array} for plain, array in zip(json.loads(text), arrays, strict=True)]
    read = [replace(r, meta=json.loads(json.dumps(dict(r.meta)))) for r in records(samples)]
    assert close(as_data(metric.compute(records(samples), seen)), as_data(metric.compute(read, back)))


def test_scores_are_well_formed(make, samples):
    metric = make()
    scores = metric.compute(records(samples), observe(metric, samples))
    assert scores
    json.dumps(as_data(scores), allow_nan=False)
    for score in scores.values():
        if score.interval and score.value is not None:
            assert score.interval[0] <= score.value <= score.interval[1]


def test_nothing_observed_is_none_and_not_a_crash(make):
    scores = make().compute([], [])
    assert scores
    assert {score.value for score in scores.values()} == {None}
