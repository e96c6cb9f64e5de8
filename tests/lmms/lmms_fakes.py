"""Samples, and the directories of two stand-ins for lmms-eval: one with models, one that is not installed."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from vtbench.types import Sample

PRESENT, ABSENT = (str(Path(__file__).parent / "fakes" / name) for name in ("present", "absent"))


def samples(*prompts: str) -> list[Sample]:
    """Return questions about images of different colours."""
    return [
        Sample(f"t/{i}", i, (Image.new("RGB", (4, 4), (10 * i, 0, 7)),), prompt, "x")
        for i, prompt in enumerate(prompts)
    ]
