"""The small models that learn by a recipe: one for each way of joining vision to language, all with the same lessons.

A name and sizes in, an untrained `Pupil` out. A family's module says how its model is built from transformers' classes
and what training must know of it; `base.Pupil` is what they share.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from vtbench.errors import VtbenchError, nearest

if TYPE_CHECKING:
    from vtbench_training.pupils.base import Pupil
    from vtbench_training.recipe import Sizes

PUPILS: Mapping[str, str] = {
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


def pupil(name: str, sizes: Sizes, seed: int = 0) -> Pupil:
    """Build an untrained model, the same for the same arguments.

    Args:
        name: one of `PUPILS`.
        sizes: of its parts.
        seed: of its first weights.

    Raises:
        VtbenchError: there is no small model of that name.
    """
    return kind_of(name).build(sizes, seed)


def kind_of(name: str) -> type[Pupil]:
    """Return the class behind one of `PUPILS`.

    Raises:
        VtbenchError: there is no small model of that name.
    """
    check_name(name)
    module, _, kind = PUPILS[name].partition(".")
    found: type[Pupil] = getattr(import_module(f"{__name__}.{module}"), kind)
    return found


def check_name(name: str) -> None:
    """Refuse a name that none of `PUPILS` has."""
    if name not in PUPILS:
        raise VtbenchError(f"pretrain builds no model {name!r}.{nearest(name, list(PUPILS))}")
