"""What plain transformers says about a checkpoint and a sample: no adapter, no batch, no cache of ours.

Letters in the shapes: P tokens of a prompt, A tokens of an answer, V the vocabulary, d the decoder's width.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from tiny_checkpoints import auto_class, prompt_facts

from vtbench.types import Sample

Inputs = dict[str, Any]
TEXT_ONLY = {"mm_token_type_ids": 0, "token_type_ids": 0}
"""Inputs with a value for each token, and their value at an answer's tokens."""


PLAIN_TOKEN = 5
"""An id that is no special token of any tiny checkpoint."""


class Reference:
    """A checkpoint as transformers' own documentation loads and asks it.

    Args:
        model_type: of the checkpoint.
        directory: of the checkpoint.
    """

    def __init__(self, model_type: str, directory: Path) -> None:
        self.facts = prompt_facts(model_type)
        self.model = auto_class(model_type).from_pretrained(directory, dtype=torch.float32).eval()
        self.processor = transformers.AutoProcessor.from_pretrained(directory)
        self.encodes = bool(getattr(self.model.config.get_text_config(), "is_encoder_decoder", False)) or bool(
            self.model.config.is_encoder_decoder
        )

    def inputs(self, sample: Sample) -> Inputs:
        """Return the processor's tensors of a question about one image."""
        if self.facts.interleaved:
            made = self.processor(text=[[*sample.images, sample.prompt]], return_tensors="pt")
        else:
            text = self._text(sample.prompt)
            options: dict[str, Any] = {"add_special_tokens": False} if text.startswith("<s>") else {}
            made = self.processor(
                images=[*sample.images], text=text, return_tensors="pt", **options, **self.facts.processor_call
            )
        made.to(self.model.dtype)  # some processors make bfloat16
        return {name: value for name, value in made.items() if name != "labels"}

    def _text(self, question: str) -> str:
        owners = (self.processor, self.processor.tokenizer)
        owner = next((one for one in owners if getattr(one, "chat_template", None)), None)
        if owner is None:
            return self.facts.prompt.format(question=question)
        content = [{"type": "image"}, {"type": "text", "text": question}]
        chat = [{"role": "user", "content": content}]
        text: str = owner.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        return text

    def greedy(self, inputs: Inputs, count: int) -> list[int]:
        """Return the ids of the greedy answer, before the one that ends it."""
        end = self.model.generation_config.eos_token_id
        with torch.no_grad():
            row = self.model.generate(**inputs, do_sample=False, max_new_tokens=count)[0].tolist()
        answer = row[1 if self.encodes else inputs["input_ids"].shape[1] :]
        return answer[: answer.index(end)] if end in answer else answer

    def likelihood(self, inputs: Inputs, ids: Sequence[int]) -> float:
        """Return log p(ids | inputs) in nats, of one forward pass over prompt and answer."""
        added = torch.tensor([[*ids]])
        if self.encodes:
            start = self.model.generation_config.decoder_start_token_id
            start = self.model.config.get_text_config().decoder_start_token_id if start is None else start
            grown = {**inputs, "decoder_input_ids": torch.tensor([[start, *ids[:-1]]])}
        else:
            values = TEXT_ONLY | dict(self.facts.answer_values)
            grown = {name: _grown(name, value, inputs["input_ids"], added, values) for name, value in inputs.items()}
        with torch.no_grad():
            logits_LV = self.model(**grown).logits[0].double()
        logits_AV = logits_LV if self.encodes else logits_LV[-len(ids) - 1 : -1]
        return float(logits_AV.log_softmax(-1).gather(1, added[0][:, None]).sum())

    def embeddings(self, inputs: Inputs) -> torch.Tensor | None:
        """Return what enters the decoder at each token of the prompt, (P, D); None where it is given no embeddings."""
        seen: list[torch.Tensor] = []

        def note(arguments: Inputs) -> Inputs:
            if arguments.get("inputs_embeds") is not None:
                seen.append(_entering(arguments))
            return arguments

        with self.decoder_arguments(note):
            self.likelihood(inputs, [PLAIN_TOKEN])
        return seen[0][: inputs["input_ids"].shape[1]] if seen and not self.encodes else None

    def masked(self, inputs: Inputs, ids: Sequence[int], hidden: torch.Tensor) -> float:
        """Return the likelihood of an answer where the decoder attends to no token that is `hidden`, (P,) bool.

        The positions are those of the full prompt.
        """
        places = torch.cat([hidden, hidden.new_zeros(len(ids))])
        with self.decoder_arguments(lambda arguments: _without(arguments, places)):
            return self.likelihood(inputs, ids)

    @contextmanager
    def decoder_arguments(self, change: Callable[[Inputs], Inputs]) -> Iterator[None]:
        """Change the arguments of the decoder's calls."""
        decoder = self.model.get_decoder()
        takes = inspect.signature(decoder.forward).parameters

        def hook(_: Any, positional: tuple[Any, ...], named: Inputs) -> tuple[tuple[Any, ...], Inputs]:
            return (), change({**dict(zip(takes, positional, strict=False)), **named})

        handle = decoder.register_forward_pre_hook(hook, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()


def _grown(name: str, value: Any, ids: torch.Tensor, added: torch.Tensor, values: Mapping[str, int]) -> Any:
    """Return an input of the prompt as one of the prompt and the answer that is added to it."""
    if name == "input_ids":
        return torch.cat([value, added], 1)
    if not isinstance(value, torch.Tensor) or value.shape[:2] != ids.shape or name.startswith("pixel"):
        return value
    more = value[:, -1:].expand(-1, added.shape[1], *value.shape[2:])
    return torch.cat([value, torch.full_like(more, values[name]) if name in values else more], 1)


def _entering(arguments: Inputs) -> torch.Tensor:
    """Return the first row's embeddings and beside them what is added at its visual tokens in later layers."""
    embeds_PD = arguments["inputs_embeds"][0]
    paths = [embeds_PD]
    masks = [v[0] for v in arguments.values() if torch.is_tensor(v) and v.dtype == torch.bool and v.ndim == 2]
    for name, value in arguments.items():
        if name.startswith("deepstack") and value and masks:
            added = value.values() if isinstance(value, Mapping) else value
            paths += [torch.zeros_like(embeds_PD).masked_scatter(masks[0][:, None], rows_VD) for rows_VD in added]
    return torch.cat(paths, -1)


def _without(arguments: Inputs, hidden: torch.Tensor) -> Inputs:
    """Return a decoder's arguments with the `hidden` tokens, (L,) bool, masked."""
    embeds = arguments["inputs_embeds"]
    changed = {**arguments, "attention_mask": _mask(arguments.get("attention_mask"), hidden, len(embeds))}
    if arguments.get("position_ids") is None:
        changed["position_ids"] = torch.arange(embeds.shape[1])[None]
    return changed


def _mask(mask: Any, hidden: torch.Tensor, rows: int) -> Any:
    """Return a mask, or a mapping of masks, without the columns of the `hidden` tokens."""
    if isinstance(mask, Mapping):  # in which None stands for a causal mask
        count = len(hidden)
        causal = torch.ones(count, count, dtype=torch.bool).tril().expand(rows, 1, count, count)
        return {name: _mask(causal if one is None else one, hidden, rows) for name, one in mask.items()}
    mask = torch.ones(rows, len(hidden), dtype=torch.long) if mask is None else mask.clone()
    if mask.ndim == 2:
        mask[:, hidden] = 0
    else:
        mask[..., hidden] = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
    return mask
