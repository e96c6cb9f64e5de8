"""A small BLIP-2: ViT, Q-Former, LLaMA; its queries stand before everything else."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessorPil,
    LlamaConfig,
)

from vtbench_training.small_models.base import Pixels, PromptFormat, SmallVLM
from vtbench_training.small_models.components import CLIP_MEAN, CLIP_STD, decoder_sizes, seeded, tower_sizes
from vtbench_training.small_models.sizes import QuerySizes, Sizes
from vtbench_training.small_models.tokenizer import bpe_tokenizer


def build(sizes: QuerySizes, seed: int = 0) -> tuple[Any, Any]:
    """Return a random model and its processor."""
    tokenizer = bpe_tokenizer("<image>")
    side = {"height": sizes.image_size, "width": sizes.image_size}
    pixels = BlipImageProcessorPil(size=side, image_mean=CLIP_MEAN, image_std=CLIP_STD)
    processor = Blip2Processor(pixels, tokenizer, num_query_tokens=sizes.queries)
    config = Blip2Config(
        # Published towers are loaded, never drawn: the config's own range, 1e-10, hardly learns.
        vision_config={**tower_sizes(sizes), "initializer_range": 0.02},
        qformer_config={
            "hidden_size": sizes.hidden,
            "num_hidden_layers": sizes.connector_layers,
            "num_attention_heads": sizes.heads,
            "intermediate_size": sizes.intermediate,
            "encoder_hidden_size": sizes.vision_hidden,
            "cross_attention_frequency": 1,
            "vocab_size": 1,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        text_config=LlamaConfig(**decoder_sizes(sizes, len(tokenizer))).to_dict(),
        num_query_tokens=sizes.queries,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=True,
    )
    return seeded(lambda: _with_queries(Blip2ForConditionalGeneration(config)), seed), processor


class QFormer(SmallVLM):
    """A fixed number of queries that look at the patches, projected into the decoder's sequence."""

    description = "BLIP-2: ViT, Q-Former, LLaMA"
    vision_modules = ("vision_model",)
    prompt_format = PromptFormat(before_answer=" ")

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        super().__init__(model, processor, sizes)
        self.prefix_ids = [model.config.image_token_index] * model.config.num_query_tokens

    @property
    def decoder(self) -> nn.Module:
        """The LLaMA."""
        module: nn.Module = self.model.language_model.model
        return module

    def patch_features(self, pixels: Pixels) -> Tensor:
        """Return the tower's tokens, without the one of its class."""
        tokens: Tensor = self.model.vision_model(pixels["pixel_values"]).last_hidden_state[:, 1:]
        return tokens

    def visual_tokens(self, pixels: Pixels) -> Tensor:
        """Return the projected queries."""
        seen = self.model.vision_model(pixels["pixel_values"]).last_hidden_state
        queries = self.model.query_tokens.expand(len(seen), -1, -1)
        read = self.model.qformer(query_embeds=queries, encoder_hidden_states=seen).last_hidden_state
        tokens: Tensor = self.model.language_projection(read)
        return tokens


def _with_queries(model: Blip2ForConditionalGeneration) -> Blip2ForConditionalGeneration:
    nn.init.normal_(model.query_tokens)  # zeros in a new model: every query would stay the same as the next
    return model
