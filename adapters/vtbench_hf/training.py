"""Training batches of a transformers model, and the logits at their answers.

Prompts are encoded as for `generate`, answers as `rank` scores a choice, so that the model trains on exactly what it is
asked at test time. The loss of an answer is then the negative log-likelihood that `rank` gives it, but for the token
that ends it.
"""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from vtbench.adapter import IGNORE_INDEX
from vtbench.errors import SampleError
from vtbench.types import Sample
from vtbench_hf.generation import stop_ids
from vtbench_hf.prompts import ChoiceTokenizer


def add_answers(
    prompts: Mapping[str, torch.Tensor],
    targets: Sequence[str],
    model: Any,
    tokenizer: Any,
    answer_values: Mapping[str, int],
) -> dict[str, torch.Tensor]:
    """Return a training batch.

    Args:
        prompts: with `input_ids` and `attention_mask` (B, P), and the model's other inputs.
        targets: the answers' texts.
        model: decides whether answers are appended (`append_answers`) or given to a decoder (`decoder_answers`).
        tokenizer: of the model.
        answer_values: as for `append_answers`.
    """
    choice, end = ChoiceTokenizer(tokenizer), end_of_answer(model, tokenizer)
    rows = zip(prompts["input_ids"], prompts["attention_mask"].bool(), targets, strict=True)
    answers = [[*choice(ids[real].tolist(), target), end] for ids, real, target in rows]
    text = model.config.get_text_config()
    if text.is_encoder_decoder or model.config.is_encoder_decoder:
        start = getattr(text, "decoder_start_token_id", None)
        start = model.generation_config.decoder_start_token_id if start is None else start
        start = tokenizer.bos_token_id if start is None else start
        return decoder_answers(prompts, answers, tokenizer.pad_token_id, start)
    return append_answers(prompts, answers, tokenizer.pad_token_id, answer_values)


def check_text(tokenizer: Any, sample: Sample, max_new_tokens: int | None = None) -> None:
    """Refuse a sample on which a model would be trained to write something else than the answer.

    Args:
        tokenizer: of the model.
        sample: its prompt and target are looked at.
        max_new_tokens: how long an answer may be when the model is tested.

    Raises:
        SampleError: the tokenizer has an unknown-token in place of a word of the question or answer, loses characters
            of the answer, or needs more tokens for it than may be written.
    """
    ids: list[int] = []
    for what, text in (("question", sample.prompt), ("answer", sample.target)):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        unknown = tokenizer.unk_token_id
        if unknown is not None and unknown in ids:
            words = (word for word in text.split() if unknown in tokenizer(word, add_special_tokens=False)["input_ids"])
            raise SampleError(
                f"{sample.id}: the model's tokenizer does not know {next(words, text)!r} in the {what} {text!r}; "
                "use other words, or a model that has it"
            )
    written = tokenizer.decode(ids, skip_special_tokens=True)
    if _letters(written) != _letters(sample.target):
        raise SampleError(
            f"{sample.id}: the model's tokenizer writes the answer {sample.target!r} as {written!r}; use other words, "
            "or another model"
        )
    behind_a_prompt = tokenizer(f" {sample.target}", add_special_tokens=False)["input_ids"]
    if max_new_tokens is not None and len(behind_a_prompt) > max_new_tokens:
        raise SampleError(
            f"{sample.id}: the answer {sample.target!r} has {len(behind_a_prompt)} tokens of this model, but "
            f"its task lets it write {max_new_tokens}; raise max_new_tokens in the task file"
        )


def _letters(text: str) -> str:
    """Return a text without spaces and case, its ligatures and the like written out."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def end_of_answer(model: Any, tokenizer: Any) -> int:
    """Return the id of the token that ends an answer: the tokenizer's, if generation stops at it."""
    ends, own = stop_ids(model), tokenizer.eos_token_id
    end: int = own if own in ends or not ends else ends[0]
    return end


def append_answers(
    prompts: Mapping[str, torch.Tensor], answers: Sequence[Sequence[int]], pad: int, answer_values: Mapping[str, int]
) -> dict[str, torch.Tensor]:
    """Append each answer to its prompt.

    Inputs that go token by token (masks, token types, which images a token attends to) are continued over the answer
    with their value at the prompt's last token, which is text as the answer is.

    Args:
        prompts: with `input_ids` and `attention_mask` (B, P), and the model's other inputs.
        answers: token ids of each, its end-of-sequence token included.
        pad: the id of padding.
        answer_values: value of an input at an answer's tokens, by name, where it is not that of the prompt's last
            token.

    Returns:
        The inputs, rows padded on the left to the longest, and `targets` (B, L) int64: the token that should follow,
        `IGNORE_INDEX` outside answers.
    """
    ids, real = prompts["input_ids"], prompts["attention_mask"].bool()
    length = max(int(row.sum()) + len(answer) for row, answer in zip(real, answers, strict=True))
    grown = {name: value for name, value in prompts.items() if getattr(value, "shape", ())[:2] != ids.shape}
    for name in prompts.keys() - grown.keys():
        value = prompts[name]
        rows = value.new_full((len(ids), length, *value.shape[2:]), pad if name == "input_ids" else 0)
        for row, old, kept, answer in zip(rows, value, real, answers, strict=True):
            row[-len(answer) :] = (
                torch.tensor(answer) if name == "input_ids" else answer_values.get(name, old[kept][-1])
            )
            row[-len(answer) - int(kept.sum()) : -len(answer)] = old[kept]
        grown[name] = rows
    targets = ids.new_full((len(ids), length), IGNORE_INDEX)
    for row, answer in zip(targets, answers, strict=True):
        row[-len(answer) - 1 : -1] = torch.tensor(answer)
    return grown | {"targets": targets}


def decoder_answers(
    prompts: Mapping[str, torch.Tensor], answers: Sequence[Sequence[int]], pad: int, start: int
) -> dict[str, torch.Tensor]:
    """Give the answers to the decoder of an encoder-decoder model, as T5, whose encoder reads the prompts.

    Args:
        prompts: inputs of the encoder.
        answers: token ids of each, its end-of-sequence token included.
        pad: the id of padding.
        start: the decoder's start token.

    Returns:
        The inputs with `decoder_input_ids` (B, T), and `targets` (B, T), padded on the right.
    """
    length = max(map(len, answers))
    decoder_ids = [[start, *answer[:-1], *[pad] * (length - len(answer))] for answer in answers]
    targets = [[*answer, *[IGNORE_INDEX] * (length - len(answer))] for answer in answers]
    return {**prompts, "decoder_input_ids": torch.tensor(decoder_ids), "targets": torch.tensor(targets)}


def answer_logits(model: Any, inputs: Mapping[str, torch.Tensor], targets_BL: torch.Tensor) -> torch.Tensor:
    """Run the model's own forward pass; return the logits (A, V) at all A tokens of answers, row by row.

    So positions, masks and cross-attention are the architecture's own.
    """
    answer_BL = targets_BL != IGNORE_INDEX
    options: dict[str, Any] = {"use_cache": False}
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        # Answers end the rows; over a large vocabulary the prompts' logits would cost most of the time.
        options["logits_to_keep"] = answer_BL.shape[1] - int(answer_BL.any(0).nonzero()[0])
    logits_BTV: torch.Tensor = model(**inputs, **options).logits
    return logits_BTV[answer_BL[:, -logits_BTV.shape[1] :]]
