"""The probe: which embeddings of a prompt change with its image.

A prompt is made with three images. Embeddings that differ between them are visual tokens. The rule that finds
them in later batches: their token ids are those of the probe's visual tokens, and their vector is
none of the fixed ones (row marks, separators) that stand among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from vtbench.errors import AdapterError, VtbenchError
from vtbench.types import Sample
from vtbench_hf.entry.decoder_call import DecoderCall, take_call

QUESTION = "What is in the image?"


class ImageNotReadError(AdapterError):
    """Two images make the same call of the decoder."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How images enter a decoder."""

    paths: tuple[str, ...]
    """The paths that carry the image: `embeddings`, `deepstack_1`, ..."""
    ids: torch.Tensor
    """The token ids that stand at visual tokens."""
    fixed_FD: torch.Tensor
    """The vectors that also stand at these ids, whatever the image: row marks and separators."""
    unread: tuple[str, ...] = ()
    """Arguments of the decoder that change with the image and are no path."""

    def at_ids(self, ids_BP: torch.Tensor) -> torch.Tensor:
        """Return where the ids of visual tokens are, (B, P) bool: the visual tokens, and the fixed vectors if any."""
        return torch.isin(ids_BP, self.ids.to(ids_BP.device))

    def mask(self, ids_BP: torch.Tensor, call: DecoderCall) -> torch.Tensor:
        """Return where the visual tokens are, (B, P) bool."""
        mask_BP = self.at_ids(ids_BP).to(call.embeds.device)
        if not len(self.fixed_FD) or not mask_BP.any():
            return mask_BP
        rows_VD = call.joint(self.paths)[mask_BP]
        fixed_V = torch.zeros(len(rows_VD), dtype=torch.bool, device=rows_VD.device)
        for fixed_D in self.fixed_FD.to(rows_VD):
            fixed_V |= torch.isclose(rows_VD, fixed_D, rtol=1e-3, atol=1e-6).all(-1)
        return mask_BP.masked_scatter(mask_BP, ~fixed_V)


def image_sample(image: Image.Image) -> Sample:
    """Return a question about an image, whatever it shows."""
    return Sample("probe", 0, (image,), QUESTION, "")


def probe_images(side: int) -> list[Image.Image]:
    """Return two images of noise and one of a slope, which differ at every pixel."""
    noise = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    y, x = np.mgrid[:side, :side]
    slope = np.stack([x, y, x + y], -1) * 255 // max(2 * side, 1)
    return [Image.fromarray(pixels.astype(np.uint8)) for pixels in (*noise, slope)]


def find_entry(
    model: Any, decoder: nn.Module, inputs_of: Callable[[Sample], Mapping[str, Any]], side: int
) -> tuple[Entry, DecoderCall]:
    """Find out how images enter a decoder.

    Args:
        model: with a `generate` method.
        decoder: the module that reads the prompt's embeddings.
        inputs_of: makes the model's inputs of a sample.
        side: of the probe's images in pixels.

    Returns:
        How they enter, and the decoder's call for the first of the images.

    Raises:
        ImageNotReadError: nothing that the decoder is given depends on the image.
        AdapterError: the image does not reach the decoder in a way that is known.
    """
    inputs = [inputs_of(image_sample(image)) for image in probe_images(side)]
    ids_BP = inputs[0]["input_ids"]
    if any(some["input_ids"].shape != ids_BP.shape for some in inputs):
        raise AdapterError("images of one size make prompts of unequal lengths")
    first, *others = calls = [take_call(model, decoder, some) for some in inputs]
    if first.embeds.shape[:2] != ids_BP.shape:
        raise AdapterError("the decoder's prompt has other tokens than the processor's")
    moved = {
        name: torch.stack([(first.paths[name] != other.paths[name]).any(-1) for other in others]).any(0)
        for name in first.paths
    }
    paths = tuple(name for name, mask_BP in moved.items() if mask_BP.any())
    unread = _unread(first, others[0])
    if not paths and not unread:
        raise ImageNotReadError("the image does not reach the language model: its answers would not depend on it")
    if not paths:
        raise AdapterError(
            f"the image does not change the embeddings that enter the decoder ({type(decoder).__name__})"
            f"; it changes {', '.join(unread)}"
        )
    visual_BP = torch.stack([moved[name] for name in paths]).any(0)
    ids_BP = ids_BP.to(visual_BP.device)
    ids = ids_BP[visual_BP].unique()
    fixed_FD = first.joint(paths)[torch.isin(ids_BP, ids) & ~visual_BP].unique(dim=0)
    shown_VD = torch.cat([call.joint(paths)[visual_BP] for call in calls])
    by_chance_F = (fixed_FD[:, None] == shown_VD).all(-1).any(1)  # codes of a codebook, the same in all images
    return Entry(paths, ids, fixed_FD[~by_chance_F], unread), first


def _unread(first: DecoderCall, second: DecoderCall) -> tuple[str, ...]:
    """Return the arguments that differ, but for the paths."""
    known = {"inputs_embeds", "past_key_values"}
    names = set(first.arguments) & set(second.arguments)
    read = set() if len(first.paths) == 1 else {name for name in names if "deepstack" in name}
    return tuple(sorted(n for n in names - known - read if _differ(first.arguments[n], second.arguments[n])))


def _differ(one: Any, other: Any) -> bool:
    if torch.is_tensor(one):
        return not torch.is_tensor(other) or one.shape != other.shape or not torch.equal(one, other)
    if isinstance(one, Mapping):
        return any(_differ(one[name], other.get(name)) for name in one)
    if isinstance(one, list | tuple):
        return len(one) != len(other) or any(map(_differ, one, other))
    return False


def reason_of(error: Exception) -> str:
    """Return why the probe failed, in one line."""
    text = str(error).strip().splitlines()
    return (
        (text[0] if text else type(error).__name__)
        if isinstance(error, VtbenchError)
        else (f"{type(error).__name__}: {text[0] if text else ''}"[:200])
    )
