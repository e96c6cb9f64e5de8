"""Several questions about one picture in one sequence: worded questions in, token ids, masks and targets out.

Every question sees the picture and itself, never another question, and its positions start right after the picture:
each is exactly the prompt that it will be at test time, but the picture's part is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor

from vtbench_training.curriculum import Named, Worded

IGNORE = -100


@dataclass(frozen=True, slots=True)
class Encoded:
    """One question: token ids, which of them are answer, and where objects are named."""

    ids: list[int]
    answer_from: int
    named: list[tuple[int, float, float]]


class Packer:
    """Turns questions into the tensors of one batch."""

    def __init__(self, tokenizer: Tokenizer, visual_tokens: int) -> None:
        self.tokenizer, self.visual_tokens = tokenizer, visual_tokens
        self.head = tokenizer.encode("<s>USER: ").ids
        """What stands before the picture."""
        self.start = len(self.head) + visual_tokens
        """Position of the first token of every question."""

    def encode(self, worded: Worded) -> Encoded:
        """Encode one question as it stands after the picture in the chat template."""
        question = f"\n{worded.prompt} ASSISTANT:"
        prompt = self.tokenizer.encode(question)
        answer = self.tokenizer.encode(f" {worded.answer}</s>")
        told = [(len(prompt.ids) + place, x, y) for place, x, y in _places(answer, worded.told)]
        return Encoded(prompt.ids + answer.ids, len(prompt.ids), _places(prompt, worded.named) + told)

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


def _places(encoded: Encoding, named: Sequence[Named]) -> list[tuple[int, float, float]]:
    """Return at which token the words of each name end, and where the object is."""
    # +1: the newline before a question, the space before an answer.
    return [(next(i for i, (_, end) in enumerate(encoded.offsets) if end >= n.end + 1), n.x, n.y) for n in named]


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
