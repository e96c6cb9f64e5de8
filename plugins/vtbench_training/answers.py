"""Prompts and the tokens of their answers in, the inputs of one pass over both and its targets out.

A prompt's inputs are whatever its processor makes. Those that go token by token (masks, marks of what a token is, which
pictures it may look at) go on over the answer as they are at the prompt's last token, which is text as the answer is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vtbench_training.packing import IGNORE


def behind(
    prompts: Mapping[str, Tensor], answers: Sequence[Sequence[int]], pad: int, marks: Mapping[str, int]
) -> dict[str, Tensor]:
    """Put each answer behind its prompt.

    Args:
        prompts: with `input_ids` and `attention_mask` (B, P), and what else the model takes.
        answers: token ids of each, the one that ends it included.
        pad: the id of padding.
        marks: what an input holds at an answer's tokens, by name, where it is not the prompt's last value.

    Returns:
        The inputs, rows padded on the left to the longest, and `targets` (B, L) int64: the token that should follow,
        `IGNORE` outside answers.
    """
    ids, real = prompts["input_ids"], prompts["attention_mask"].bool()
    length = max(int(row.sum()) + len(answer) for row, answer in zip(real, answers, strict=True))
    grown = {name: value for name, value in prompts.items() if value.shape[:2] != ids.shape}
    for name in prompts.keys() - grown.keys():
        value = prompts[name]
        rows = value.new_full((len(ids), length, *value.shape[2:]), pad if name == "input_ids" else 0)
        for row, old, kept, answer in zip(rows, value, real, answers, strict=True):
            row[-len(answer) :] = torch.tensor(answer) if name == "input_ids" else marks.get(name, old[kept][-1])
            row[-len(answer) - int(kept.sum()) : -len(answer)] = old[kept]
        grown[name] = rows
    targets = ids.new_full((len(ids), length), IGNORE)
    for row, answer in zip(targets, answers, strict=True):
        row[-len(answer) - 1 : -1] = torch.tensor(answer)
    return grown | {"targets": targets}


def beside(prompts: Mapping[str, Tensor], answers: Sequence[Sequence[int]], pad: int, start: int) -> dict[str, Tensor]:
    """Give the answers to a decoder that reads what an encoder made of the prompts, as T5's.

    Args:
        prompts: what the encoder reads.
        answers: token ids of each, the one that ends it included.
        pad: the id of padding.
        start: the id that a decoder's text begins with.

    Returns:
        The inputs with `decoder_input_ids` (B, A), and `targets` (B, A), padded on the right.
    """
    length = max(map(len, answers))
    read = [[start, *answer[:-1], *[pad] * (length - len(answer))] for answer in answers]
    targets = [[*answer, *[IGNORE] * (length - len(answer))] for answer in answers]
    return {**prompts, "decoder_input_ids": torch.tensor(read), "targets": torch.tensor(targets)}
