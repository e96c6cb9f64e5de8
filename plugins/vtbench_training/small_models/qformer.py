"""A small BLIP-2: ViT, Q-Former, LLaMA; its queries are the first tokens of the sequence."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessorPil,
    LlamaConfig,
    OPTConfig,
    PreTrainedConfig,
    T5Config,
)

from vtbench_training.small_models.base import Pixels, PromptFormat, SmallVLM
from vtbench_training.small_models.components import (
    CLIP_MEAN,
    CLIP_STD,
    decoder_sizes,
    seeded,
    special_ids,
    tower_sizes,
)
from vtbench_training.small_models.sizes import QuerySizes, Sizes
from vtbench_training.small_models.tokenizer import bpe_tokenizer


def build(
    sizes: QuerySizes, seed: int = 0, tied: bool = True, text: Literal["llama", "opt", "t5"] = "llama"
) -> tuple[Any, Any]:
    """Return a random model and its processor.

    Args:
        sizes: of its parts.
        seed: of its weights.
        tied: whether input and output embeddings share their weights.
        text: the language model: LLaMA, OPT (learned positions) or T5 (encoder and decoder).
    """
    tokenizer = bpe_tokenizer("<image>")
    if text == "t5":
        tokenizer.padding_side = "right"  # as T5's tokenizers do
    side = {"height": sizes.image_size, "width": sizes.image_size}
    pixels = BlipImageProcessorPil(size=side, image_mean=CLIP_MEAN, image_std=CLIP_STD)
    processor = Blip2Processor(pixels, tokenizer, num_query_tokens=sizes.queries)
    config = Blip2Config(
        # The config's default, 1e-10, hardly trains: published towers are loaded, never initialised.
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
        text_config=_text_config(text, sizes, len(tokenizer), tied).to_dict(),
        num_query_tokens=sizes.queries,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=tied,
    )
    return seeded(lambda: _with_queries(Blip2ForConditionalGeneration(config)), seed), processor


def _text_config(text: str, sizes: QuerySizes, vocabulary: int, tied: bool) -> PreTrainedConfig:
    if text == "llama":
        return LlamaConfig(**decoder_sizes(sizes, vocabulary, tied))
    if text == "opt":
        return OPTConfig(
            vocab_size=vocabulary,
            hidden_size=sizes.hidden,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            ffn_dim=sizes.intermediate,
            word_embed_proj_dim=sizes.hidden,
            max_position_embeddings=2048,
            tie_word_embeddings=tied,
            **special_ids(),
        )
    config = T5Config(
        vocab_size=vocabulary,
        d_model=sizes.hidden,
        d_kv=sizes.hidden // sizes.heads,
        d_ff=sizes.intermediate,
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        tie_word_embeddings=tied,
    )
    config.update({"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 2})
    return config


class QFormer(SmallVLM):
    """A fixed number of queries that attend to the patches, projected into the decoder's sequence."""

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
        """Return the tower's last hidden state without the class token."""
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
    nn.init.normal_(model.query_tokens)  # zeros in a new model: all queries would stay equal
    return model
