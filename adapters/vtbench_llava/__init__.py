"""The `llava` adapter: a small LLaVA that ships with vtbench, or any LLaVA checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vtbench.hookspecs import hookimpl
from vtbench_hf.serving import serves

if TYPE_CHECKING:
    from vtbench.adapter import Adapter

WEIGHTS = Path(__file__).parent / "weights"
"""The embedded checkpoint, in the published layout, with its card."""
NEUTRAL = WEIGHTS.parent / "neutral"
"""The same model trained on captions alone: where a study of fine-tuning starts. With its card."""
SHIPPED: Mapping[str, Path] = {"embedded": WEIGHTS, "neutral": NEUTRAL}
"""Checkpoints that `pretrained=` knows by name; a directory of that name is `./neutral`."""


@serves("llava")
def llava(
    pretrained: str | None = None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    attn_implementation: str | None = None,
    trust_remote_code: bool = False,
    chat_template: str | None = None,
) -> Adapter:
    """LLaVA: the small one that ships with vtbench, or `pretrained=<neutral, directory or hub name>`.

    Args:
        pretrained: directory of a LLaVA checkpoint in the transformers format, or its name on the hub; `neutral` is
            the one that ships beside the `embedded` default, trained on captions alone.
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
    from vtbench_llava.adapter import LlavaAdapter

    name = "embedded" if pretrained is None else pretrained
    loaded = load(
        "llava",
        str(SHIPPED.get(name, name)),
        revision,
        dtype,
        device,
        attn_implementation,
        trust_remote_code,
        chat_template,
        label=name,
        only="llava",
    )
    return LlavaAdapter(loaded)


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer `llava`."""
    return {"llava": llava}
