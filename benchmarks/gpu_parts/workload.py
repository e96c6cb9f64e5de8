"""How much each part measures: at the size people use, or so little that a CPU does it in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Figures = Iterator[tuple[str, Any]]
"""Names, with their units, and values, JSON-able; each is yielded as soon as it is known."""
BUDGETS = ("grid:f=1", "grid:f=0.5", "grid:f=0.25", "grid:f=0.1", "farthest_point:f=0.25", "merge:t=0.9")
"""Token budgets whose prefill is timed, beside that of the whole image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is measured; the same code runs whatever the values are."""

    device: str
    """`cuda` or `cpu`."""
    sizes: str
    """`published` or `tiny`: which configurations the models are built from."""
    layers: int | None = None
    """Layers of tower and decoder, where fewer than those of the configuration."""
    samples: int
    """Questions that are answered and ranked."""
    batch_size: int
    new_tokens: int
    """New tokens of an answer."""
    rounds: int
    """Batches a budget; the medians are reported."""
    images: int
    """Images of the Redundancy Score."""
    tokens: int
    width: int
    cpu_seconds: float
    """What the Redundancy Score on the CPU may take; where it would take longer, it is of fewer images."""
    train_batch_size: int
    steps: int
    """Training steps that are timed, after one that is not."""
    rank: int
    """Of the LoRA updates."""


def published(device: str) -> Workload:
    """Return the workload of a machine with one GPU."""
    return Workload(
        device=device, sizes="published", samples=64, batch_size=16, new_tokens=16, rounds=5,
        images=2000, tokens=576, width=4096, cpu_seconds=110, train_batch_size=8, steps=6, rank=16,
    )  # fmt: skip


def tiny() -> Workload:
    """Return the workload that a CPU does in under two minutes."""
    return Workload(
        device="cpu", sizes="tiny", samples=6, batch_size=3, new_tokens=6, rounds=3,
        images=100, tokens=16, width=32, cpu_seconds=20, train_batch_size=3, steps=3, rank=4,
    )  # fmt: skip
