"""Adapters for transformers' families of image-text models: one for each way of joining vision to language.

A family's module says what differs: where its visual tokens are, which part of the picture each stands for, which sizes
of picture it takes. `base.Family` is what they share. docs/architectures.md has them side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from vtbench.errors import AdapterError
from vtbench.hookspecs import hookimpl
from vtbench_hf.serving import serves

if TYPE_CHECKING:
    from vtbench.adapter import Adapter

_ARGUMENTS = """

    Args:
        pretrained: directory of a checkpoint in the transformers format, or its name on the hub; by default the
            small one of the package vtbench-zoo, where it has one.
        revision: branch, tag or commit on the hub.
        dtype: `auto` (bfloat16 on a GPU, float32 on a CPU), `float32`, `bfloat16` or `float16`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        attn_implementation: `eager`, `sdpa`, `flash_attention_2`; transformers' choice by default.
        chat_template: a Jinja template, or a file that holds one, in place of the processor's.
        image_size: side in pixels of the pictures that tasks draw; the family's own choice by default.

    Raises:
        AdapterError: the checkpoint or the size cannot be used; one line that says why and what to do.
    """


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a family before its backend is imported."""

    adapter: str
    """`module.Class` in this package."""
    model_types: tuple[str, ...]
    """Of config.json."""
    summary: str
    small: bool = False
    """Whether the package vtbench-zoo has a small one."""


FAMILIES: Mapping[str, Entry] = {
    "flamingo": Entry(
        "flamingo.Flamingo",
        ("idefics",),
        "Idefics, an open Flamingo: perceiver resampler, gated cross-attention.",
        small=True,
    ),
    "fuyu": Entry("fuyu.Fuyu", ("fuyu",), "Fuyu: no vision tower, patches go straight into the decoder.", small=True),
    "idefics3": Entry("idefics3.Idefics3", ("idefics3", "smolvlm"), "Idefics3 and SmolVLM: tiles, pixel shuffle."),
    "internvl": Entry("internvl.InternVL", ("internvl",), "InternVL: tiles, pixel shuffle, MLP."),
    "llava_next": Entry("llava_next.LlavaNext", ("llava_next",), "LLaVA-NeXT: LLaVA on tiles of any resolution."),
    "llava_onevision": Entry(
        "llava_next.LlavaOnevision", ("llava_onevision",), "LLaVA-OneVision: SigLIP on tiles of any resolution, Qwen2."
    ),
    "mllama": Entry("mllama.Mllama", ("mllama",), "Llama 3.2 Vision: pictures through cross-attention layers."),
    "paligemma": Entry("paligemma.PaliGemma", ("paligemma",), "PaliGemma: SigLIP, one linear layer, a prefix LM."),
    "qformer": Entry(
        "qformer.QFormer", ("blip-2",), "BLIP-2: a Q-Former's queries in front of a frozen LM.", small=True
    ),
    "qwen2_vl": Entry(
        "qwen2_vl.Qwen2VL", ("qwen2_vl",), "Qwen2-VL: native resolution, 2 x 2 merger, M-RoPE.", small=True
    ),
}
"""By the name that `--model` takes."""


def _factory(name: str, entry: Entry) -> Callable[..., Adapter]:
    def make(
        pretrained: str | None = None,
        revision: str | None = None,
        dtype: str = "auto",
        device: str = "auto",
        attn_implementation: str | None = None,
        chat_template: str | None = None,
        image_size: int | None = None,
    ) -> Adapter:
        from vtbench_hf.loading import load
        from vtbench_hf.shipped import shipped

        own = shipped(name) if pretrained is None else None
        if pretrained is None and own is None and entry.small:
            raise AdapterError(
                f"--model {name} needs a checkpoint: `pip install 'vtbench[zoo]'` brings a small one; or"
                " --model-args pretrained=<directory, or hub name like org/model>"
            )
        module, _, adapter = entry.adapter.partition(".")
        loaded = load(
            name,
            pretrained if own is None else str(own),
            revision,
            dtype,
            device,
            attn_implementation,
            chat_template=chat_template,
            label=None if own is None else f"zoo/{name}",
            only=entry.model_types,
        )
        made: Adapter = getattr(import_module(f"{__name__}.{module}"), adapter)(loaded, image_size)
        return made

    make.__name__ = name
    make.__doc__ = entry.summary + _ARGUMENTS
    return serves(*entry.model_types)(make)


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer one adapter a family."""
    return {name: _factory(name, entry) for name, entry in FAMILIES.items()}
