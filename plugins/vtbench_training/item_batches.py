"""Samples in, the tensors of a training batch out: prompt, picture and answer as the adapter would have them.

The prompt is encoded as the model's adapter encodes it and the answer as it ranks a choice, so that what is learned is
what is asked for at test time. Every batch depends on its step alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vtbench.task.sources import DEFAULT_SIZE
from vtbench.types import Sample
from vtbench_hf.adapter import HFAdapter
from vtbench_hf.decoding import stop_ids
from vtbench_hf.prompting import ChoiceTokens
from vtbench_training.answers import behind, beside
from vtbench_training.family_items import FamilyItems
from vtbench_training.stream import StepStream


def picture_side(adapter: HFAdapter) -> int:
    """Return the side in pixels at which tasks draw pictures for a model."""
    return adapter.image_size or DEFAULT_SIZE


class ItemEncoder:
    """Encodes samples as a model's adapter does when it is asked about them.

    Args:
        adapter: of the model.
    """

    def __init__(self, adapter: HFAdapter) -> None:
        self.adapter = adapter
        ends, own = stop_ids(adapter.model), adapter.tokenizer.eos_token_id
        self._end = own if own in ends or not ends else ends[0]

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Return the batch of some samples.

        Returns:
            What the adapter's processor makes of prompts and pictures, the answers' tokens behind (`answers.behind`) or
            beside them (`answers.beside`), and `targets`, the token that should follow at each place.
        """
        prompts, tokenizer = dict(self.adapter.encode(samples)), self.adapter.tokenizer
        choice = ChoiceTokens(tokenizer)
        rows = zip(prompts["input_ids"], prompts["attention_mask"].bool(), samples, strict=True)
        answers = [[*choice(ids[real].tolist(), sample.target), self._end] for ids, real, sample in rows]
        text = self.adapter.model.config.get_text_config()
        if text.is_encoder_decoder:
            return beside(prompts, answers, tokenizer.pad_token_id, text.decoder_start_token_id)
        return behind(prompts, answers, tokenizer.pad_token_id, self.adapter.answer_marks)


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
