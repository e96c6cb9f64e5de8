"""The metric `budget_cost`: mean visual tokens read, prefill time and decoding time per sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

from vtbench.metric import Batch
from vtbench.stats import mean
from vtbench.types import Capability, Observation, Output, Record, Score


class BudgetCost:
    """Visual tokens that the decoder read, and times of prefill and decoding as the adapter measured them.

    A batch's time is divided evenly among its samples. It depends on the machine, its load and the batch, so only
    compare times that were measured side by side.
    """

    needs: frozenset[Capability] = frozenset({"generate"})
    reads_times = True

    def observe(self, batch: Batch) -> list[Observation]:
        """Record the tokens and times of each output; None if the adapter does not report them."""
        return [cost(output) for output in batch.outputs]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `tokens_kept`, `prefill_ms` and `decode_ms` per sample; None if the adapter does not report them."""
        tokens = [float(o["tokens"]) for o in observations if o["tokens"] is not None]
        clusters = [r.cluster for r, o in zip(records, observations, strict=True) if o["tokens"] is not None]
        found = {"tokens_kept": mean(tokens, clusters).score(detail=_range(tokens), percent=False)}
        for part in ("prefill", "decode"):
            values = [1000 * o[part] for o in observations if o[part] is not None]
            detail = {"unit": "ms a sample", "median": median(values) if values else None}
            found[f"{part}_ms"] = Score(fmean(values) if values else None, n=len(values), detail=detail, percent=False)
        return found


def cost(output: Output) -> dict[str, Any]:
    """Return the stored tokens and times of one answer."""
    seconds = {"prefill": output.prefill_seconds, "decode": output.decode_seconds}
    rounded = {part: None if value is None else round(value, 7) for part, value in seconds.items()}
    return {"tokens": output.visual_tokens_in, **rounded}


def _range(tokens: Sequence[float]) -> Mapping[str, Any]:
    return {"least": min(tokens), "most": max(tokens)} if tokens else {}
