"""Several texts about one image packed into one row: prompts and answers -> token ids, masks and targets.

Every text attends to the image and to itself, never to another text, and its positions start right after the image.
Each is thus exactly the prompt that it is at test time, while the image is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor

from vtbench.adapter import IGNORE_INDEX
from vtbench.scenes.scene import Scene
from vtbench_training.pretrain.curriculum import Mention, PromptAnswer
from vtbench_training.pretrain.scene_stream import SceneStream
from vtbench_training.small_models.base import LLAVA_FORMAT, PromptFormat
from vtbench_training.training_loop import Schedule, StepStream


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A prompt with its answer as token ids."""

    ids: list[int]
    answer_start: int
    """Index of the answer's first token."""
    mentions: list[tuple[int, float, float]]
    """Index of the token that ends each mention of an object, and the object's centre (x, y) in [-1, 1]."""


class Packer:
    """Packs prompts and answers into the tensors of a batch.

    Args:
        tokenizer: of the model.
        start: position of the first token of every text, right after the image.
        prompt_format: text around a question and its answer.
    """

    def __init__(self, tokenizer: Tokenizer, start: int, prompt_format: PromptFormat = LLAVA_FORMAT) -> None:
        self.tokenizer, self.start, self.prompt_format = tokenizer, start, prompt_format

    def encode(self, text: PromptAnswer) -> EncodedText:
        """Encode a prompt and its answer as they stand behind the image in the chat template."""
        form = self.prompt_format
        prompt = self._encode(form.question(text.prompt))
        answer = self._encode(form.answer(text.answer))
        in_prompt = _mention_tokens(prompt, text.mentions, len(form.before))
        in_answer = _mention_tokens(answer, text.answer_mentions, len(form.before_answer))
        behind = [(len(prompt.ids) + token, x, y) for token, x, y in in_answer]
        return EncodedText(prompt.ids + answer.ids, len(prompt.ids), in_prompt + behind)

    def first(self, answer: str) -> int:
        """Return the first token id of an answer."""
        return int(self._encode(self.prompt_format.answer(answer)).ids[0])

    def inside(self, word: str) -> int:
        """Return the first token id of a word within a sentence, a token for the space alone left out."""
        encoded = self._encode(f"a {word}")
        return int(encoded.ids[_token_beyond(encoded, len("a "))])

    def token_at(self, text: PromptAnswer, place: int) -> int:
        """Return the index among a text's tokens of the first that goes beyond character `place` of its answer."""
        form = self.prompt_format
        prompt, answer = self._encode(form.question(text.prompt)), self._encode(form.answer(text.answer))
        return len(prompt.ids) + _token_beyond(answer, place + len(form.before_answer))

    def _encode(self, text: str) -> Encoding:
        return self.tokenizer.encode(text, add_special_tokens=False)  # the chat template writes them

    def batch(self, rows: Sequence[Sequence[PromptAnswer]]) -> dict[str, Tensor]:
        """Return the text part of a batch of B images, one row of texts for each.

        Returns:
            ids, targets, positions, segments: (B, L) int64, of the text after the image. `targets` is already shifted
                (the token that should follow), `IGNORE_INDEX` outside answers; `segments` numbers the texts of a row,
                -1 for padding.
            mentions: (M, 2) int64, batch row and token of each mention of an object.
            centres: (M, 2) float32, the objects' centres.
        """
        encoded = [[self.encode(text) for text in row] for row in rows]
        length = max(sum(len(e.ids) for e in row) for row in encoded)
        shape = (len(rows), length)
        ids, segments = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
        targets, positions = np.full(shape, IGNORE_INDEX, np.int64), np.zeros(shape, np.int64)
        mentions, centres = [], []
        for b, row in enumerate(encoded):
            at = 0
            for number, e in enumerate(row):
                n = len(e.ids)
                ids[b, at : at + n] = e.ids
                segments[b, at : at + n] = number
                positions[b, at : at + n] = self.start + np.arange(n)
                targets[b, at + e.answer_start - 1 : at + n - 1] = e.ids[e.answer_start :]
                for token, x, y in e.mentions:
                    mentions.append((b, at + token))
                    centres.append((x, y))
                at += n
        arrays: dict[str, np.ndarray] = {"ids": ids, "segments": segments, "targets": targets, "positions": positions}
        arrays |= {
            "mentions": np.array(mentions, np.int64).reshape(-1, 2),
            "centres": np.array(centres, np.float32).reshape(-1, 2),
        }
        return {key: torch.from_numpy(value) for key, value in arrays.items()}


class PackedStream(StepStream):
    """Batches of a stage that packs texts about an image into a row, from a given step on.

    Args:
        scenes: source of the images.
        packer: packs the texts.
        texts: returns the prompts and answers about a scene, given the scene and its number.
        schedule: number of steps, and images in a batch.
        first_step: the first step.
        image_size: side of the images in pixels.
    """

    def __init__(
        self,
        scenes: SceneStream,
        packer: Packer,
        texts: Callable[[Scene, int], list[PromptAnswer]],
        schedule: Schedule,
        first_step: int,
        image_size: int,
    ) -> None:
        super().__init__(first_step, schedule.steps)
        self.scenes, self.packer, self.texts = scenes, packer, texts
        self.batch_size, self.image_size = schedule.batch_size, image_size

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of one step."""
        images, rows = [], []
        for number in range(step * self.batch_size, (step + 1) * self.batch_size):
            scene = self.scenes.scene(number)
            images.append(self.scenes.image(scene, self.image_size))
            rows.append(self.texts(scene, number))
        return {"images": torch.from_numpy(np.stack(images)), **self.packer.batch(rows)}


def _token_beyond(encoded: Encoding, place: int) -> int:
    return next(i for i, (_, end) in enumerate(encoded.offsets) if end > place)


def _mention_tokens(encoded: Encoding, mentions: Sequence[Mention], shift: int) -> list[tuple[int, float, float]]:
    """Return the token in which each mention ends, `shift` characters further on, and the object's centre."""
    return [(next(i for i, (_, end) in enumerate(encoded.offsets) if end >= m.end + shift), m.x, m.y) for m in mentions]


def block_mask(segments_BL: Tensor, before: int) -> Tensor:
    """Return which keys each query attends to, (B, 1, before + L, before + L) bool.

    The first `before` tokens (the image and the text before it) are causal; a text's token attends to them and to the
    tokens of its own text up to itself.
    """
    batch, length = segments_BL.shape
    total = before + length
    segments = torch.cat([segments_BL.new_full((batch, before), -2), segments_BL], dim=1)
    same = (segments[:, :, None] == segments[:, None, :]) | (segments == -2)[:, None, :]
    causal = torch.ones(total, total, dtype=torch.bool, device=segments.device).tril()
    return (same & causal)[:, None]


@dataclass(frozen=True, slots=True)
class UnpackedTexts:
    """Q texts of a batch, at most one about each image, each in a row of its own."""

    packed: Tensor
    """(B, L) bool: where they stand in the batch."""
    image: Tensor
    """(Q,) int64: the row of each text's image in the batch."""
    ids: Tensor
    """(Q, N) int64."""
    real: Tensor
    """(Q, N) bool: False at padding; in this order the tokens are those at `packed`."""
    prompt: Tensor
    """(Q,) int64: number of tokens before the answer."""


def unpack(batch: dict[str, Tensor]) -> Iterator[UnpackedTexts]:
    """Yield the texts of a batch of `Packer.batch`: the first about each image, then the second, and so on."""
    for number in range(int(batch["segments"].max()) + 1):
        packed = batch["segments"] == number
        length = packed.sum(dim=1)
        image = length.nonzero()[:, 0]
        real = torch.arange(int(length.max()), device=length.device) < length[image, None]
        ids = length.new_zeros(real.shape).masked_scatter(real, batch["ids"][packed])
        targets = length.new_full(real.shape, IGNORE_INDEX).masked_scatter(real, batch["targets"][packed])
        # The first token that has a target is the prompt's last.
        yield UnpackedTexts(packed, image, ids, real, (targets != IGNORE_INDEX).int().argmax(dim=1) + 1)


def prefix_mask(prompt_Q: Tensor, total: int) -> Tensor:
    """Return which keys each query attends to, (Q, 1, total, total) bool.

    All attend to the first `prompt_Q` tokens of their row; beyond them attention is causal.
    """
    causal = torch.ones(total, total, dtype=torch.bool, device=prompt_Q.device).tril()
    prompt = torch.arange(total, device=prompt_Q.device) < prompt_Q[:, None]
    return (causal | prompt[:, None, :])[:, None]
