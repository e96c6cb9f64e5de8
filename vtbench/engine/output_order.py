"""Whether a model's answers stand where their samples do: some samples of a task's first batch are asked again, alone.

An adapter that sorts its batch by length and does not sort the answers back, or that pads wrongly, gives every sample
another's answer, or one that depends on its neighbours, and no length or type tells. Where two samples get the answers
that they had in the batch nothing more is asked. Rounding changes single answers in a batch and must not end a run, so
the errors below need the same verdict from most of 8 samples, and an answer that others got for certain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vtbench.errors import AdapterError, OutOfMemory, VtbenchError
from vtbench.types import Output, Record, Sample

SAMPLES = 8
"""How many samples are asked alone where the first two got other answers than in the batch."""
FEWEST = 4
"""Smaller batches are not looked at."""
DISPLACED = 3
"""So many answers must stand in another's place."""
DIFFERING = 6
"""So many of 8 answers must be other ones alone."""
ALIKE, APART = 0.05, 0.5
"""Log-probabilities, in nats, that are alike up to rounding, and that no rounding explains."""
SHORT = 16
"""Longer texts, in tokens, differ by rounding alone."""

Ask = Callable[[Sequence[Sample]], Sequence[Output]]


def check_order(samples: Sequence[Sample], records: Sequence[Record], ask: Ask, model: str, tokens: int) -> None:
    """Refuse answers that are those of other samples, or other ones alone.

    A model that is paid for its answers (`Record.cost`) is not asked again.

    Args:
        samples: a task's first batch, without the samples that failed.
        records: what was answered to them together.
        ask: asks the model.
        model: what an error calls it.
        tokens: that an answer may take.

    Raises:
        AdapterError: they are.
    """
    if len(samples) < FEWEST or any(record.cost is not None for record in records):
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
            return  # it answers by chance: nothing can be told
        if _rearranged(alone, ask(some)) and _rearranged([*alone[3:], *alone[:3]], ask([*some[3:], *some[:3]])):
            raise AdapterError(
                f"{model} returned its answers in another order than the samples; expected one for each sample, in "
                "the order of the batch"
            )
        differing = sum(_apart(one, other) for one, other in zip(alone, ask(some), strict=True))
        if differing >= DIFFERING and (tokens <= SHORT or alone[0].text is None):
            raise AdapterError(
                f"{model} gave {differing} of {len(some)} samples another answer in a batch than alone; expected the "
                "same (is the padding masked?), or run with --batch-size 1"
            )
    except AdapterError:
        raise
    except (VtbenchError, OutOfMemory):
        return  # a sample that cannot be answered alone tells nothing
    except Exception:  # nor does an adapter's own error: where it matters, it is met again
        return


def _rearranged(alone: Sequence[Output], together: Sequence[Output]) -> bool:
    """Return whether the answers of a batch are those that its samples get alone, but for their order."""
    apart = sum(_apart(one, other) for one, other in zip(alone, together, strict=True))
    left = list(range(len(together)))
    for i, said in enumerate(alone):
        places = sorted((j for j in left if _alike(said, together[j])), key=lambda j: j != i)
        if not places:
            return False
        left.remove(places[0])
    return apart >= DISPLACED


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
