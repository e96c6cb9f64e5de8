"""Reading the clock beside a device that works on its own: a device in, seconds out."""

from __future__ import annotations

import time

import torch


def now(device: torch.device) -> float:
    """Return the wall time in seconds, once the device has done all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()
