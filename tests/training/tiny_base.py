"""A LLaVA of a few thousand parameters with the benchmark's tokenizer, for tests of fine-tuning."""

from __future__ import annotations

from pathlib import Path

import torch

from vtbench_hf.checkpoint.published import save_published
from vtbench_training.small_models import random_model
from vtbench_training.small_models.sizes import Sizes


def write_tiny_base(directory: Path) -> Path:
    """Write the checkpoint and return where: images of 56 pixels, 16 visual tokens."""
    sizes = Sizes(
        vision_hidden=16, vision_layers=1, vision_heads=2, hidden=16, layers=2, heads=2, kv_heads=2, intermediate=16,
        image_size=56,
    )  # fmt: skip
    save_published(*random_model("llava", sizes), directory, torch.float32)
    return directory
