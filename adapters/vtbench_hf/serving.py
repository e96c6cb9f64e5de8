"""Which adapter runs which family: a factory says what it serves, and a checkpoint of another is told where to go.

Importing this costs nothing: no backend comes with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

OWN_PROMPTS = frozenset({"fuyu", "idefics"})
"""Model types whose processors want pictures and text in a way of their own: only their own adapters ask them right."""

Factory = TypeVar("Factory", bound=Callable[..., Any])


def serves(*model_types: str) -> Callable[[Factory], Factory]:
    """Mark an adapter's factory with the `model_type`s of config.json that it takes, and the packages it needs."""

    def mark(factory: Factory) -> Factory:
        vars(factory)["model_types"] = model_types
        vars(factory)["requires"] = ("torch", "transformers")
        return factory

    return mark


def server_of(model_type: str) -> str:
    """Return the name of the installed adapter for a model type: `hf`, which takes any, where none names it.

    >>> server_of("llava"), server_of("aria")
    ('llava', 'hf')
    """
    from vtbench.registry import Registry

    adapters = Registry(warn=lambda _: None).adapters()
    named = (name for name, known in adapters.items() if model_type in getattr(known.factory, "model_types", ()))
    return next(named, "hf")
