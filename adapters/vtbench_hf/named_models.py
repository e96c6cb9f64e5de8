"""Names that `--model` takes for models in use, which `hf` serves with nothing of their own but the model type.

A name tells which checkpoints belong to it, so that a wrong one is refused with a message and `vtbench train` finds the
adapter of a base. Families with facts of their own have files in `vtbench_families`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtbench_hf.checkpoint.arguments import LoadArguments, with_load_arguments
from vtbench_hf.checkpoint.model_types import serves

if TYPE_CHECKING:
    from vtbench.adapter import Adapter


@dataclass(frozen=True, slots=True)
class Named:
    """A name for `--model`."""

    model_types: tuple[str, ...]
    """The values of `model_type` in config.json that it serves."""
    summary: str
    """What joins vision to language."""


NAMED: Mapping[str, Named] = {
    "aya_vision": Named(
        ("aya_vision", "cohere2_vision"), "Aya Vision and Command A Vision: SigLIP on tiles, pixel shuffle."
    ),
    "deepseek_vl": Named(
        ("deepseek_vl", "deepseek_vl_hybrid"), "DeepSeek-VL: SigLIP, in the hybrid beside a SAM tower."
    ),
    "gemma3": Named(("gemma3",), "Gemma 3: SigLIP, pooled to 256 tokens that see one another."),
    "gemma3n": Named(("gemma3n",), "Gemma 3n: MobileNet, 256 tokens, inputs of single layers."),
    "gemma4": Named(("gemma4", "gemma4_unified"), "Gemma 4: native aspect ratio, pooled patches."),
    "glm4v": Named(
        ("glm4v", "glm4v_moe", "glm46v", "glm_ocr"), "GLM-4.1V to 4.6V, GLM-OCR: native resolution, merger, M-RoPE."
    ),
    "kimi": Named(("kimi_k25",), "Kimi K2.5: MoonViT at native resolution, merged patches."),
    "lfm2_vl": Named(("lfm2_vl", "lfm3_vl"), "LFM2-VL: SigLIP 2 on tiles, a decoder with convolutions."),
    "llama4": Named(("llama4",), "Llama 4: tiles, pixel shuffle, early fusion."),
    "minicpmv": Named(("minicpmv4_6", "minicpmv4_7"), "MiniCPM-V 4.6 and later: slices, merged patches."),
    "mistral3": Named(("mistral3",), "Mistral Small 3 and later: Pixtral's tower, 2 x 2 merger."),
    "molmo2": Named(("molmo2",), "Molmo 2: overlapping crops, attention pooling."),
    "ovis2": Named(("ovis2",), "Ovis 2: a visual vocabulary, whose embeddings are the tokens."),
    "perception_lm": Named(("perception_lm",), "PerceptionLM: the Perception Encoder on tiles, pooling."),
    "phi4_multimodal": Named(("phi4_multimodal",), "Phi-4 multimodal: SigLIP on tiles, a LoRA for vision."),
    "qwen2_5_vl": Named(("qwen2_5_vl",), "Qwen2.5-VL: native resolution, window attention, merger, M-RoPE."),
    "qwen3_vl": Named(
        ("qwen3_vl", "qwen3_vl_moe"), "Qwen3-VL and its MoE: as Qwen2.5-VL, and rows in later layers (DeepStack)."
    ),
    "qwen3_5": Named(
        ("qwen3_5", "qwen3_5_moe"), "Qwen3.5 and its MoE: native resolution, merger, linear attention in the decoder."
    ),
}
"""By name. Most are one model type; a file of its own would hold nothing."""


def named_factory(name: str, entry: Named) -> Callable[..., Adapter]:
    """Return the adapter factory of a name."""

    def make(arguments: LoadArguments) -> Adapter:
        from vtbench_hf.checkpoint.loader import load
        from vtbench_hf.probed_adapter import ProbedAdapter

        return ProbedAdapter(load(name, arguments, only=entry.model_types))

    make.__name__, make.__doc__ = name, entry.summary
    return serves(*entry.model_types)(with_load_arguments()(make))
