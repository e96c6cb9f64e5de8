"""The decoder's call under a token budget: fewer tokens, which keep their places.

Everything that goes token by token is cut alike: embeddings, positions on one or several axes, masks of two or four
dimensions, inputs of single layers, rows that are added to hidden states. The remaining tokens keep their positions in
the full prompt (see `vtbench_hf.token_reduction`).

Letters in the shapes: B rows, P tokens of a full prompt, T of a shorter one, N visual tokens of a sample, K of them
that remain, D the width of an embedding.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from vtbench_hf.entry.decoder_call import EMBEDDINGS, Arguments, DecoderCall, injection_mask_name, injections
from vtbench_hf.token_reduction import token_order


class Reduction:
    """How one batch's prompts are shortened.

    Args:
        mask_BP: attention mask of the full prompts, padded on the left.
        visual_BP: True at the visual tokens, N times in each row.
        weights: float32 (K, N) for each prompt, as `vtbench.budget.Budget` returns them.
        paths: the paths that carry the image.
        decoder: whose calls are shortened.
    """

    def __init__(
        self,
        mask_BP: torch.Tensor,
        visual_BP: torch.Tensor,
        weights: Sequence[np.ndarray],
        paths: Sequence[str],
        decoder: nn.Module,
    ) -> None:
        rows = zip(mask_BP.bool().cpu().numpy(), visual_BP.cpu().numpy(), weights, strict=True)
        order = [token_order(mask, visual, some) for mask, visual, some in rows]
        self._source_BT, self._place_BT, kept_BT = (
            pad_sequence([torch.from_numpy(row) for row in part], batch_first=True, padding_side="left").to(
                mask_BP.device
            )
            for part in ([s for s, _ in order], [p for _, p in order], [np.ones_like(p) for _, p in order])
        )
        self.mask_BT = kept_BT.to(mask_BP.dtype)
        self._visual_BP = visual_BP
        self._weights = [torch.from_numpy(np.ascontiguousarray(some)) for some in weights]
        self._paths = tuple(paths)
        self._full_mask_BP = mask_BP
        self._takes_positions = "position_ids" in inspect.signature(decoder.forward).parameters
        self.positions: torch.Tensor | None = None
        """Positions of the remaining tokens, (..., B, T), after `first`; None where the decoder takes none."""

    def gather(self, values: torch.Tensor) -> torch.Tensor:
        """Return values (B, P, ...) of the prompts' tokens at the remaining tokens' places, (B, T, ...)."""
        index = self._place_BT.to(values.device).reshape(*self._place_BT.shape, *[1] * (values.ndim - 2))
        return values.gather(1, index.expand(-1, -1, *values.shape[2:]))

    def first(self, arguments: Arguments) -> Arguments:
        """Return the arguments of the decoder's first call, shortened."""
        call = DecoderCall(arguments)
        shape = call.embeds.shape[:2]
        cut = {name: self._cut(value, shape) for name, value in arguments.items()}
        cut["inputs_embeds"] = self._path(call, EMBEDDINGS)
        cut["attention_mask"] = self._attention(cut.get("attention_mask"))
        if self._takes_positions:
            positions = arguments.get("position_ids")
            if positions is None:
                positions = (self._full_mask_BP.cumsum(1) - 1).clamp(min=0)
            self.positions = cut["position_ids"] = self._cut_positions(positions, shape)
        for name, rows in injections(arguments).items():
            cut |= self._cut_injections(name, rows, call, arguments)
        return cut

    def _attention(self, cut: Any) -> Any:
        """Return the attention mask of the remaining tokens: as it was cut, or the two-dimensional one."""
        made = cut if isinstance(cut, dict) else {"": cut}
        four = [value for value in made.values() if torch.is_tensor(value) and value.ndim == 4]
        if not four:
            return self.mask_BT
        if isinstance(cut, dict) and bool((self.mask_BT == 0).any()):
            # None stands for plain causal attention without padding; the prompts may have become unequally long.
            return {name: self._causal(four[0]) if value is None else value for name, value in cut.items()}
        return cut

    def _causal(self, like: torch.Tensor) -> torch.Tensor:
        """Return the mask of causal attention to the remaining tokens, bool or added as another one is."""
        real_BT = self.mask_BT.bool().to(like.device)
        length = real_BT.shape[1]
        below = torch.ones(length, length, dtype=torch.bool, device=like.device).tril()
        own = torch.eye(length, dtype=torch.bool, device=like.device)  # padding sees itself, or its softmax is NaN
        seen_B1TT = ((below & real_BT[:, None, :]) | own)[:, None]
        if like.dtype == torch.bool:
            return seen_B1TT
        return torch.zeros_like(seen_B1TT, dtype=like.dtype).masked_fill(~seen_B1TT, torch.finfo(like.dtype).min)

    def _path(self, call: DecoderCall, name: str) -> torch.Tensor:
        """Return what enters at the remaining tokens on a path, (B, T, d)."""
        dense_BPd = call.paths[name]
        if name not in self._paths:
            return self.gather(dense_BPd)
        rows = zip(self._weights, dense_BPd, self._visual_BP, strict=True)
        made = [some.to(row.device) @ row[visual.to(row.device)].float() for some, row, visual in rows]
        made_BKd = pad_sequence(made, batch_first=True).to(dense_BPd.dtype)
        source_BSd = torch.cat([dense_BPd, made_BKd], 1)
        index_BT1 = self._source_BT.to(dense_BPd.device)[..., None]
        return source_BSd.gather(1, index_BT1.expand(-1, -1, source_BSd.shape[2]))

    def _cut_injections(self, name: str, rows: Any, call: DecoderCall, arguments: Arguments) -> Arguments:
        """Return the rows that are added at the remaining tokens, and where: both are arguments."""
        keys = list(rows) if isinstance(rows, dict) else list(range(len(rows)))
        mask_name = injection_mask_name(arguments, len(rows[keys[0]]))
        if mask_name is None:
            return {}
        mask_BP = arguments[mask_name].reshape(call.embeds.shape[:2])
        at_BT = self.gather(mask_BP) & self.mask_BT.bool().to(mask_BP.device)
        made = [self._path(call, f"deepstack_{i}")[at_BT] for i in range(1, len(keys) + 1)]
        trailing = arguments[mask_name].shape[2:]
        where = at_BT.reshape(*at_BT.shape, *trailing)
        return {name: dict(zip(keys, made, strict=True)) if isinstance(rows, dict) else made, mask_name: where}

    def _cut_positions(self, positions: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        full = positions.expand(*positions.shape[:-2], *shape)
        index = self._place_BT.to(full.device).expand(*full.shape[:-2], *self._place_BT.shape)
        return full.gather(-1, index)

    def _cut(self, value: Any, shape: torch.Size) -> Any:
        if isinstance(value, dict):
            return {name: self._cut(part, shape) for name, part in value.items()}
        if not torch.is_tensor(value) or value.ndim < 2:
            return value
        if value.ndim == 4 and value.shape[-2:] == (shape[1], shape[1]):
            return self._cut_mask(value)
        if value.shape[:2] == shape:
            return self.gather(value)
        return value

    def _cut_mask(self, mask_B1PP: torch.Tensor) -> torch.Tensor:
        """Return a mask of attention, bool or added, for the remaining tokens, (B, 1, T, T)."""
        full = mask_B1PP.expand(len(self._place_BT), -1, -1, -1)
        place_BT = self._place_BT.to(full.device)
        heads, length = full.shape[1], place_BT.shape[1]
        rows = full.gather(2, place_BT[:, None, :, None].expand(-1, heads, -1, full.shape[3]))
        cut = rows.gather(3, place_BT[:, None, None, :].expand(-1, heads, length, -1))
        # Tokens made at one place see one another only where the model's image tokens do; else in their order.
        ahead = torch.ones(length, length, dtype=torch.bool, device=full.device).triu(1)
        twins_BTT = (place_BT[:, :, None] == place_BT[:, None, :]) & ahead
        seen = full if full.dtype == torch.bool else full == 0
        beyond_BHP = (seen & torch.ones_like(seen[0, 0]).triu(1)).any(3)
        both_ways_BHT = beyond_BHP.gather(2, place_BT[:, None].expand(-1, heads, -1))
        pad_BT = self.mask_BT.to(full.device) == 0
        never = False if cut.dtype == torch.bool else torch.finfo(cut.dtype).min
        always = True if cut.dtype == torch.bool else 0.0
        cut = cut.masked_fill(twins_BTT[:, None] & ~both_ways_BHT[..., None], never)
        cut = cut.masked_fill(pad_BT[:, None, None, :], never)
        # A row of padding must see something, or its softmax is NaN.
        own = torch.eye(length, dtype=torch.bool, device=full.device) & pad_BT[:, None, :, None]
        return cut.masked_fill(own, always)
