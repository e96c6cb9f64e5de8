"""Time and memory of a piece of work on a device."""

from __future__ import annotations

import time
from typing import Any

import torch
from process_memory import process_peak_gib


class Meter:
    """A context manager: `seconds` until the device has finished, and `peak_gib`.

    The peak is that of the memory that torch allocates on a GPU within the work, and on the CPU that of the process
    since it started.
    """

    seconds = peak_gib = 0.0

    def __init__(self, device: str) -> None:
        self._gpu = device.startswith("cuda")

    def __enter__(self) -> Meter:
        if self._gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._gpu:
            torch.cuda.synchronize()
        self.seconds = time.perf_counter() - self._began
        if self._gpu:
            self.peak_gib = torch.cuda.max_memory_allocated() / 2**30
        else:
            self.peak_gib = process_peak_gib()
