"""A decoder's reading of one batch of prompts: its first pass is made once, and shortened under a token budget."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from vtbench_hf.entry.decoder_call import Arguments, DecoderCall, Forward
from vtbench_hf.entry.prefill import Prefilled
from vtbench_hf.entry.reduction import Reduction


class Reading:
    """Handles the decoder's calls of the queries about one batch, under one token budget or none.

    Args:
        length: tokens of the full prompts with their padding: the first call has as many.
        device: of the model.
        reduce: makes the reduction from the decoder's call, or None without visual tokens; None without a budget.
        seen: is given the first call of the batch, before it is shortened.
    """

    def __init__(
        self,
        length: int,
        device: torch.device,
        reduce: Callable[[DecoderCall], Reduction | None] | None,
        seen: Callable[[DecoderCall], None],
    ) -> None:
        self.prefill_seconds = 0.0
        """Of the pass over the prompts, with the reduction."""
        self.prefilled_at = 0.0
        """When a query's decoder had read the prompts, as `now` gives it."""
        self.reduction: Reduction | None = None
        self._length, self._device, self._reduce, self._seen = length, device, reduce, seen
        self._prefilled: Prefilled | None = None

    def handle(self, forward: Forward, arguments: Arguments) -> object:
        """Call the decoder, as `decoder_call.intercepted` asks for it."""
        embeds = arguments.get("inputs_embeds")
        if embeds is None or embeds.shape[1] != self._length:
            return forward(**(arguments if self.reduction is None else self.reduction.later(arguments)))
        cache = arguments.get("past_key_values")
        if self._prefilled is not None:
            if self.reduction is not None:
                self.reduction.begin()
            output = self._prefilled.restore(cache)
        else:
            output = self._read(forward, arguments)
            self._prefilled = Prefilled.of(output, cache)
        self.prefilled_at = self.now()
        return output

    def _read(self, forward: Forward, arguments: Arguments) -> object:
        call = DecoderCall({name: value for name, value in arguments.items() if name != "past_key_values"})
        self._seen(call)
        start = self.now()
        if self._reduce is not None:
            self.reduction = self._reduce(call)
        if self.reduction is not None:
            arguments = self.reduction.first(arguments)
        output = forward(**arguments)
        self.prefill_seconds = self.now() - start
        return output

    def now(self) -> float:
        """Return the wall time in seconds once the device has finished its queued work."""
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)
        return time.perf_counter()
