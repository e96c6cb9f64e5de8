"""Random image-text models of many architectures, a few thousand parameters each, made without a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import torch
import transformers as tf
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from vtbench.types import Sample
from vtbench_hf.loading import Loaded, make_greedy
from vtbench_llava.build import build_llava, build_processor

VOCAB = 512
"""Of every model: room for what processors add to the tokenizer's 320."""
WORDS = "is the red circle left right above below of blue square yes no USER: ASSISTANT: where what colour shape"


def tokenizer(*special: str) -> Tokenizer:
    """Return a byte-level BPE tokenizer with `<pad>`, `<s>`, `</s>`, `<image>` and `special` first."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<pad>", "<s>", "</s>", "<image>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([WORDS] * 4, trainer)
    return made


def fast(*special: str, **named: str) -> Any:
    """Return the same as a transformers tokenizer; `named` special tokens become its attributes."""
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(*special, *named.values()),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=named,
        padding_side="left",
    )


def _text(kind: Any, **more: Any) -> Any:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return kind(vocab_size=VOCAB, intermediate_size=64, **sizes, **ids, **more)


def _no_video(kind: Any, *parts: Any, **more: Any) -> Any:
    """Return a processor without its video half, which needs torchvision and is not asked for here."""
    with mock.patch.object(kind, "check_argument_for_proper_class"):
        return kind(*parts, video_processor=None, **more)


_VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def llava() -> tuple[Any, Any]:
    """CLIP, MLP connector, LLaMA; chat template."""
    model = build_llava(32, 2, 2, 32, 2, 2, 2, 64, image_size=56, vocab_size=VOCAB)
    return model, build_processor(tokenizer(), image_size=56, patch_size=14)


def idefics3() -> tuple[Any, Any]:
    """SigLIP, pixel shuffle, LLaMA; several tiles a picture."""
    made = fast(
        "<fake_token_around_image>",
        "<end_of_utterance>",
        "<global-img>",
        *(f"<row_{i}_col_{j}>" for i in (1, 2) for j in (1, 2)),
    )
    pixels = tf.Idefics3ImageProcessorPil(size={"longest_edge": 56}, max_image_size={"longest_edge": 28})
    config = tf.Idefics3Config(
        vision_config={**_VISION, "image_size": 28, "patch_size": 7},
        text_config=_text(tf.LlamaConfig),
        image_token_id=3,
        scale_factor=2,
        pad_token_id=0,
    )
    return tf.Idefics3ForConditionalGeneration(config), tf.Idefics3Processor(pixels, made, image_seq_len=4)


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
        text_config=_text(
            tf.Qwen2VLTextConfig,
            rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
        ).to_dict(),
        image_token_id=made.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=made.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
    )
    processor = _no_video(tf.Qwen2VLProcessor, pixels, made, chat_template=template)
    return tf.Qwen2VLForConditionalGeneration(config), processor


def paligemma() -> tuple[Any, Any]:
    """SigLIP, linear connector, Gemma that reads the whole prompt both ways; no chat template."""
    made = fast(image_token="<image>")
    pixels = tf.SiglipImageProcessorPil(size={"height": 28, "width": 28})
    pixels.image_seq_length = 16
    processor = tf.PaliGemmaProcessor(pixels, made)
    config = tf.PaliGemmaConfig(
        vision_config={
            **_VISION,
            "model_type": "siglip_vision_model",
            "image_size": 28,
            "patch_size": 7,
            "projection_dim": 32,
            "vision_use_head": False,
        },
        text_config={
            **_text(tf.GemmaConfig, head_dim=16).to_dict(),
            "vocab_size": len(made),
            "tie_word_embeddings": False,
        },
        tie_word_embeddings=False,
        image_token_index=3,
        projection_dim=32,
        hidden_size=32,
    )
    return tf.PaliGemmaForConditionalGeneration(config), processor


def blip_2() -> tuple[Any, Any]:
    """ViT, Q-Former, OPT with learned positions; no chat template."""
    made = fast()
    processor = tf.Blip2Processor(tf.BlipImageProcessorPil(size={"height": 28, "width": 28}), made, num_query_tokens=4)
    config = tf.Blip2Config(
        vision_config={**_VISION, "image_size": 28, "patch_size": 7, "initializer_range": 0.02},
        qformer_config={**_VISION, "encoder_hidden_size": 32, "vocab_size": 64},
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
    return tf.Blip2ForConditionalGeneration(config), processor


def internvl() -> tuple[Any, Any]:
    """ViT, pixel shuffle, Qwen2; no chat template."""
    made = fast(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    pixels = tf.GotOcr2ImageProcessorPil(size={"height": 28, "width": 28}, crop_to_patches=False)
    processor = _no_video(tf.InternVLProcessor, pixels, made, image_seq_length=4)
    config = tf.InternVLConfig(
        vision_config=tf.InternVLVisionConfig(**_VISION, image_size=[28, 28], patch_size=[7, 7]),
        text_config=_text(tf.Qwen2Config),
        image_token_id=made.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    return tf.InternVLForConditionalGeneration(config), processor


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
        text_config=_text(tf.MllamaTextConfig, cross_attention_layers=[1]),
        image_token_index=made.convert_tokens_to_ids("<|image|>"),
    )
    return tf.MllamaForConditionalGeneration(config), tf.MllamaProcessor(pixels, made)


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava": llava,
    "idefics3": idefics3,
    "qwen2_vl": qwen2_vl,
    "paligemma": paligemma,
    "blip-2": blip_2,
    "internvl": internvl,
    "mllama": mllama,
}


def loaded(name: str, seed: int = 0) -> Loaded:
    """Return a random model as `vtbench_hf.loading.load` would."""
    torch.manual_seed(seed)
    model, processor = BUILDERS[name]()
    with torch.no_grad():
        for weight in model.parameters():  # initial weights are too small to tell one answer from another
            if weight.ndim > 1:
                weight.mul_(4)
    make_greedy(model.generation_config, processor.tokenizer)
    return Loaded(model.eval(), processor, f"tiny {name}")


def sample(index: int, prompt: str, choices: tuple[str, ...] = (), size: tuple[int, int] = (56, 56)) -> Sample:
    """Return a sample with a picture of noise."""
    pixels = np.random.default_rng(index).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Sample(str(index), index, (Image.fromarray(pixels),), prompt, choices[0] if choices else "", choices)


def batch(size: tuple[int, int] = (56, 56)) -> list[Sample]:
    """Return samples whose prompts and choices differ in length."""
    return [
        sample(0, "is the red circle left of the blue square?", ("yes", "no"), size),
        sample(1, "where?", ("left", "right", "far below it"), size),
        sample(2, "what shape is above the big green thing with dots?", ("circle", "zebra"), size),
    ]
