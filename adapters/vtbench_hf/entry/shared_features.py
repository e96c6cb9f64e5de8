"""Image features that are computed once for the queries about one batch."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def shared_features(owner: Any, known: dict[Any, Any]) -> Iterator[None]:
    """Let `owner.get_image_features` return what it returned before for the same tensors.

    Args:
        owner: the base model. The model around it hides arguments from its signature.
        known: what was returned, by the call's arguments; the caller clears it after the batch.
    """
    compute: Callable[..., Any] | None = getattr(owner, "get_image_features", None)
    if compute is None:
        yield
        return

    @functools.wraps(compute)  # `generate` reads its signature
    def remembered(*args: Any, **kwargs: Any) -> Any:
        key = (tuple(map(_identity, args)), tuple((name, _identity(value)) for name, value in sorted(kwargs.items())))
        if key not in known:
            known[key] = (compute(*args, **kwargs), args, kwargs)  # the tensors live on, so no other takes their place
        return copy.copy(known[key][0])

    owner.get_image_features = remembered
    try:
        yield
    finally:
        del owner.get_image_features


def _identity(value: Any) -> Any:
    if torch.is_tensor(value):
        return (value.data_ptr(), tuple(value.shape), value.dtype)
    if isinstance(value, list | tuple):
        return tuple(map(_identity, value))
    return value if isinstance(value, str | int | float | bool | None) else id(value)
