"""The devices of a model whose layers lie on several: inputs go where its token embeddings compute."""

from __future__ import annotations

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
