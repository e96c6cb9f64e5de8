"""Tokenizers of the small models, trained on the language of the benchmark's own task files.

Byte-level BPE for every family but Fuyu, whose processor needs a unigram tokenizer over whole words. Both encode any
text, and training them again gives the same tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene_settings import SceneSettings
from vtbench.task.catalog import find_task_files
from vtbench.task.schema import TaskFile, read_task

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<image>")
"""Their ids are 0 to 3."""
VOCABULARY_SIZE = 1024
"""Upper bound: 256 bytes, the special tokens, and merges until every word of the benchmark is one token."""
SPACE = "\u2581"
"""The space before a word, as a unigram tokenizer writes it."""


def family_files() -> list[TaskFile]:
    """Return the validated files of every built-in family, but for those of cut-outs, whose names a cast has."""
    specs = [read_task(path) for path in find_task_files().values()]
    return [spec for spec in specs if spec.family and spec.scene.cast is None]


def sentences() -> Iterator[str]:
    """Yield the benchmark's language: every question with every word it may hold, and answers."""
    spec = SceneSettings()
    names = [f"{colour} {shape}" for colour, shape in product(spec.colours, spec.shapes)]
    for task in family_files():
        for texts in task.questions.values():
            for text in texts:
                for a, shape in zip(names, spec.shapes * 8, strict=False):
                    yield f"\n{text.format(a=a, b=names[0], shape=shape)} ASSISTANT:"
    yield from ["USER: "] * 50
    draws = HashRng("vocabulary")
    for _ in range(2000):
        words = [draws.choice(tuple(group)) for group in (spec.sizes, spec.colours, spec.textures, spec.shapes)]
        relation = draws.choice(("left", "right", "above", "below", "yes", "no"))
        i, j = draws.between(1, 6), draws.between(1, 6)
        yield f" {i} {' '.join(words)} ; {j} {' '.join(words)} | {i} {relation} {j} ;"
        yield f" {words[1]}"


def train_tokenizer() -> Tokenizer:
    """Return a new copy of the byte-level BPE tokenizer."""
    return Tokenizer.from_str(_trained())


@cache
def _trained() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    text: str = tokenizer.to_str()
    return text


def bpe_tokenizer(*special: str, **named: str) -> Any:
    """Return the byte-level BPE tokenizer as a transformers tokenizer.

    Args:
        *special: further special tokens.
        **named: further special tokens that become attributes of the tokenizer, as `image_token="<image>"`.
    """
    backend = train_tokenizer()
    backend.add_special_tokens([token for token in (*special, *named.values()) if backend.token_to_id(token) is None])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=named,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def unigram_tokenizer(*special: str) -> Any:
    """Return the tokenizer that Fuyu's processor needs: words with the space before them, letters, bytes for the rest.

    The processor writes placeholders as text, drops the first token (the space that such tokenizers put before every
    text) and ends a prompt with `<0x04>`, so that no byte-level tokenizer will do. A word of the benchmark is one
    token, any other text its letters or bytes.

    Args:
        *special: tokens of their own, behind the three special ones.
    """
    words = sorted({word for text in sentences() for word in re.findall(r"[A-Za-z]+", text)})
    words = [word for word in words if len(word) > 1 and word != "ASSISTANT"]
    letters = [chr(code) for code in range(33, 127)]
    pieces = [(token, 0.0) for token in ("<pad>", "<s>", "</s>", *special)]
    pieces += [(f"<0x{byte:02X}>", -1.0) for byte in range(256)]
    pieces += [(SPACE, -1.0), *((letter, -1.0) for letter in letters), *((SPACE + c, -1.0) for c in letters)]
    pieces += [(SPACE + word, -1.0) for word in words]
    backend = Tokenizer(models.Unigram(pieces, 0, True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>", padding_side="left"
    )
