"""Task files in, a tokenizer out: byte-level BPE, small for the benchmark's language, able to encode any text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene_settings import SceneSettings
from vtbench.task.catalog import find_task_files
from vtbench.task.schema import TaskFile, read_task

SPECIAL = ("<pad>", "<s>", "</s>", "<image>")
SIZE = 1024
"""Most tokens; 256 bytes, the special tokens, and merges until every word of the benchmark is one token."""


def family_files() -> list[TaskFile]:
    """Return the checked files of every built-in family."""
    specs = [read_task(path) for path in find_task_files().values()]
    return [spec for spec in specs if spec.family]


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
    """Return the tokenizer; training it again gives the same one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    return tokenizer
