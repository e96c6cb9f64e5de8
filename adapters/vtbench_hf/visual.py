"""Connector tokens of any architecture: whatever `get_image_features` returns in, (n, N, d) out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from vtbench.errors import SampleError

_TEXT = {"input_ids", "attention_mask"}


def image_features(model: Any, inputs: Mapping[str, Any]) -> Any:
    """Return what the model's `get_image_features` gives for a batch's pictures."""
    accepted = inspect.signature(model.get_image_features).parameters
    return model.get_image_features(**{k: v for k, v in inputs.items() if k in accepted and k not in _TEXT})


def connector_rows(features: Any) -> torch.Tensor | list[torch.Tensor]:
    """Return the connector's tokens: a tensor, or a list with one a picture or tile."""
    rows = getattr(features, "pooler_output", features)
    return list(rows) if isinstance(rows, list | tuple) else rows


def by_sample(rows: torch.Tensor | list[torch.Tensor], samples: int) -> torch.Tensor:
    """Return the tokens as (samples, N, d): a sample's pictures and tiles follow each other.

    Raises:
        SampleError: the samples do not have equally many tokens.
    """
    if isinstance(rows, list):
        counts = {len(row) for row in rows}
        equal = len(counts) == 1 and len(rows) % samples == 0
        rows = torch.cat([row.reshape(-1, row.shape[-1]) for row in rows]) if equal else rows
    else:
        equal = rows.shape[0] % samples == 0
    if not equal or isinstance(rows, list):
        raise SampleError("the pictures of this batch have unequal numbers of visual tokens; one size gives one number")
    return rows.reshape(samples, -1, rows.shape[-1])
