"""The arguments with which a model calls its decoder on a batch of prompts, and the visual tokens among them.

Letters in the shapes: B rows of a batch, P tokens of a prompt with its padding, D the width of an embedding, R rows of
an injected path, N visual tokens of a sample.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from vtbench.errors import AdapterError
from vtbench_hf.generation import run_generate

EMBEDDINGS = "embeddings"
"""Name of the path through the embeddings of the prompt."""

Arguments = dict[str, Any]
Forward = Callable[..., Any]


class _Stop(Exception):
    """The module was called."""


@dataclass(frozen=True, slots=True)
class DecoderCall:
    """The first call of a decoder for a batch of prompts."""

    arguments: Arguments
    """By the names of its `forward`."""
    paths: Mapping[str, torch.Tensor] = field(init=False)
    """What enters the decoder at each token of the prompts, (B, P, d) each: `embeddings` first, then `deepstack_1`, ...
    whose rows are zero where nothing is added."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", _paths(self.arguments))

    @property
    def embeds(self) -> torch.Tensor:
        """The embeddings, (B, P, D)."""
        return self.paths[EMBEDDINGS]

    def joint(self, names: tuple[str, ...]) -> torch.Tensor:
        """Return some paths side by side, (B, P, sum of their widths)."""
        return self.paths[names[0]] if len(names) == 1 else torch.cat([self.paths[name] for name in names], -1)


def prompt_reader(model: Any) -> nn.Module:
    """Return the module that reads the prompt's embeddings: the decoder, or the text encoder in front of it."""
    reader: nn.Module = model.get_decoder()
    if model.config.is_encoder_decoder:
        encoder = model.get_encoder()
        reader = getattr(encoder, "text_model", encoder)
    return reader


def take_call(model: Any, decoder: nn.Module, inputs: Mapping[str, Any]) -> DecoderCall:
    """Return the decoder's first call for a batch. The decoder itself does not run.

    Args:
        model: with a `generate` method.
        decoder: the module of it that reads the prompt's embeddings.
        inputs: of the model's forward pass.

    Raises:
        AdapterError: the decoder is not called, or not with embeddings.
    """
    taken = first_arguments(model, decoder, inputs)
    if not torch.is_tensor(taken.get("inputs_embeds")):
        raise AdapterError(f"{type(model).__name__} does not give its decoder embeddings of the prompt")
    return DecoderCall(taken)


def first_arguments(model: Any, module: nn.Module, inputs: Mapping[str, Any]) -> Arguments:
    """Return the arguments by name of the first call of a module in `generate`; empty where it is not called.

    The module does not run. With gradients, which `generate` has not, the model's forward pass calls the module.
    """
    taken: Arguments = {}

    def stop(forward: Forward, arguments: Arguments) -> Any:
        taken.update(arguments)
        raise _Stop

    with intercepted(module, stop):
        try:
            if torch.is_grad_enabled():
                model(**inputs, use_cache=False)
            else:
                run_generate(model, inputs, max_new_tokens=1, do_sample=False)
        except _Stop:
            pass
    return taken


@contextmanager
def intercepted(module: nn.Module, handle: Callable[[Forward, Arguments], Any]) -> Iterator[None]:
    """Send the calls of a module to `handle` instead, with the module's own forward and the arguments by name."""
    forward, before = module.forward, module.__dict__.get("forward")
    signature = inspect.signature(forward)
    rest = next((p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD), "")

    @functools.wraps(forward)
    def replaced(*args: Any, **kwargs: Any) -> Any:
        arguments = dict(signature.bind_partial(*args, **kwargs).arguments)
        return handle(forward, arguments | arguments.pop(rest, {}))

    module.forward = replaced
    try:
        yield
    finally:
        del module.forward
        if before is not None:  # of accelerate, where the model is spread over devices
            module.forward = before


def _paths(arguments: Arguments) -> dict[str, torch.Tensor]:
    """Return the embeddings, and the injected rows at their places in the prompts."""
    embeds_BPD: torch.Tensor = arguments["inputs_embeds"]
    paths = {EMBEDDINGS: embeds_BPD}
    for name, rows_Rd in injected_rows(arguments):
        mask_BP = injection_mask(arguments, len(rows_Rd))
        if mask_BP is not None:
            dense_BPd = rows_Rd.new_zeros((*mask_BP.shape, rows_Rd.shape[-1]))
            dense_BPd[mask_BP] = rows_Rd
            paths[name] = dense_BPd
    return paths


def injected_rows(arguments: Arguments) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the rows (R, d) that are added to hidden states, as `deepstack_1`, `deepstack_2`, ..."""
    for _, rows in sorted(injections(arguments).items()):
        values = rows.values() if isinstance(rows, dict) else rows
        for i, value in enumerate(values, 1):
            yield f"deepstack_{i}", value


def injections(arguments: Arguments) -> dict[str, Any]:
    """Return the arguments that hold a list or dict of rows (R, d), one for each of some layers."""
    found = {}
    for name, value in arguments.items():
        rows = list(value.values()) if isinstance(value, dict) else value
        if "mask" in name or name == "past_key_values" or not isinstance(rows, list | tuple) or not rows:
            continue
        if all(torch.is_tensor(row) and row.ndim == 2 and row.is_floating_point() for row in rows):
            found[name] = value
    return found


def injection_mask(arguments: Arguments, rows: int) -> torch.Tensor | None:
    """Return where that many rows are added in the prompts, (B, P) bool; None where no argument says it."""
    name = injection_mask_name(arguments, rows)
    return None if name is None else arguments[name].reshape(arguments["inputs_embeds"].shape[:2])


def injection_mask_name(arguments: Arguments, rows: int) -> str | None:
    """Return the argument that says where that many rows are added."""
    shape = arguments["inputs_embeds"].shape[:2]
    for name, value in arguments.items():
        if torch.is_tensor(value) and value.dtype == torch.bool and value.shape[:2] == shape:
            one_each = value.numel() == shape.numel()
            if one_each and int(value.sum()) == rows:
                return name
    return None
