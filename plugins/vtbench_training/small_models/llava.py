"""A small LLaVA: CLIP ViT (class token dropped, last hidden state), two-layer MLP connector, LLaMA, tied embeddings.

Its patches are its visual tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from vtbench_hf.training import end_of_answer
from vtbench_training.small_models.base import PromptFormat, SmallVLM
from vtbench_training.small_models.components import chat_template, decoder_sizes, seeded, tower_sizes
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.small_models.tokenizer import train_tokenizer

IMAGE = "<image>"
_QUESTION = "vtbenchquestion"
"""Stands for a question in a template."""


def build(sizes: Sizes, seed: int = 0) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """Return a random model and its processor."""
    backend = train_tokenizer()
    model = build_llava(sizes, backend.get_vocab_size(), seed)
    return model, build_processor(backend, sizes.image_size, sizes.patch_size)


def build_llava(sizes: Sizes, vocab_size: int = 1024, seed: int = 0) -> LlavaForConditionalGeneration:
    """Return a random LLaVA in float32 for a tokenizer of one's own, as `build` does for the benchmark's.

    Args:
        sizes: of its parts.
        vocab_size: of the tokenizer, whose ids 0 to 3 are `<pad>`, `<s>`, `</s>` and `<image>`.
        seed: of the weights; the same arguments give the same model, and the caller's random state is left alone.

    Raises:
        ValueError: the image is not a whole number of patches wide.
    """
    if sizes.image_size % sizes.patch_size:
        raise ValueError(f"image_size {sizes.image_size} is not a multiple of patch_size {sizes.patch_size}")
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**tower_sizes(sizes), projection_dim=sizes.vision_hidden),
        text_config=LlamaConfig(**decoder_sizes(sizes, vocab_size)),
        image_token_index=3,
        image_seq_length=sizes.grid**2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    return seeded(lambda: LlavaForConditionalGeneration(config), seed)


def build_processor(tokenizer: Tokenizer | Path | str, image_size: int, patch_size: int) -> LlavaProcessor:
    """Return the processor of `build_llava`: CLIP's resize, crop and normalise, the tokenizer and the chat template.

    Args:
        tokenizer: a `tokenizers.Tokenizer` or its tokenizer.json, holding `<pad>`, `<s>`, `</s>` and `<image>`.
        image_size: side in pixels; the shorter edge is resized to it, then the centre is cut out.
        patch_size: side of a patch in pixels.

    Raises:
        ValueError: the tokenizer lacks a special token.
    """
    backend = tokenizer if isinstance(tokenizer, Tokenizer) else Tokenizer.from_file(str(tokenizer))
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    for token in (*special.values(), IMAGE):
        if backend.token_to_id(token) is None:
            raise ValueError(f"the tokenizer has no {token} token")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **special,
        extra_special_tokens={"image_token": IMAGE},
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    pixels = CLIPImageProcessorPil(
        size={"shortest_edge": image_size}, crop_size={"height": image_size, "width": image_size}
    )
    return LlavaProcessor(
        image_processor=pixels,
        tokenizer=fast,
        patch_size=patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat_template(IMAGE),
    )


class Llava(SmallVLM):
    """The tower's patches go through the connector into the decoder's sequence.

    Its prompt is the processor's chat template, cut at the image and at the question.
    """

    description = "CLIP ViT, two-layer MLP connector, LLaMA"

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        self.before_image, self.prompt_format = chat_parts(model, processor)
        start = self.tokenizer.encode(self.before_image, add_special_tokens=False).ids
        self.prefix_ids = [*start, *[model.config.image_token_id] * sizes.grid**2]


def chat_parts(model: Any, processor: Any) -> tuple[str, PromptFormat]:
    """Return a chat template's text before the image, and that around a question and its answer."""
    parts = [{"type": "image"}, {"type": "text", "text": _QUESTION}]
    chat = [{"role": "user", "content": parts}]
    prompt: str = processor.apply_chat_template(chat, add_generation_prompt=True)
    before_image, _, behind = prompt.partition(processor.image_token)
    before, _, after = behind.partition(_QUESTION)
    end = end_of_answer(model, processor.tokenizer)
    # As `ChoiceTokenizer` has an answer: behind whitespace or a special token as it is, else behind a space.
    tokenizer = processor.tokenizer
    last = tokenizer.encode(after, add_special_tokens=False)[-1:]
    no_space = after[-1:].isspace() or (last and last[0] in tokenizer.added_tokens_decoder)
    return before_image, PromptFormat(before, after, "" if no_space else " ", tokenizer.convert_ids_to_tokens(end))
