"""Samples in, the tensors of a training batch out: prompt, picture and answer as the adapter would have them.

The prompt is tokenised as `--model llava` tokenises it and the answer as it ranks a choice, so that what is learned is
what is asked for at test time. Every batch depends on its step alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vtbench.types import Sample
from vtbench_hf.prompting import ChoiceTokens, adds_special_tokens, prompt_text
from vtbench_llava.pixels import PixelTable
from vtbench_training.family_items import FamilyItems
from vtbench_training.packing import IGNORE
from vtbench_training.stream import StepStream


class ItemEncoder:
    """Encodes samples with a LLaVA's processor.

    Args:
        processor: of the model.
        visual_tokens: that the model makes of a picture.
        image_size: side of the pictures in pixels.
    """

    def __init__(self, processor: Any, visual_tokens: int, image_size: int) -> None:
        self.processor, self.tokenizer, self.visual_tokens = processor, processor.tokenizer, visual_tokens
        self._table = PixelTable.of(processor.image_processor, image_size)

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Return the batch of some samples with one picture each, padded on the left.

        Returns:
            input_ids, attention_mask, targets: (B, L) int64; `targets` hold the token that should follow, `IGNORE`
            outside answers. pixel_values: (B, 3, S, S) float32.
        """
        token = self.processor.image_token
        texts = [prompt_text(self.processor, s).replace(token, token * self.visual_tokens) for s in samples]
        prompts = self.tokenizer(texts, add_special_tokens=adds_special_tokens(self.tokenizer, texts[0]))["input_ids"]
        choice = ChoiceTokens(self.tokenizer)
        answers = [
            [*choice(prompt, sample.target), self.tokenizer.eos_token_id]
            for prompt, sample in zip(prompts, samples, strict=True)
        ]
        shape = (len(samples), max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True)))
        ids, mask = np.full(shape, self.tokenizer.pad_token_id, np.int64), np.zeros(shape, np.int64)
        targets = np.full(shape, IGNORE, np.int64)
        for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            ids[row, -len(prompt) - len(answer) :] = prompt + answer
            mask[row, -len(prompt) - len(answer) :] = 1
            targets[row, -len(answer) - 1 : -1] = answer
        arrays = {"input_ids": ids, "attention_mask": mask, "targets": targets, "pixel_values": self._pixels(samples)}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _pixels(self, samples: Sequence[Sample]) -> np.ndarray:
        pictures = [sample.images[0] for sample in samples]
        if self._table is not None and all(map(self._table.takes, pictures)):
            return self._table(pictures)
        return np.stack(self.processor.image_processor(images=pictures, return_tensors="np")["pixel_values"])


class ItemStream(StepStream):
    """This process's part of the batches, from a given step on.

    Args:
        items: where samples come from.
        encoder: what makes tensors of them.
        first_step: the first step.
        steps: the step to end before.
        batch_size: items in a step, over all processes.
        part: number of this process, and of processes.
    """

    def __init__(
        self,
        items: FamilyItems,
        encoder: ItemEncoder,
        first_step: int,
        steps: int,
        batch_size: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        super().__init__(first_step, steps)
        self.items, self.encoder = items, encoder
        self.batch_size, self.part = batch_size, part

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of one step, with the items' `numbers` (B,)."""
        turn, parts = self.part
        here = self.batch_size // parts
        first = step * self.batch_size + turn * here
        numbers = torch.arange(first, first + here)
        return {"numbers": numbers, **self.encoder([self.items.sample(int(number)) for number in numbers])}
