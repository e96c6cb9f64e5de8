"""The `hf` adapter: any image-text checkpoint that transformers can load.

Build on it: `vtbench_hf.adapter.HFAdapter` serves every architecture through `generate`;
`vtbench_hf.merged.MergedAdapter` is the faster one, for models that put picture embeddings in the place of placeholder
tokens; `vtbench_families` has what is known of single families.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.adapter import Adapter


def hf(
    pretrained: str | None = None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    attn_implementation: str | None = None,
    trust_remote_code: bool = False,
    chat_template: str | None = None,
) -> Adapter:
    """Any AutoModelForImageTextToText checkpoint: `pretrained=<directory or hub name>`.

    But Fuyu's and Idefics', whose processors ask pictures and text in ways of their own: they have adapters.

    Args:
        pretrained: directory of a checkpoint, or its name on the hub.
        revision: branch, tag or commit on the hub.
        dtype: `auto` (bfloat16 on a GPU, float32 on a CPU), `float32`, `bfloat16` or `float16`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        attn_implementation: `eager`, `sdpa`, `flash_attention_2`; transformers' choice by default.
        trust_remote_code: run code that comes with the checkpoint. Off unless asked for.
        chat_template: a Jinja template, or a file that holds one, in place of the processor's.

    Raises:
        AdapterError: the checkpoint cannot be used; one line that says why and what to do.
    """
    from vtbench_hf.loading import load
    from vtbench_hf.merged import adapter_class
    from vtbench_hf.serving import OWN_PROMPTS

    loaded = load(
        "hf",
        pretrained,
        revision,
        dtype,
        device,
        attn_implementation,
        trust_remote_code,
        chat_template,
        never=OWN_PROMPTS,
    )
    return adapter_class(loaded.model.config.model_type)(loaded)


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer `hf`."""
    return {"hf": hf}
