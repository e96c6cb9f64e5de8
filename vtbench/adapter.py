"""The protocol an adapter meets: how vtbench talks to a model.

In: a batch of `Sample`s. Out: one `Output` a sample, or the batch's `VisualTokens`. An adapter declares what it can do
in `capabilities`; the loop never asks for the rest. It is created once per worker and used for every task of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from vtbench.types import Capability, Output, Sample, VisualTokens

if TYPE_CHECKING:
    from vtbench.budget import Budget


@runtime_checkable
class Adapter(Protocol):
    """A model behind a common face.

    The loop calls `generate`, `rank` and `visual_tokens` one after another with the same batch, so an adapter may
    compute what they share once (the picture's embeddings, say) and keep it until the next batch comes.

    Any method may raise `vtbench.errors.OutOfMemory` (the loop tries again with a smaller batch) or
    `vtbench.errors.SampleError` (the batch is tried again one by one, and the sample at fault becomes a failed record).
    """

    capabilities: frozenset[Capability]
    image_size: int | None
    """Side in pixels of the pictures the model sees, so that tasks draw at that size; None for no preference."""
    layers: tuple[str, ...]
    """Names that `visual_tokens` takes, the headline layer (`connector`) first; empty without the capability."""

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer greedily: `Output.text` holds what the model wrote after the prompt, special tokens removed."""
        ...

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Score each sample's `choices`: `Output.logprobs` and `Output.logprob_tokens`."""
        ...

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the batch's visual tokens, one `VisualTokens` for each name in `layers`, in that order."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Say what goes into run.json about the model.

        That is `checkpoint`, `fingerprint` (sha256 of the weights), `parameters`, `device`, `dtype`, `versions` of the
        backend's packages, and whatever else identifies the model. JSON-able, no secrets.
        """
        ...

    def close(self) -> None:
        """Give back memory and processes."""
        ...


@runtime_checkable
class BudgetAdapter(Adapter, Protocol):
    """A model whose visual tokens can be kept from its decoder: it has the capability `budget`.

    The tokens that a budget drops are really gone: the decoder's sequence is shorter, and `Output.tokens_in` and
    `Output.visual_tokens_in`, which are never None here, count what it read. The budget of None is the whole picture,
    and so is one that keeps every token. The loop asks about one batch under many budgets, so the vision tower and the
    connector should run once for all.
    """

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        """Answer greedily from what the budget leaves of the pictures.

        Raises:
            VtbenchError: the budget asks for more tokens than there are, or is broken (`checked_weights`).
        """
        ...

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        """Score each sample's `choices` from what the budget leaves of the pictures."""
        ...
