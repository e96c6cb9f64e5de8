"""A batch of prompts as the decoder reads them: one pass over the prompts, from which answers and choices continue.

The model is called as its `generate` calls it for the first token, so that everything about the prompts is the
architecture's own. For the tokens that follow, attention mask and positions are set where the decoder is called.
Letters in the shapes: B rows, P tokens of a full prompt, T of a prompt that a token budget made shorter.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.cache_utils import DynamicCache, DynamicLayer

from vtbench.errors import AdapterError
from vtbench_hf.devices import device_time, input_device
from vtbench_hf.entry.decoder_call import Arguments, DecoderCall, Forward, intercepted
from vtbench_hf.entry.reduction import Reduction
from vtbench_hf.prefix_cache import PrefixCache


@dataclass(frozen=True, slots=True)
class ReadPrompts(PrefixCache):
    """Prompts that a model has read."""

    decoder: nn.Module
    last_position: torch.Tensor | None
    """Positions of the prompts' last tokens, (..., B, 1); None where the decoder counts them itself."""
    empty: Any
    """A copy of the prompts' keys and values, where added tokens cannot be taken off the cache again."""
    seconds: float
    """What the decoder's pass over the prompts took, with the reduction."""

    def _continue(self, tokens_BT: torch.Tensor, mask_BL: torch.Tensor, position_BT: torch.Tensor) -> torch.Tensor:
        """Run the model over tokens that follow the cached ones; return their logits, (B, T, V)."""
        offsets = position_BT - self.next_B[:, None] + 1

        def later(forward: Forward, arguments: Arguments) -> Any:
            arguments = arguments | {"attention_mask": mask_BL}
            if self.last_position is not None:
                arguments["position_ids"] = self.last_position + offsets.to(self.last_position.device)
            return forward(**arguments)

        with intercepted(self.decoder, later):
            logits: torch.Tensor = self.model(
                input_ids=tokens_BT, attention_mask=mask_BL, past_key_values=self.cache, use_cache=True
            ).logits.to(self.mask_BP.device)
        return logits

    def _crop(self) -> None:
        """Bring the cache back to the prompts."""
        if self.empty is None:
            PrefixCache._crop(self)
        else:
            self.cache.__dict__.update(copy.deepcopy(self.empty).__dict__)


def read_prompts(
    model: Any,
    decoder: nn.Module,
    first: Mapping[str, Any],
    mask_BP: torch.Tensor,
    reduce: Callable[[DecoderCall], Reduction | None],
    seen: Callable[[DecoderCall], None],
) -> ReadPrompts:
    """Let a model read a batch of prompts.

    Args:
        model: of transformers.
        decoder: the module of it that reads the prompts' embeddings.
        first: the arguments of the model's first call in `generate`.
        mask_BP: attention mask of the prompts, padded on the left.
        reduce: makes the reduction of a token budget from the decoder's call; None for the full prompts.
        seen: is given the decoder's call before it is shortened.

    Raises:
        AdapterError: the model keeps no cache from which answers can continue.
    """
    found: dict[str, Any] = {"mask": mask_BP, "last": None}

    def read(forward: Forward, arguments: Arguments) -> Any:
        call = DecoderCall({name: value for name, value in arguments.items() if name != "past_key_values"})
        seen(call)
        start = device_time(input_device(model))
        reduction = reduce(call)
        positions = arguments.get("position_ids")
        if reduction is not None:
            arguments = reduction.first(arguments)
            found["mask"], positions = reduction.mask_BT, reduction.positions
        if positions is not None and "position_ids" in inspect.signature(forward).parameters:
            found["last"] = positions[..., -1:].expand(*positions.shape[:-2], len(mask_BP), 1)
        output = forward(**arguments)
        found["seconds"] = device_time(input_device(model)) - start
        return output

    cache = copy.deepcopy(first.get("past_key_values"))
    if cache is None:
        raise AdapterError(f"{type(model).__name__} keeps no cache of its prompts")
    with intercepted(decoder, read):
        output = model(**{**first, "past_key_values": cache, "return_dict": True})
    if "seconds" not in found or output.past_key_values is not cache:
        raise AdapterError(f"{type(model).__name__} keeps its cache elsewhere")
    plain = type(cache) is DynamicCache and all(type(layer) is DynamicLayer for layer in cache.layers)
    empty = None if plain else copy.deepcopy(cache)
    next_B = torch.zeros(len(mask_BP), dtype=torch.long, device=mask_BP.device)
    logits_BV = output.logits[:, -1].to(mask_BP.device)
    return ReadPrompts(model, cache, logits_BV, found["mask"], next_B, decoder, found["last"], empty, found["seconds"])
