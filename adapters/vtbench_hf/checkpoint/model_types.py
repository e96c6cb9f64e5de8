"""Which adapter serves which `model_type` of config.json. Importing this imports no backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

CUSTOM_PROMPTS = frozenset({"fuyu", "idefics"})
"""Model types whose processors take images and text in a way of their own; `hf` leaves them to their own adapters."""

Factory = TypeVar("Factory", bound=Callable[..., Any])


def serves(*model_types: str) -> Callable[[Factory], Factory]:
    """Mark an adapter's factory with the model types that it takes, and with the packages that it needs."""

    def mark(factory: Factory) -> Factory:
        vars(factory)["model_types"] = model_types
        vars(factory)["requires"] = ("torch", "transformers")
        return factory

    return mark


def adapter_for(model_type: str) -> str:
    """Return the name of the installed adapter that serves a model type; `hf`, which takes any, where none names it.

    >>> adapter_for("llava"), adapter_for("aria")
    ('llava', 'hf')
    """
    from vtbench.registry import Registry

    adapters = Registry(warn=lambda _: None).named("model")
    named = (name for name, known in adapters.items() if model_type in getattr(known.factory, "model_types", ()))
    return next(named, "hf")
