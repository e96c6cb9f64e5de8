"""Adapters for transformers' families of image-text models: one for each way of joining vision to language.

A family's module holds what differs from `vtbench_hf.adapter.HFAdapter`: where its visual tokens are, which part of the
image each stands for, which image sizes it takes. `base.Family` holds what the families share. docs/architectures.md
compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

from vtbench.errors import AdapterError, install_command
from vtbench.hookspecs import hookimpl
from vtbench_hf.checkpoint.arguments import LoadArguments, with_load_arguments
from vtbench_hf.checkpoint.model_types import serves

if TYPE_CHECKING:
    from vtbench.adapter import Adapter


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a family before its backend is imported."""

    adapter: str
    """`module.Class` in this package."""
    model_types: tuple[str, ...]
    """The values of `model_type` in config.json that it serves."""
    summary: str
    small: bool = False
    """Whether the package vtbench-zoo has a small trained model of it."""


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
    "mllama": Entry("mllama.Mllama", ("mllama",), "Llama 3.2 Vision: images through cross-attention layers."),
    "paligemma": Entry("paligemma.PaliGemma", ("paligemma",), "PaliGemma: SigLIP, one linear layer, a prefix LM."),
    "qformer": Entry(
        "qformer.QFormer", ("blip-2",), "BLIP-2: a Q-Former's queries in front of a frozen LM.", small=True
    ),
    "qwen2_vl": Entry(
        "qwen2_vl.Qwen2VL", ("qwen2_vl",), "Qwen2-VL: native resolution, 2 x 2 merger, M-RoPE.", small=True
    ),
}
"""The families, by the name that `--model` takes."""


def _factory(name: str, entry: Entry) -> Callable[..., Adapter]:
    def make(arguments: LoadArguments, *, image_size: int | None = None) -> Adapter:
        from vtbench_hf.checkpoint.files import zoo_checkpoint
        from vtbench_hf.checkpoint.loader import load

        label = None
        if arguments.pretrained is None and entry.small:
            directory = zoo_checkpoint(name)
            if directory is None:
                raise AdapterError(
                    f"--model {name} needs a checkpoint: {install_command('zoo')} brings a small one; or"
                    " --model-args pretrained=<directory, or hub name like org/model>"
                )
            arguments, label = replace(arguments, pretrained=str(directory)), f"zoo/{name}"
        module, _, adapter = entry.adapter.partition(".")
        loaded = load(name, arguments, label=label, only=entry.model_types)
        made: Adapter = getattr(import_module(f"{__name__}.{module}"), adapter)(loaded, image_size)
        return made

    make.__name__, make.__doc__ = name, entry.summary
    decorate = with_load_arguments(
        without=["trust_remote_code"],
        pretrained="directory of a checkpoint in the transformers format, or its name on the hub; by default the"
        " small one of the package vtbench-zoo, where it has one.",
        image_size="side in pixels of the images that tasks draw; the family's own choice by default.",
    )
    return serves(*entry.model_types)(decorate(make))


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer one adapter for each family."""
    return {name: _factory(name, entry) for name, entry in FAMILIES.items()}
