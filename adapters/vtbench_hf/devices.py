"""Devices: where the inputs of a model go whose layers lie on several, and the time when a device has finished."""

from __future__ import annotations

import time
from typing import Any

import torch


def input_device(model: Any) -> torch.device:
    """Return the device that a model's inputs go to: that of its token embeddings.

    Under a device map the first weight of a model, which `model.device` tells, may be elsewhere, and one that lies on
    the disk is on the device `meta` until it is read.
    """
    try:
        embeddings = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):  # code that comes with a checkpoint need not have it
        embeddings = None
    computes_on = getattr(getattr(embeddings, "_hf_hook", None), "execution_device", None)
    if computes_on is not None:
        return torch.device(computes_on)
    weight = getattr(embeddings, "weight", None)
    return model.device if weight is None or weight.is_meta else weight.device


def device_time(device: torch.device) -> float:
    """Return the wall time in seconds once the device has finished its queued work."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()
