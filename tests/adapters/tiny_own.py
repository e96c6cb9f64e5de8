"""Random models with positions, masks, queries or cross-attention of their own.

Each builder returns a model and its processor.
"""

from __future__ import annotations

from typing import Any

import transformers as tf
from tiny_parts import VISION, VOCAB, fast, language

from vtbench_hf.processors import without_video


def qwen2_vl() -> tuple[Any, Any]:
    """Patches of any size of picture, 2 x 2 merger, positions in three axes."""
    made = fast("<|vision_start|>", "<|vision_end|>", image_token="<|image_pad|>", video_token="<|video_pad|>")
    pixels = tf.Qwen2VLImageProcessorPil(
        patch_size=14, merge_size=2, temporal_patch_size=2, size={"shortest_edge": 28 * 28, "longest_edge": 112 * 112}
    )
    template = (
        "{% for m in messages %}{{ m.role + ': ' }}{% for part in m.content %}{% if part.type == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}{% endfor %}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant\n{% endif %}"
    )
    ids = {name: made.convert_tokens_to_ids(f"<|{name}|>") for name in ("vision_start", "vision_end")}
    config = tf.Qwen2VLConfig(
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2},
        text_config=language(
            tf.Qwen2VLTextConfig,
            rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
        ).to_dict(),
        image_token_id=made.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=made.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
    )
    processor = without_video(tf.Qwen2VLProcessor)(pixels, made, chat_template=template)
    return tf.Qwen2VLForConditionalGeneration(config), processor


def paligemma() -> tuple[Any, Any]:
    """SigLIP, linear connector, Gemma that reads the whole prompt both ways; no chat template."""
    made = fast(image_token="<image>")
    pixels = tf.SiglipImageProcessorPil(size={"height": 28, "width": 28})
    pixels.image_seq_length = 16
    processor = tf.PaliGemmaProcessor(pixels, made)
    config = tf.PaliGemmaConfig(
        vision_config={
            **VISION,
            "model_type": "siglip_vision_model",
            "image_size": 28,
            "patch_size": 7,
            "projection_dim": 32,
            "vision_use_head": False,
        },
        text_config={
            **language(tf.GemmaConfig, head_dim=16).to_dict(),
            "vocab_size": len(made),
            "tie_word_embeddings": False,
        },
        tie_word_embeddings=False,
        image_token_index=3,
        projection_dim=32,
        hidden_size=32,
    )
    return tf.PaliGemmaForConditionalGeneration(config), processor


def gemma3() -> tuple[Any, Any]:
    """SigLIP, patches averaged 2 x 2, Gemma that reads pictures both ways; no chat template."""
    made = fast(boi_token="<start>", image_token="<image>", eoi_token="<end>")
    pixels = tf.Gemma3ImageProcessorPil(size={"height": 28, "width": 28})
    config = tf.Gemma3Config(
        vision_config=tf.SiglipVisionConfig(**VISION, image_size=28, patch_size=7, vision_use_head=False),
        text_config=language(tf.Gemma3TextConfig, head_dim=16),
        mm_tokens_per_image=4,
        image_token_index=made.image_token_id,
        boi_token_index=made.boi_token_id,
        eoi_token_index=made.eoi_token_id,
    )
    return tf.Gemma3ForConditionalGeneration(config), tf.Gemma3Processor(pixels, made, image_seq_length=4)


def blip_2() -> tuple[Any, Any]:
    """ViT, Q-Former, OPT with learned positions; no chat template."""
    made = fast()
    processor = tf.Blip2Processor(tf.BlipImageProcessorPil(size={"height": 28, "width": 28}), made, num_query_tokens=4)
    config = tf.Blip2Config(
        vision_config={**VISION, "image_size": 28, "patch_size": 7, "initializer_range": 0.02},
        qformer_config={**VISION, "encoder_hidden_size": 32, "vocab_size": 64},
        text_config=tf.OPTConfig(
            vocab_size=VOCAB,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            ffn_dim=64,
            word_embed_proj_dim=32,
            max_position_embeddings=256,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        ).to_dict(),
        num_query_tokens=4,
        image_token_index=3,
    )
    model = tf.Blip2ForConditionalGeneration(config)
    model.query_tokens.data.normal_()  # zeros in a new model: every query would be the same
    return model, processor


def blip_2_t5() -> tuple[Any, Any]:
    """The Q-Former before an encoder and a decoder."""
    model, processor = blip_2()
    text = tf.T5Config(vocab_size=VOCAB, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2)
    text.update({"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 2})
    config = model.config.to_dict() | {"text_config": text.to_dict()}
    made = tf.Blip2ForConditionalGeneration(tf.Blip2Config.from_dict(config))
    made.query_tokens.data.normal_()
    processor.tokenizer.padding_side = "right"  # as T5's tokenizers do
    return made, processor


def mllama() -> tuple[Any, Any]:
    """Pictures through cross-attention: no tokens of theirs among the prompt's."""
    made = fast("<|python_tag|>", image_token="<|image|>")
    pixels = tf.MllamaImageProcessorPil(size={"height": 28, "width": 28}, max_image_tiles=2)
    config = tf.MllamaConfig(
        vision_config=tf.MllamaVisionConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_global_layers=1,
            attention_heads=2,
            intermediate_size=64,
            vision_output_dim=64,
            image_size=28,
            patch_size=7,
            max_num_tiles=2,
            intermediate_layers_indices=[0],
            supported_aspect_ratios=[[1, 1], [1, 2], [2, 1]],
        ),
        text_config=language(tf.MllamaTextConfig, cross_attention_layers=[1]),
        image_token_index=made.convert_tokens_to_ids("<|image|>"),
    )
    model = tf.MllamaForConditionalGeneration(config)
    for name, weight in model.named_parameters():
        if "gate" in name:  # closed in a new model: it would see no picture
            weight.data.fill_(1)
    return model, tf.MllamaProcessor(pixels, made)


def idefics() -> tuple[Any, Any]:
    """ViT, perceiver resampler, gated cross-attention; no chat template."""
    made = fast("<fake_token_around_image>", image_token="<image>")
    config = tf.IdeficsConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        alpha_initializer="ones",
        use_resampler=True,
        vision_config={"embed_dim": 32, "image_size": 28, "patch_size": 7, "intermediate_size": 64}
        | {"num_hidden_layers": 2, "num_attention_heads": 2},
        perceiver_config={"use_resampler": True, "resampler_n_latents": 4, "resampler_depth": 2}
        | {"resampler_n_heads": 2, "resampler_head_dim": 16},
    )
    return tf.IdeficsForVisionText2Text(config), tf.IdeficsProcessor(tf.IdeficsImageProcessorPil(image_size=28), made)
