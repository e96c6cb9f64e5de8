"""Random models whose decoder reads visual tokens in the place of placeholders, plain and causal.

Each builder returns a model and its processor.
"""

from __future__ import annotations

from typing import Any

import transformers as tf
from tiny_parts import VISION, VOCAB, fast, language, pieces, tokenizer

from vtbench_hf.processors import without_video
from vtbench_llava.build import build_llava, build_processor

_RESOLUTIONS = [[28, 56], [56, 28], [56, 56], [28, 84]]


def llava() -> tuple[Any, Any]:
    """CLIP, MLP connector, LLaMA; chat template."""
    model = build_llava(32, 2, 2, 32, 2, 2, 2, 64, image_size=56, vocab_size=VOCAB)
    return model, build_processor(tokenizer(), image_size=56, patch_size=14)


def idefics3(side: int = 28, cut: bool = True) -> tuple[Any, Any]:
    """SigLIP, pixel shuffle, LLaMA; several tiles of `side` pixels a picture if it is cut."""
    made = fast(
        "<fake_token_around_image>",
        "<end_of_utterance>",
        "<global-img>",
        *(f"<row_{i}_col_{j}>" for i in (1, 2) for j in (1, 2)),
    )
    pixels = tf.Idefics3ImageProcessorPil(
        size={"longest_edge": 56}, max_image_size={"longest_edge": side}, do_image_splitting=cut
    )
    config = tf.Idefics3Config(
        vision_config={**VISION, "image_size": side, "patch_size": 7},
        text_config=language(tf.LlamaConfig),
        image_token_id=3,
        scale_factor=2,
        pad_token_id=0,
    )
    processor = tf.Idefics3Processor(pixels, made, image_seq_len=(side // 14) ** 2)
    return tf.Idefics3ForConditionalGeneration(config), processor


def smolvlm() -> tuple[Any, Any]:
    """The same as Idefics3, under another model type."""
    model, processor = idefics3()
    config = model.config.to_dict() | {"model_type": "smolvlm"}
    config["vision_config"]["model_type"] = "smolvlm_vision"
    return tf.SmolVLMForConditionalGeneration(tf.SmolVLMConfig.from_dict(config)), processor


def internvl(side: int = 28, most_tiles: int = 12) -> tuple[Any, Any]:
    """ViT, pixel shuffle, Qwen2; tiles of `side` pixels; no chat template."""
    made = fast(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    pixels = tf.GotOcr2ImageProcessorPil(
        size={"height": side, "width": side}, crop_to_patches=False, max_patches=most_tiles
    )
    processor = without_video(tf.InternVLProcessor)(pixels, made, image_seq_length=(side // 14) ** 2)
    config = tf.InternVLConfig(
        vision_config=tf.InternVLVisionConfig(**VISION, image_size=[side, side], patch_size=[7, 7]),
        text_config=language(tf.Qwen2Config),
        image_token_id=made.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=(side // 14) ** 2,
    )
    return tf.InternVLForConditionalGeneration(config), processor


def llava_next() -> tuple[Any, Any]:
    """CLIP over tiles, MLP connector, LLaMA; no chat template."""
    pixels = tf.LlavaNextImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=_RESOLUTIONS
    )
    processor = tf.LlavaNextProcessor(
        pixels, fast(), patch_size=7, vision_feature_select_strategy="default", num_additional_image_tokens=1
    )
    config = tf.LlavaNextConfig(
        vision_config=tf.CLIPVisionConfig(**VISION, image_size=28, patch_size=7),
        text_config=language(tf.LlamaConfig),
        image_grid_pinpoints=_RESOLUTIONS,
        image_token_index=3,
    )
    return tf.LlavaNextForConditionalGeneration(config), processor


def llava_onevision() -> tuple[Any, Any]:
    """SigLIP over tiles, MLP connector, Qwen2; rows of tokens averaged where there are too many."""
    pixels = tf.LlavaOnevisionImageProcessorPil(size={"height": 28, "width": 28}, image_grid_pinpoints=_RESOLUTIONS)
    processor = without_video(tf.LlavaOnevisionProcessor)(
        pixels,
        fast("<video>"),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_2",
    )
    config = tf.LlavaOnevisionConfig(
        vision_config=tf.SiglipVisionConfig(**VISION, image_size=28, patch_size=7, vision_use_head=False),
        text_config=language(tf.Qwen2Config),
        image_grid_pinpoints=_RESOLUTIONS,
        vision_aspect_ratio="anyres_max_2",
        image_token_index=3,
        video_token_index=4,
    )
    return tf.LlavaOnevisionForConditionalGeneration(config), processor


def fuyu() -> tuple[Any, Any]:
    """Patches straight into a Persimmon; no chat template."""
    pixels = tf.FuyuImageProcessorPil(
        size={"height": 112, "width": 112}, patch_size={"height": 14, "width": 14}, padding_value=0.0
    )
    text = language(tf.PersimmonConfig, partial_rotary_factor=0.5).to_dict()
    config = tf.FuyuConfig(text_config=text, image_size=56, patch_size=14, image_token_id=3)
    return tf.FuyuForCausalLM(config), tf.FuyuProcessor(pixels, pieces())
