"""Detects answers in the wrong order and answers that depend on the batch, by querying some samples again, alone.

Lengths and types cannot reveal an adapter that sorts its batch and does not restore the order, or that pads wrongly. So
two samples of a task's first batch are queried alone. If their answers match, nothing more is done. If not, the first 8
samples are queried alone and together. Rounding may change single answers in a batch and must not abort a run; the
thresholds below tell the two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vtbench.errors import AdapterError
from vtbench.types import Output, Record, Sample

SAMPLES = 8
"""Number of samples that are queried alone after a mismatch."""
FEWEST = 4
"""Smaller batches are not checked."""
DISPLACED = 3
"""Number of answers that must belong to another sample before the order is called wrong."""
DIFFERING = 6
"""Number of answers, of 8, that must differ before the answers are said to depend on the batch."""
ALIKE, APART = 0.05, 0.5
"""Differences of log-probabilities, in nats: at most that of rounding, and more than rounding explains."""
SHORT = 16
"""Answers of up to this many tokens or words must not depend on the batch; longer ones may diverge by rounding."""

Ask = Callable[[Sequence[Sample]], Sequence[Output]]


def check_order(samples: Sequence[Sample], records: Sequence[Record], ask: Ask, model: str, tokens: int) -> None:
    """Raise an error if a batch's answers are in the wrong order, or depend on the batch.

    Where an answer has a cost, nothing is asked again.

    Args:
        samples: a task's first batch, without failed samples.
        records: the records of the same samples.
        ask: queries the model.
        model: the model's name in error messages.
        tokens: maximum number of tokens of an answer.

    Raises:
        AdapterError: the answers are in the wrong order, or most of them depend on the batch.
    """
    if any(record.cost is not None for record in records) or len(samples) < FEWEST:
        return
    others = [i for i, record in enumerate(records) if record.output != records[0].output]
    try:
        probes = [samples[0], samples[others[0] if others else -1]]
        known = {sample.id: Output(r.output, r.logprobs) for sample, r in zip(samples, records, strict=True)}
        if all(_alike(ask([sample])[0], known[sample.id]) for sample in probes):
            return
        some = samples[:SAMPLES]
        alone = [ask([sample])[0] for sample in some]
        if not all(_alike(ask([sample])[0], said) for sample, said in zip(some, alone, strict=True)):
            return  # answers are random: their order cannot be checked
        if _rearranged(alone, ask(some)) and _rearranged([*alone[3:], *alone[:3]], ask([*some[3:], *some[:3]])):
            raise AdapterError(
                f"{model} returned its answers in another order than the samples; expected one per sample, in the "
                "order of the batch"
            )
        differing = sum(_apart(one, other) for one, other in zip(alone, ask(some), strict=True))
        if differing >= DIFFERING and (tokens <= SHORT or all(map(_is_short, alone))):
            raise AdapterError(
                f"{model} gave {differing} of {len(some)} samples another answer in a batch than alone; expected the "
                "same (is the padding masked?), or run with --batch-size 1"
            )
    except AdapterError:
        raise
    except Exception:  # the adapter fails on a sample alone: nothing can be concluded about the batch
        return


def _rearranged(alone: Sequence[Output], together: Sequence[Output]) -> bool:
    """Return whether the answers of a batch are a permutation of the answers that its samples get alone."""
    apart = sum(_apart(one, other) for one, other in zip(alone, together, strict=True))
    left = list(range(len(together)))
    for i, said in enumerate(alone):
        places = sorted((j for j in left if _alike(said, together[j])), key=lambda j: j != i)
        if not places:
            return False
        left.remove(places[0])
    return apart >= DISPLACED


def _is_short(output: Output) -> bool:
    """Whether an answer has few words, although it may have had more tokens; a ranking has none."""
    return output.reasoning is None and len((output.text or "").split()) <= SHORT


def _alike(one: Output, other: Output) -> bool:
    return one.text == other.text and _distance(one, other) <= ALIKE


def _apart(one: Output, other: Output) -> bool:
    return one.text != other.text or _distance(one, other) > APART


def _distance(one: Output, other: Output) -> float:
    """Return the largest difference of two samples' log-probabilities, in nats."""
    mine, theirs = one.logprobs or (), other.logprobs or ()
    if len(mine) != len(theirs):
        return float("inf")
    return max((abs(a - b) for a, b in zip(mine, theirs, strict=True)), default=0.0)
