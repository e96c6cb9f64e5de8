"""Runs independent small computations side by side, one thread of torch each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

T = TypeVar("T")


def map_in_threads(function: Callable[..., T], arguments: Sequence[tuple[Any, ...]], device: torch.device) -> list[T]:
    """Return `function(*each)` for each of the arguments, in their order.

    On the CPU as many run at once as torch has threads, each with one: the factorisations here are too small to be
    split, and two of them side by side take little longer than one. Elsewhere they run one after another.
    """
    workers = min(torch.get_num_threads(), len(arguments))
    if device.type != "cpu" or workers < 2:
        return [function(*each) for each in arguments]
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(lambda each: function(*each), arguments))
