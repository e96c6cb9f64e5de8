"""The `llava` adapter: the small LLaVA that ships with vtbench, or any LLaVA checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.adapter import Adapter

WEIGHTS = Path(__file__).parent / "weights"
"""The embedded checkpoint, in the published layout, with its card."""


def llava(
    pretrained: str | None = None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    attn_implementation: str | None = None,
    trust_remote_code: bool = False,
    chat_template: str | None = None,
) -> Adapter:
    """LLaVA: the small one that ships with vtbench, or `pretrained=<directory or hub name>`.

    Args:
        pretrained: directory of a LLaVA checkpoint in the transformers format, or its name on the hub.
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

    embedded = pretrained is None
    loaded = load(
        "llava",
        str(WEIGHTS) if embedded else pretrained,
        revision,
        dtype,
        device,
        attn_implementation,
        trust_remote_code,
        chat_template,
        label="embedded" if embedded else None,
        only="llava",
    )
    return LlavaAdapter(loaded)


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer `llava`."""
    return {"llava": llava}
