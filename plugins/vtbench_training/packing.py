"""Several questions about one picture in one sequence: worded questions in, token ids, masks and targets out.

Every question sees the picture and itself, never another question, and its positions start right after the picture:
each is exactly the prompt that it will be at test time, but the picture's part is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor

from vtbench_training.curriculum import Named, Worded
from vtbench_training.wording import LLAVA_TURNS, Wording

IGNORE = -100


@dataclass(frozen=True, slots=True)
class Encoded:
    """One question: token ids, which of them are answer, and where objects are named."""

    ids: list[int]
    answer_from: int
    named: list[tuple[int, float, float]]


class Packer:
    """Turns questions into the tensors of one batch.

    Args:
        tokenizer: of the model.
        start: position of the first token of every question, right after the picture.
        wording: what stands around a question and its answer.
    """

    def __init__(self, tokenizer: Tokenizer, start: int, wording: Wording = LLAVA_TURNS) -> None:
        self.tokenizer, self.start, self.wording = tokenizer, start, wording

    def encode(self, worded: Worded) -> Encoded:
        """Encode one question as it stands after the picture in the chat template."""
        wording = self.wording
        prompt = self.tokenizer.encode(wording.question(worded.prompt))
        answer = self.tokenizer.encode(wording.answer(worded.answer))
        told = _places(answer, worded.told, len(wording.before_answer))
        behind = [(len(prompt.ids) + place, x, y) for place, x, y in told]
        named = _places(prompt, worded.named, len(wording.before))
        return Encoded(prompt.ids + answer.ids, len(prompt.ids), named + behind)

    def first(self, answer: str) -> int:
        """Return the token that an answer begins with."""
        return int(self.tokenizer.encode(self.wording.answer(answer)).ids[0])

    def batch(self, rows: Sequence[Sequence[Worded]]) -> dict[str, Tensor]:
        """Return the text part of a batch of pictures.

        Returns:
            ids, targets, positions, owner: (B, L) int64 of the text after the picture; `targets` are already shifted
            (the
                token that should follow), `IGNORE` outside answers; `owner` numbers the questions, -1 for padding.
            named: (M, 2) int64, batch row and text place of each named object; centres: (M, 2) float32.
        """
        encoded = [[self.encode(worded) for worded in row] for row in rows]
        length = max(sum(len(e.ids) for e in row) for row in encoded)
        shape = (len(rows), length)
        ids, owner = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
        targets, positions = np.full(shape, IGNORE, np.int64), np.zeros(shape, np.int64)
        named, centres = [], []
        for b, row in enumerate(encoded):
            at = 0
            for number, e in enumerate(row):
                n = len(e.ids)
                ids[b, at : at + n] = e.ids
                owner[b, at : at + n] = number
                positions[b, at : at + n] = self.start + np.arange(n)
                targets[b, at + e.answer_from - 1 : at + n - 1] = e.ids[e.answer_from :]
                for place, x, y in e.named:
                    named.append((b, at + place))
                    centres.append((x, y))
                at += n
        arrays: dict[str, np.ndarray] = {"ids": ids, "owner": owner, "targets": targets, "positions": positions}
        arrays |= {
            "named": np.array(named, np.int64).reshape(-1, 2),
            "centres": np.array(centres, np.float32).reshape(-1, 2),
        }
        return {key: torch.from_numpy(value) for key, value in arrays.items()}


def _places(encoded: Encoding, named: Sequence[Named], shift: int) -> list[tuple[int, float, float]]:
    """Return at which token the words of each name end, `shift` characters further on, and where the object is."""
    return [(next(i for i, (_, end) in enumerate(encoded.offsets) if end >= n.end + shift), n.x, n.y) for n in named]


def block_mask(owner_BL: Tensor, before: int) -> Tensor:
    """Return which key each query may see, (B, 1, before + L, before + L) bool.

    The first `before` tokens (picture and what precedes it) are causal; a question's token sees them and its own
    question's tokens up to itself.
    """
    batch, length = owner_BL.shape
    total = before + length
    owner = torch.cat([owner_BL.new_full((batch, before), -2), owner_BL], dim=1)
    same = (owner[:, :, None] == owner[:, None, :]) | (owner == -2)[:, None, :]
    causal = torch.ones(total, total, dtype=torch.bool, device=owner.device).tril()
    return (same & causal)[:, None]


@dataclass(frozen=True, slots=True)
class Alone:
    """Q questions of a batch, at most one about each picture, each in a row of its own."""

    texts: Tensor
    """(B, L) bool: where they stand in the batch."""
    picture: Tensor
    """(Q,) int64: the row of each one's picture in the batch."""
    ids: Tensor
    """(Q, N) int64."""
    inside: Tensor
    """(Q, N) bool: what is no padding; in this order the tokens are those at `texts`."""
    prompt: Tensor
    """(Q,) int64: tokens before the answer."""


def unpacked(batch: dict[str, Tensor]) -> Iterator[Alone]:
    """Take a batch of `Packer.batch` apart: the first question about each picture, then the second, and so on."""
    for number in range(int(batch["owner"].max()) + 1):
        texts = batch["owner"] == number
        length = texts.sum(dim=1)
        picture = length.nonzero()[:, 0]
        inside = torch.arange(int(length.max()), device=length.device) < length[picture, None]
        ids = length.new_zeros(inside.shape).masked_scatter(inside, batch["ids"][texts])
        targets = length.new_full(inside.shape, IGNORE).masked_scatter(inside, batch["targets"][texts])
        # The first token that has a target is the prompt's last.
        yield Alone(texts, picture, ids, inside, (targets != IGNORE).int().argmax(dim=1) + 1)


def prefix_mask(prompt_Q: Tensor, total: int) -> Tensor:
    """Return which key each query may see, (Q, 1, total, total) bool.

    All see the first `prompt_Q` tokens of their row; beyond them a token sees what stands before it, and itself.
    """
    causal = torch.ones(total, total, dtype=torch.bool, device=prompt_Q.device).tril()
    prompt = torch.arange(total, device=prompt_Q.device) < prompt_Q[:, None]
    return (causal | prompt[:, None, :])[:, None]
