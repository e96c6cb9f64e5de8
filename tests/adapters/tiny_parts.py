"""What random models are made of: small tokenizers, and the sizes that their configs share."""

from __future__ import annotations

from typing import Any

import transformers as tf
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

VOCAB = 512
"""Of every model: room for what processors add to the tokenizer's 320."""
WORDS = "is the red circle left right above below of blue square yes no USER: ASSISTANT: where what colour shape"
VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
"""Sizes of a vision tower."""


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


def pieces() -> Any:
    """Return a tokenizer as Fuyu's: pieces and bytes, a space put before every text."""
    letters = [chr(i) for i in range(33, 127)]
    vocabulary = [
        "<pad>",
        "<s>",
        "</s>",
        "|SPEAKER|",
        "|NEWLINE|",
        *(f"<0x{i:02X}>" for i in range(256)),
        "\u2581",
        *letters,
    ]
    vocabulary += [f"\u2581{word}" for word in dict.fromkeys(WORDS.split())]
    made = Tokenizer(models.Unigram([(piece, -0.1 * (len(piece) == 1)) for piece in vocabulary], 0, True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>", padding_side="left"
    )


def language(kind: Any, **more: Any) -> Any:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return kind(vocab_size=VOCAB, intermediate_size=64, **sizes, **ids, **more)
