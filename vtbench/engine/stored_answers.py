"""Answers that are stored first and scored later: `--predict-only`, and what `vtbench rescore` can score.

A metric can be scored from records if it reads nothing but texts and log-probabilities. One that reads times
(`Output.prefill_seconds`) says so by an attribute `reads_times`; times are not stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vtbench.errors import AdapterError
from vtbench.executor import Model
from vtbench.metric import Batch, BudgetMetric, Metric, VisualMetric
from vtbench.types import Capability, Observation, Output, Record, Sample, Score, VisualTokens

ANSWERS: frozenset[Capability] = frozenset({"generate", "rank"})
"""What records hold all of."""
LATER = "not computed: --predict-only; `vtbench rescore RUN` does it"


def scored_from_records(metric: Metric) -> bool:
    """Whether stored answers are all that a metric reads."""
    return (
        metric.needs <= ANSWERS
        and not isinstance(metric, (VisualMetric, BudgetMetric))
        and not getattr(metric, "reads_times", False)
    )


class Unscored:
    """Asks the model and scores nothing.

    Args:
        needs: what the model is asked for.
    """

    def __init__(self, needs: Capability) -> None:
        self.needs: frozenset[Capability] = frozenset({needs})

    def observe(self, batch: Batch) -> list[Observation]:
        """Record nothing beside the answers themselves."""
        return [{} for _ in batch.samples]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return no score."""
        return {}


_ASKED: Mapping[str, Capability] = {"texts": "generate", "rankings": "rank"}
"""Names under which run.json lists what a run without scores asks for."""


def answers_only(
    metrics: Mapping[str, Metric], unusable: Mapping[str, str], model: Model
) -> tuple[dict[str, Metric], dict[str, str]]:
    """Return what asks for the answers that metrics will need, and why each metric is not computed.

    Texts are always asked for, and log-probabilities if a metric reads them and the model gives them.

    Args:
        metrics: that would be computed.
        unusable: why the model cannot serve some of them.
        model: that is asked.
    """
    later = {name: metric for name, metric in metrics.items() if name not in unusable and scored_from_records(metric)}
    wanted = {need for metric in later.values() for need in metric.needs} | {"generate"}
    asked: dict[str, Metric] = {
        name: Unscored(need) for name, need in _ASKED.items() if need in wanted & model.capabilities
    }
    more = "it reads more of the model than its answers; leave --predict-only out"
    return asked, {name: unusable.get(name, LATER if name in later else more) for name in metrics}


class StoredModel:
    """An adapter that answers from the records of a run.

    Args:
        records: of one task, by index.
    """

    capabilities = ANSWERS
    image_size: int | None = None
    layers: tuple[str, ...] = ()

    def __init__(self, records: Mapping[int, Record]) -> None:
        self._records = records

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Return the stored texts, with all that is known of them."""
        found = (self._records[sample.index] for sample in samples)
        return [
            Output(
                record.output,
                tokens_in=record.tokens_in,
                visual_tokens_in=record.visual_tokens_in,
                tokens_out=record.tokens_out,
                reasoning_tokens=record.reasoning_tokens,
                cost=record.cost,
                finish_reason=record.finish_reason,
                reasoning=record.reasoning,
                rendered_prompt=record.rendered_prompt,
            )
            for record in found
        ]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Return the stored log-probabilities."""
        found = (self._records[sample.index] for sample in samples)
        return [Output(logprobs=r.logprobs, logprob_tokens=r.logprob_tokens, tokens_in=r.tokens_in) for r in found]

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Refuse: they are not stored."""
        raise AdapterError("a stored run has no visual tokens")

    def describe(self) -> Mapping[str, Any]:
        """Return no facts: run.json has them."""
        return {}

    def close(self) -> None:
        """Do nothing."""
