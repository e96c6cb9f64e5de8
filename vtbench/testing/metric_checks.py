"""Checks of a metric: its observations and scores survive shards, resumption and any order of the samples.

The metric observes 24 items of three tasks, two thirds of them answered rightly, with 64 visual tokens each.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property, partial
from typing import Any, cast, get_args

import numpy as np

from vtbench.engine.validation import checked_observations
from vtbench.errors import SampleError
from vtbench.metric import Batch, BudgetMetric, FittedTwice, Metric, VisualMetric
from vtbench.plugin import KINDS
from vtbench.runs.results import compute_scores
from vtbench.testing.checks import Check, CheckFailed, expect, nearly_equal
from vtbench.testing.example_items import (
    METRIC_TASKS,
    OTHER_SIDE,
    SIDE,
    example_batch,
    example_records,
    example_samples,
    facts,
    fresh,
    with_budgets,
)
from vtbench.types import Capability, Observation, Record, Sample, Score

State = Mapping[str, np.ndarray]


def metric_checks(make: Callable[[], Metric], samples: Sequence[Sample] | None = None) -> list[Check]:
    """Return the checks of a metric: those of every metric, and those of a `VisualMetric` if it is one.

    Args:
        make: makes the metric, with the same settings each time.
        samples: what to observe, in place of items of the built-in tasks; their indices count from 0.

    Raises:
        VtbenchError: the metric cannot be made.
    """
    session = _Session(make, samples)
    checks = [Check("it declares what a metric must", session.check_members)]
    if session.missing:
        return checks
    observed = Check("observe returns one observation of JSON and arrays for each sample", session.check_observations)
    needs = (observed.name,)
    checks.append(observed)
    if session.fitted:
        state = "its state does not depend on the batches that it was fitted on"
        checks += [
            Check(state, session.check_state, needs),
            Check("it takes the first of its layers alone", session.check_first_layer, needs),
            Check("images of another number of tokens are measured or refused", session.check_other_counts, needs),
        ]
    return [
        *checks,
        Check("samples and their images are left as they are", session.check_unchanged, needs),
        Check("observations do not depend on the batch", session.check_batch, needs),
        Check("scores do not depend on the order of the samples", session.check_order, needs),
        Check("scores are the same from what was stored", session.check_stored, needs),
        Check("scores are finite numbers within their intervals", session.check_scores, needs),
        Check("scores stand on the samples that were observed", session.check_part, needs),
        Check("without observations no score has a value", session.check_empty, needs),
    ]


class _Session:
    """The metric under check, made anew for each check and fitted if it is to be."""

    def __init__(self, make: Callable[[], Metric], samples: Sequence[Sample] | None) -> None:
        self._make, self._given = make, samples
        first = make()
        self.missing = KINDS["metric"].missing_members(first)
        self.fitted = not self.missing and isinstance(first, VisualMetric)
        self._label = type(first).__name__
        self._state: State | None = None

    @property
    def _samples(self) -> tuple[Sample, ...]:
        """Fresh samples."""
        if self._given is None:
            made = example_samples(METRIC_TASKS, 8, None)
            self._given = tuple(replace(sample, index=i) for i, sample in enumerate(made))
        return fresh(self._given)

    def _ready(self) -> Metric:
        """Return the metric, fitted."""
        metric = self._make()
        if isinstance(metric, VisualMetric):
            if self._state is None:
                self._state = self._fit(7)
            metric.load_state(self._state)
        return metric

    def _fit(self, size: int) -> State:
        """Return the state after the first samples, `size` at a time."""
        metric = cast(VisualMetric, self._make())
        first = self._samples[: metric.fit_samples]
        for _ in self._rounds(metric):
            for start in range(0, len(first), size):
                metric.partial_fit(replace(example_batch(first[start : start + size], metric.layers), outputs=()))
        return metric.state()

    @staticmethod
    def _rounds(metric: VisualMetric) -> Iterator[None]:
        """Yield once for each time that the metric wants to see the first samples."""
        yield
        if isinstance(metric, FittedTwice) and metric.fit_again():
            yield

    def _batch(self, metric: Metric, samples: Sequence[Sample]) -> Batch:
        return with_budgets(metric, example_batch(samples, getattr(metric, "layers", ("connector",))))

    def _observe(self, metric: Metric, samples: Sequence[Sample]) -> list[Observation]:
        return checked_observations(metric.observe(self._batch(metric, samples)), samples, self._label)

    def _compute(
        self, metric: Metric, records: Sequence[Record], observations: Sequence[Observation]
    ) -> dict[str, Score]:
        return compute_scores(self._label, metric, records, observations)

    def check_members(self) -> None:
        """Fail where a member is missing, or is not what the protocol says."""
        names = ", ".join(f"`{name}`" for name in self.missing)
        expect(not self.missing, f"{self._label} lacks {names}; expected the members of vtbench.Metric (BaseMetric)")
        metric, known = self._make(), get_args(Capability)
        needs = metric.needs
        expect(isinstance(needs, (set, frozenset)), f"needs is {needs!r}; expected a frozenset of {', '.join(known)}")
        unknown = ", ".join(sorted(map(str, needs - set(known))))
        expect(not unknown, f"needs names {unknown}; expected some of {', '.join(known)}")
        if isinstance(metric, BudgetMetric):
            expect("budget" in needs, "it has `budgets`, but needs does not name budget")
        if isinstance(metric, VisualMetric):
            expect("visual_tokens" in needs, "it has `partial_fit`, but needs does not name visual_tokens")
            layers = metric.layers
            expect(layers and not isinstance(layers, str), f"layers is {layers!r}; expected names, the main one first")
            count = metric.fit_samples
            expect(isinstance(count, int) and count > 0, f"fit_samples is {count!r}; expected a number of samples")

    def check_state(self) -> None:
        """Fail where the state depends on the batches, or is not arrays by name."""
        parts, whole = self._fit(5), self._fit(10**6)
        for key, value in whole.items():
            expect(isinstance(value, np.ndarray), f"state: {key!r} is a {type(value).__name__}; expected an array")
        expect(parts.keys() == whole.keys(), f"state: other names after batches of 5: {sorted(parts)}, {sorted(whole)}")
        for key, value in whole.items():
            if not nearly_equal(parts[key], value):
                raise CheckFailed(
                    f"state: {key!r} is another after batches of 5 than after one batch; expected the same"
                )

    def check_first_layer(self) -> None:
        """Fail where a model that gives only the first layer cannot be scored."""
        metric = cast(VisualMetric, self._make())
        batch = example_batch(self._samples, metric.layers[:1])
        metric.partial_fit(replace(batch, outputs=()))
        metric.load_state(metric.state())
        seen = checked_observations(metric.observe(with_budgets(metric, batch)), batch.samples, self._label)
        self._check_finite(self._compute(metric, example_records(batch.samples), seen))

    def check_other_counts(self) -> None:
        """Fail where images with fewer tokens than others end a run, in place of a `SampleError`."""
        metric, (half, samples) = cast(VisualMetric, self._make()), (len(self._samples) // 2, self._samples)
        few = example_batch(samples[:half], metric.layers, side=OTHER_SIDE)
        many = example_batch(samples[half:], metric.layers)
        for _ in self._rounds(metric):
            for batch in (few, many):
                self._at_most_refused("partial_fit", partial(metric.partial_fit, replace(batch, outputs=())))
        metric.load_state(metric.state())
        observed = 0
        for batch in (few, many):
            seen = self._at_most_refused("observe", partial(metric.observe, with_budgets(metric, batch)))
            observed += seen is not None and bool(checked_observations(seen, batch.samples, self._label))
        expect(
            observed, "observe refused images of either number of tokens; expected to measure those it was fitted on"
        )

    @staticmethod
    def _at_most_refused(what: str, call: Callable[[], Any]) -> Any:
        """Return what a call returns, or None if it raises a `SampleError`."""
        try:
            return call()
        except SampleError:
            return None
        except Exception as error:
            told = f"{what}: images of {OTHER_SIDE**2} and {SIDE**2} tokens give {type(error).__name__}: {error}"
            raise CheckFailed(f"{told}; expected a SampleError, or to take them") from error

    def check_observations(self) -> None:
        """Fail where an observation cannot be stored."""
        samples = self._samples
        for sample, observation in zip(samples, self._observe(self._ready(), samples), strict=True):
            plain = {key: value for key, value in observation.items() if not isinstance(value, np.ndarray)}
            try:
                json.dumps(plain, allow_nan=False)
            except (TypeError, ValueError) as error:
                where = f"the observation of sample {sample.id}"
                raise CheckFailed(f"{where} is not JSON: {error}; expected numbers, strings, short lists") from error

    def check_unchanged(self) -> None:
        """Fail where observing changes a sample."""
        samples = self._samples
        before = [facts(sample) for sample in samples]
        self._observe(self._ready(), samples)
        for sample, then in zip(samples, before, strict=True):
            changed = [key for key, value in facts(sample).items() if value != then[key]]
            what = f"observe changed `{changed[0] if changed else ''}` of sample {sample.id}"
            expect(not changed, f"{what}; expected to leave samples as they are (work on image.copy())")

    @cached_property
    def _whole(self) -> tuple[list[Record], list[Observation], dict[str, Score]]:
        """Records, observations and scores of one batch of all samples."""
        metric, samples = self._ready(), self._samples
        records, seen = example_records(samples), self._observe(metric, samples)
        return records, seen, self._compute(metric, records, seen)

    def check_batch(self) -> None:
        """Fail where a sample's observation depends on what else is in the batch."""
        samples, (records, whole, scores) = self._samples, self._whole
        for size in (1, 5):
            parts: list[Observation] = []
            for start in range(0, len(samples), size):
                parts += self._observe(self._ready(), samples[start : start + size])
            for sample, one, other in zip(samples, whole, parts, strict=True):
                if not nearly_equal(dict(one), dict(other)):
                    raise CheckFailed(
                        f"observe gives {_short(one)} for sample {sample.id} in a batch of {len(samples)} and "
                        f"{_short(other)} in one of {size}; expected the same, in the order of the batch"
                    )
        self._expect_same(scores, self._compute(self._ready(), records, parts), f"from batches of {size}")

    def check_order(self) -> None:
        """Fail where scores depend on the order of records and observations."""
        records, seen, scores = self._whole
        pairs = list(zip(records, seen, strict=True))
        random.Random(0).shuffle(pairs)
        other = self._compute(self._ready(), [record for record, _ in pairs], [observed for _, observed in pairs])
        self._expect_same(scores, other, "from the same samples in another order")

    def check_stored(self) -> None:
        """Fail where scores change when records and observations were written and read, as in a resumed run."""
        records, seen, scores = self._whole
        back = [
            {
                key: value if isinstance(value, np.ndarray) else json.loads(json.dumps(value))
                for key, value in one.items()
            }
            for one in seen
        ]
        read = [replace(record, meta=json.loads(json.dumps(dict(record.meta)))) for record in records]
        self._expect_same(scores, self._compute(self._ready(), read, back), "from what was written and read again")

    def check_scores(self) -> None:
        """Fail where there is no score, or one that is not a number or lies outside of its interval."""
        records, _, scores = self._whole
        expect(scores, f"compute returned no score for {len(records)} samples; expected one at least")
        self._check_finite(scores)

    def _check_finite(self, scores: Mapping[str, Score]) -> None:
        for name, score in scores.items():
            for part in ("value", "stderr", "chance"):
                value = getattr(score, part)
                number = isinstance(value, (int, float)) and math.isfinite(value)
                expect(
                    value is None or number, f"compute: `{part}` of {name!r} is {value!r}; expected a number, or None"
                )
            try:
                json.dumps(asdict(score), allow_nan=False)
            except (TypeError, ValueError) as error:
                raise CheckFailed(f"compute: the score {name!r} is not JSON: {error}") from error
            if score.interval and score.value is not None:
                low, high = score.interval
                inside = low <= score.value <= high
                expect(
                    inside, f"compute: {name!r} is {score.value:.4g}, outside of its interval [{low:.4g}, {high:.4g}]"
                )

    def check_part(self) -> None:
        """Fail where there is no score, or a broken one, as some samples could not be observed."""
        records, seen, scores = self._whole
        part = self._compute(self._ready(), records[1::2], seen[1::2])
        self._check_finite(part)
        if lost := sorted(scores.keys() - part.keys()):
            raise CheckFailed(f"compute: without half of the observations there is no score {lost[0]!r}")

    def check_empty(self) -> None:
        """Fail where a score of nothing is a number, or an error."""
        for name, score in self._compute(self._ready(), [], []).items():
            expected = "expected None, or no such score"
            expect(score.value is None, f"compute: {name!r} of no observations is {score.value!r}; {expected}")

    def _expect_same(self, one: Mapping[str, Score], other: Mapping[str, Score], how: str) -> None:
        for name in dict.fromkeys([*one, *other]):
            mine, theirs = one.get(name), other.get(name)
            if mine is None or theirs is None:
                raise CheckFailed(f"compute: there is a score {name!r} or not, {how}; expected the same scores")
            for part, value in asdict(mine).items():
                if not nearly_equal(value, asdict(theirs)[part]):
                    a, b = _short(value), _short(asdict(theirs)[part])
                    raise CheckFailed(f"compute: `{part}` of {name!r} is {a}, but {b} {how}; expected the same")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
