"""A LLaVA of a few thousand parameters with the benchmark's tokenizer, for tests of fine-tuning."""

from __future__ import annotations

from pathlib import Path

import torch

from vtbench_llava.layout import save_published
from vtbench_training.small_models.llava import build_llava, build_processor
from vtbench_training.small_models.tokenizer import train_tokenizer


def write_tiny_base(directory: Path) -> Path:
    """Write the checkpoint and return where: pictures of 56 pixels, 16 visual tokens."""
    tokenizer = train_tokenizer()
    model = build_llava(
        vision_hidden=16, vision_layers=1, vision_heads=2, hidden=16, layers=2, heads=2, kv_heads=2, intermediate=16,
        image_size=56, vocab_size=tokenizer.get_vocab_size(),
    )  # fmt: skip
    save_published(model, build_processor(tokenizer, 56, 14), directory, torch.float32)
    return directory
