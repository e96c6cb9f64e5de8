"""Small random vision-language models of every family: one factory for pretraining and for tests.

`random_model(name, sizes)` gives a transformers model and its processor; `small_model(name, sizes)` the same wrapped
for pretraining, as a `SmallVLM`. A family's module says how its model is built from transformers' classes (`build`) and
what pretraining must know of it (a subclass of `SmallVLM`).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vtbench.errors import VtbenchError, nearest

if TYPE_CHECKING:
    from vtbench_training.small_models.base import SmallVLM
    from vtbench_training.small_models.sizes import Sizes

SMALL_MODELS: Mapping[str, str] = {
    "llava": "llava.Llava",
    "flamingo": "flamingo.Flamingo",
    "fuyu": "fuyu.Fuyu",
    "idefics3": "idefics3.Idefics3",
    "internvl": "internvl.InternVL",
    "llava_next": "llava_next.LlavaNext",
    "llava_onevision": "llava_onevision.LlavaOnevision",
    "mllama": "mllama.Mllama",
    "paligemma": "paligemma.PaliGemma",
    "qformer": "qformer.QFormer",
    "qwen2_vl": "qwen2_vl.Qwen2VL",
}
"""`module.Class` in this package, by the adapter that serves the finished model."""


def random_model(family: str, sizes: Sizes, seed: int = 0, **options: Any) -> tuple[Any, Any]:
    """Return a transformers model in float32 with random weights, and its processor.

    Args:
        family: one of `SMALL_MODELS`, or `gemma3`, which is not pretrained here.
        sizes: of its parts; for `flamingo` and `qformer` a `QuerySizes`.
        seed: of the weights; the same arguments give the same model, and the caller's random state is left alone.
        **options: of the `build` function in the family's module.
    """
    made: tuple[Any, Any] = import_module(f"{__name__}.{family}").build(sizes, seed, **options)
    return made


def small_model(name: str, sizes: Sizes, seed: int = 0) -> SmallVLM:
    """Return an untrained model for pretraining, the same for the same arguments.

    Args:
        name: one of `SMALL_MODELS`.
        sizes: of its parts.
        seed: of its weights.

    Raises:
        VtbenchError: there is no small model of that name.
    """
    kind = model_class(name)
    return kind(*random_model(name, sizes, seed), sizes)


def model_class(name: str) -> type[SmallVLM]:
    """Return the class behind one of `SMALL_MODELS`.

    Raises:
        VtbenchError: there is no small model of that name.
    """
    check_name(name)
    module, _, kind = SMALL_MODELS[name].partition(".")
    found: type[SmallVLM] = getattr(import_module(f"{__name__}.{module}"), kind)
    return found


def check_name(name: str) -> None:
    """Raise VtbenchError unless `SMALL_MODELS` has `name`."""
    if name not in SMALL_MODELS:
        raise VtbenchError(f"pretrain builds no model {name!r}.{nearest(name, list(SMALL_MODELS))}")
