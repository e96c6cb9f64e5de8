"""Samples -> the tensors of a training batch.

The prompt is encoded as the model's adapter encodes it, and the answer as the adapter ranks a choice, so that the model
trains on exactly what it is asked at test time. A batch depends on its step alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vtbench.task.sources import DEFAULT_SIZE
from vtbench.types import Sample
from vtbench_hf.adapter import HFAdapter
from vtbench_hf.generation import stop_ids
from vtbench_hf.prompts import ChoiceTokenizer
from vtbench_training.finetune.family_items import FamilyItems
from vtbench_training.training_loop import IGNORE, StepStream


def image_side(adapter: HFAdapter) -> int:
    """Return the side in pixels of the images that tasks draw for a model."""
    return adapter.image_size or DEFAULT_SIZE


class ItemEncoder:
    """Encodes samples as a model's adapter does at test time.

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
            The inputs that the adapter's processor makes of prompts and images, with the answers' tokens
            (`append_answers`, or `decoder_answers` for an encoder-decoder model), and `targets`, the token that should
            follow at each place.
        """
        prompts, tokenizer = dict(self.adapter.encode(samples)), self.adapter.tokenizer
        choice = ChoiceTokenizer(tokenizer)
        rows = zip(prompts["input_ids"], prompts["attention_mask"].bool(), samples, strict=True)
        answers = [[*choice(ids[real].tolist(), sample.target), self._end] for ids, real, sample in rows]
        text = self.adapter.model.config.get_text_config()
        if text.is_encoder_decoder:
            return decoder_answers(prompts, answers, tokenizer.pad_token_id, text.decoder_start_token_id)
        return append_answers(prompts, answers, tokenizer.pad_token_id, self.adapter.answer_input_values)


def append_answers(
    prompts: Mapping[str, Tensor], answers: Sequence[Sequence[int]], pad: int, marks: Mapping[str, int]
) -> dict[str, Tensor]:
    """Append each answer to its prompt.

    Inputs that go token by token (masks, token types, which images a token attends to) are continued over the answer
    with their value at the prompt's last token, which is text as the answer is.

    Args:
        prompts: with `input_ids` and `attention_mask` (B, P), and the model's other inputs.
        answers: token ids of each, its end-of-sequence token included.
        pad: the id of padding.
        marks: value of an input at an answer's tokens, by name, where it is not that of the prompt's last token.

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


def decoder_answers(
    prompts: Mapping[str, Tensor], answers: Sequence[Sequence[int]], pad: int, start: int
) -> dict[str, Tensor]:
    """Give the answers to the decoder of an encoder-decoder model, as T5, whose encoder reads the prompts.

    Args:
        prompts: inputs of the encoder.
        answers: token ids of each, its end-of-sequence token included.
        pad: the id of padding.
        start: the decoder's start token.

    Returns:
        The inputs with `decoder_input_ids` (B, A), and `targets` (B, A), padded on the right.
    """
    length = max(map(len, answers))
    decoder_ids = [[start, *answer[:-1], *[pad] * (length - len(answer))] for answer in answers]
    targets = [[*answer, *[IGNORE] * (length - len(answer))] for answer in answers]
    return {**prompts, "decoder_input_ids": torch.tensor(decoder_ids), "targets": torch.tensor(targets)}


class ItemStream(StepStream):
    """This process's part of the batches, from a given step on.

    Args:
        items: source of samples.
        encoder: makes tensors of them.
        first_step: the first step.
        steps: the step to end before.
        batch_size: items in a step, over all processes.
        part: index of this process, and number of processes.
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
