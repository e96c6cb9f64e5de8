"""Where fine-tuning starts: a name in, a loaded LLaVA out."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from vtbench.errors import AdapterError, VtbenchError
from vtbench_hf.loading import Loaded, load
from vtbench_llava import SHIPPED, WEIGHTS

BASES = {**SHIPPED, "base": WEIGHTS}
"""Checkpoints that `base` knows by name."""


def checkpoint_of(base: str) -> str:
    """Return the directory or hub name behind one of `BASES`, or behind a checkpoint's own name.

    Raises:
        VtbenchError: it is a checkpoint of another architecture.
    """
    if base in BASES:
        if not BASES[base].is_dir():
            raise VtbenchError(f"base: the {base} model did not come with this vtbench; `vtbench pretrain` makes it")
        return str(BASES[base])
    kind = _model_type(Path(base).expanduser() / "config.json")
    if kind not in (None, "llava"):
        raise VtbenchError(
            f"base: {base} is a {kind!r} checkpoint; vtbench train trains 'llava' ones, and `vtbench run --model hf` "
            "is what runs this one"
        )
    return base


def load_base(base: str, device: torch.device) -> Loaded:
    """Load it in float32, ready to learn.

    Raises:
        VtbenchError: it cannot be loaded, or is no LLaVA.
    """
    # Short sequences on a CPU: plain attention, whose backward pass in bfloat16 takes half the time of the fused one.
    attention = "eager" if device.type == "cpu" else None
    try:
        return load("llava", checkpoint_of(base), None, "float32", str(device), attention, only="llava")
    except AdapterError as error:
        raise VtbenchError(f"base {base}: {error}") from error


def _model_type(config: Path) -> str | None:
    try:
        kind = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return None  # a hub name, or something that loading says more about
    return None if kind is None else str(kind)
