"""What the queries of one batch share: image features, and the decoder's pass over the prompts.

`generate` and each column of a ranking read the same prompts. The vision tower runs once for all of them, and so does
the decoder: its first call is answered from the first time, with a copy of the key-value cache of that time.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer


@dataclass(slots=True)
class Prefilled:
    """A decoder's output for a batch of prompts, before any token was added."""

    output: Any
    cache: Any
    length: int
    """Tokens in the cache: the prompts'."""

    @classmethod
    def of(cls, output: Any, cache: Any) -> Prefilled | None:
        """Return what a decoder's first call gave; None where it keeps no cache that can be copied."""
        if cache is None or not hasattr(cache, "get_seq_length"):
            return None
        length = int(cache.get_seq_length())
        kept = cache if _croppable(cache) else copy.deepcopy(cache)
        return cls(output, kept, length)

    def restore(self, cache: Any) -> Any:
        """Put the prompts' keys and values into a new query's cache; return the decoder's output."""
        if _croppable(self.cache):
            if (extra := int(self.cache.get_seq_length()) - self.length) > 0:
                self.cache.crop(-extra)
            cache.__dict__.update(self.cache.__dict__)
        else:
            cache.__dict__.update(copy.deepcopy(self.cache).__dict__)
        output = copy.copy(self.output)
        if getattr(output, "past_key_values", None) is not None:
            output["past_key_values"] = cache
        return output


def _croppable(cache: Any) -> bool:
    """Whether tokens that were added to a cache can be taken off again."""
    return type(cache) is DynamicCache and all(type(layer) is DynamicLayer for layer in cache.layers)


@contextmanager
def shared_features(owner: Any, known: dict[Any, Any]) -> Iterator[None]:
    """Let `owner.get_image_features` return what it returned before for the same tensors.

    Args:
        owner: the base model. Its wrapper hides arguments from its signature.
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
