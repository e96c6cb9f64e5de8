"""What plain transformers says about samples: prompts written by hand, one model, no adapter.

In: a family's name in `tiny_models`, its processor and model. Out: inputs, greedy tokens and likelihoods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from vtbench.types import Sample

END = 2
"""The token that ends an answer, of every tiny model."""


def processed(name: str, processor: Any, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
    """Return what the processor makes of the samples, padded on the left."""
    prompts = [sample.prompt for sample in samples]
    images = [list(sample.images) for sample in samples]
    if name == "fuyu":
        return _fuyu(processor, samples)
    if name == "idefics":
        pairs = [[*shown, prompt] for shown, prompt in zip(images, prompts, strict=True)]
        return dict(processor(text=pairs, padding=True, return_tensors="pt"))
    if processor.chat_template:
        content = [[{"type": "image"}, {"type": "text", "text": prompt}] for prompt in prompts]
        turns = [[{"role": "user", "content": parts}] for parts in content]
        texts = [processor.apply_chat_template(turn, add_generation_prompt=True) for turn in turns]
    else:
        token = "" if hasattr(processor, "num_query_tokens") else processor.image_token
        texts = [token + prompt for prompt in prompts]
    options = {"add_special_tokens": False} if texts[0].startswith("<s>") else {}
    inputs = processor(images=images, text=texts, padding=True, return_tensors="pt", **options)
    return {name: value for name, value in inputs.items() if name != "labels"}


def _fuyu(processor: Any, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
    """Cut the patches by hand: the processor needs torchvision for it."""
    patch = processor.image_processor.patch_size["height"]
    rows, patches = [], []
    for sample in samples:
        pixels = np.asarray(sample.images[0], np.float32) / 127.5 - 1
        down, across = pixels.shape[0] // patch, pixels.shape[1] // patch
        patches += [p for line in np.split(pixels, down) for p in np.split(line, across, 1)]
        text = processor.tokenizer.encode(f"{sample.prompt}<0x04>", add_special_tokens=False)
        rows.append(([processor.image_token_id] * across + [processor.image_newline_id]) * down + [1, *text])
    longest = max(map(len, rows))
    return {
        "input_ids": torch.tensor([[0] * (longest - len(row)) + row for row in rows]),
        "attention_mask": torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows]),
        "pixel_values": torch.from_numpy(np.stack(patches)).flatten(1),
    }


def greedy(model: Any, inputs: dict[str, torch.Tensor], count: int) -> list[list[int]]:
    """Return the new tokens of each row, before the one that ends it."""
    with torch.no_grad():
        sequences = model.generate(**inputs, do_sample=False, max_new_tokens=count).tolist()
    begin = 1 if _has_encoder(model) else inputs["input_ids"].shape[1]
    answers = [row[begin:] for row in sequences]
    return [row[: row.index(END)] if END in row else row for row in answers]


def likelihood(model: Any, inputs: dict[str, torch.Tensor], ids: Sequence[int]) -> float:
    """Return log p(ids | inputs) in nats from one forward pass over both: no batch, no padding, no cache."""
    added = torch.tensor([[*ids]])
    if _has_encoder(model):
        start = torch.tensor([[model.config.text_config.decoder_start_token_id, *ids[:-1]]])
        grown: dict[str, Any] = {**inputs, "decoder_input_ids": start}
    else:
        grown = {name: _grown(name, value, added) for name, value in inputs.items()}
    with torch.no_grad():
        logits = model(**grown).logits[0]
    logits = logits if _has_encoder(model) else logits[-len(ids) - 1 : -1]
    return logits.double().log_softmax(-1).gather(1, added[0][:, None]).sum().item()


def _grown(name: str, value: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
    """Return an input of the prompt as one of the prompt and what comes after it."""
    more = added.shape[1]
    match name:
        case "input_ids":
            return torch.cat([value, added], 1)
        case "attention_mask" | "token_type_ids":
            return torch.cat([value, torch.ones_like(added)], 1)
        case "mm_token_type_ids":
            return torch.cat([value, torch.zeros_like(added)], 1)
        case "cross_attention_mask" | "image_attention_mask":
            return torch.cat([value, value[:, -1:].expand(-1, more, *value.shape[2:])], 1)
    return value


def _has_encoder(model: Any) -> bool:
    return bool(model.config.get_text_config().is_encoder_decoder)
