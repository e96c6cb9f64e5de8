"""A random SmolVLM for tests: an Idefics3 under another model type."""

from __future__ import annotations

from typing import Any

from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration

from vtbench_training.small_models.components import seeded
from vtbench_training.small_models.idefics3 import build as build_idefics3
from vtbench_training.small_models.sizes import Sizes


def build(sizes: Sizes, seed: int = 0, **options: Any) -> tuple[Any, Any]:
    """Return a random model and its processor; the options are those of `idefics3.build`."""
    model, processor = build_idefics3(sizes, seed, **options)
    content = model.config.to_dict() | {"model_type": "smolvlm"}
    content["vision_config"]["model_type"] = "smolvlm_vision"
    config = SmolVLMConfig.from_dict(content)
    return seeded(lambda: SmolVLMForConditionalGeneration(config), seed), processor
