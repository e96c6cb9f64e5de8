"""A LLaVA whose visual tokens are thinned, copied and made noisy: a known dose of redundancy.

S of the connector's N tokens are kept, each stands k times in the prompt, and every copy gets noise of its own. What
that does to the Redundancy Score has a closed form (`vtbench_redundancy.scores.duplication`). Kept tokens have their
position in the full prompt, as under a token budget, and copies share it, so that they say nothing new about places.

Letters in the shapes: B images, N tokens of the connector, T = S k tokens that the decoder reads, P tokens of a prompt,
d their width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np
import torch
from typing_extensions import override

from vtbench.errors import AdapterError, SampleError
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Sample, VisualTokens
from vtbench_budgets import GridKeep, TokenCount
from vtbench_hf.adapter import Inputs
from vtbench_hf.checkpoint.loader import LoadedModel
from vtbench_hf.devices import input_device
from vtbench_hf.visual_features import image_features, projected_features, stack_by_sample
from vtbench_llava.adapter import LlavaAdapter

NOISE_SEED = 20_602_915
"""Seed of the images that the noise is shaped by; neither a run nor the basis of a score has the scenes of this one."""
NOISE_IMAGES = 1000
_BATCH = 50


@dataclass(frozen=True, slots=True)
class Dose:
    """How many tokens are kept, how often each is repeated, and the noise on every copy."""

    tokens: int | None = None
    """S, spread evenly over the image; None: all."""
    copies: int = 1
    """k."""
    noise: float = 0.0
    """Its covariance is that of the token over images times this."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            AdapterError: one is out of range.
        """
        for name in ("tokens", "copies"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise AdapterError(f"model duplicated: {name} must be a whole number of at least 1, not {value!r}")
        if type(self.noise) not in (int, float) or not isfinite(self.noise) or self.noise < 0:
            raise AdapterError(f"model duplicated: noise must be a number of at least 0, not {self.noise!r}")


class DuplicatedLlava(LlavaAdapter):
    """The control `duplicated`; see the module."""

    def __init__(self, loaded: LoadedModel, dose: Dose) -> None:
        self.dose = dose
        super().__init__(loaded)
        self.capabilities -= {"train"}
        self._given = 0
        self._kept_S = np.empty(0, np.int64)
        self._deviations_Snd: torch.Tensor | None = None

    @override
    def takes_several_images(self) -> bool:
        return False

    @override
    def describe(self) -> Mapping[str, Any]:
        return {**super().describe(), "dose": asdict(self.dose)}

    @override
    def call_processor(self, samples: Sequence[Sample]) -> Any:
        """Return the processor's tensors, with a placeholder for each token that the decoder reads.

        Raises:
            SampleError: a prompt has no image, or several.
            AdapterError: more tokens are to be kept than an image has.
        """
        batch = super().call_processor(samples)
        visual_BP = self.placeholder_mask(batch)
        if any(len(sample.images) != 1 for sample in samples):
            raise SampleError("model duplicated takes questions about one image each")
        self._given = int(visual_BP[0].sum())
        self._kept_S = self._chosen(samples[0].images[0].size)
        read, first_B = len(self._kept_S) * self.dose.copies, visual_BP.int().argmax(1).tolist()
        for name in ("input_ids", "attention_mask"):
            rows = zip(batch[name], first_B, strict=True)
            batch[name] = torch.stack(
                [torch.cat([row[:at], row[at].expand(read), row[at + self._given :]]) for row, at in rows]
            )
        return batch

    @override
    def image_features(self, inputs: Inputs) -> Any:
        self._places(inputs)  # needed before a budget replaces `input_ids`
        return super().image_features(inputs)

    @override
    def connector_features(self, inputs: Inputs) -> torch.Tensor:
        """Return the tokens that the decoder reads, (B, T, d)."""
        return self.cache.get_or_compute("dosed", lambda: self._dosed(inputs))

    @override
    def position_ids(self, inputs: Inputs) -> torch.Tensor:
        """Return positions in the prompt without the dose, (B, P)."""
        index_BP = super().position_ids(inputs)
        return self._places(inputs).gather(1, index_BP)

    @override
    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        boxes_N4 = super().token_boxes(size, layer)
        if layer == "encoder" or boxes_N4 is None:
            return boxes_N4
        return np.repeat(boxes_N4[self._kept_S], self.dose.copies, axis=0)

    def _chosen(self, size: tuple[int, int]) -> np.ndarray:
        """Return the indices of the kept tokens, (S,): those of the budget `grid`."""
        wanted = self._given if self.dose.tokens is None else self.dose.tokens
        if wanted > self._given:
            raise AdapterError(f"model duplicated: tokens={wanted}, but an image has {self._given} of them")
        visual = VisualTokens("connector", np.zeros((1, self._given, 1)), super().token_boxes(size, "connector"))
        chosen: np.ndarray = GridKeep(TokenCount(count=wanted)).weights(visual, [""])[0].argmax(axis=1)
        return chosen

    def _dosed(self, inputs: Inputs) -> torch.Tensor:
        tokens_BNd = stack_by_sample(super().connector_features(inputs), len(inputs["pixel_values"]))
        kept_BSd = tokens_BNd[:, torch.as_tensor(self._kept_S, device=tokens_BNd.device)]
        copies_BTd = kept_BSd.repeat_interleave(self.dose.copies, dim=1)
        return copies_BTd + self._noise(inputs).to(copies_BTd) if self.dose.noise else copies_BTd

    def _places(self, inputs: Inputs) -> torch.Tensor:
        """Return each token's position without the dose, by its position with it, (B, P)."""
        if "input_ids" not in inputs or "inputs_embeds" in inputs:
            return self.cache.get("places")  # type: ignore[return-value]

        def compute() -> torch.Tensor:
            mask_BP, visual_BP = inputs["attention_mask"], self.placeholder_mask(inputs)
            kept_T = torch.as_tensor(np.repeat(self._kept_S, self.dose.copies), device=mask_BP.device)
            first_B1 = visual_BP.int().argmax(1, keepdim=True) - mask_BP.int().argmax(1, keepdim=True)
            index_BP = torch.arange(mask_BP.shape[1], device=mask_BP.device).expand_as(mask_BP)
            into_BP = index_BP - first_B1
            visual_place_BP = first_B1 + kept_T[into_BP.clamp(0, len(kept_T) - 1)]
            later_BP = torch.where(into_BP < len(kept_T), visual_place_BP, index_BP - len(kept_T) + self._given)
            return torch.where(into_BP < 0, index_BP, later_BP)

        return self.cache.get_or_compute("places", compute)

    def _noise(self, inputs: Inputs) -> torch.Tensor:
        """Return the noise (B, T, d), drawn by the image's pixels.

        A copy's noise is a random combination of its token's deviations from their mean over other images: Gaussian,
        with their covariance.
        """
        if self._deviations_Snd is None:
            self._deviations_Snd = self._deviations()
        places, n, _ = self._deviations_Snd.shape
        noise = []
        for pixels in inputs["pixel_values"]:
            digest = hashlib.blake2b(pixels.float().cpu().numpy().tobytes(), digest_size=7).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest, "big"))
            draws_Skn = torch.randn(places, self.dose.copies, n, generator=generator)
            noise.append((draws_Skn.to(self._deviations_Snd) @ self._deviations_Snd).flatten(0, 1))
        return torch.stack(noise) * (self.dose.noise / n) ** 0.5

    def _deviations(self) -> torch.Tensor:
        """Return the kept tokens of `NOISE_IMAGES` images less their mean, (S, n, d)."""
        task = load_task(find_task_files()["probe"], split="train", seed=NOISE_SEED, items=NOISE_IMAGES)
        tokens = []
        for start in range(0, NOISE_IMAGES, _BATCH):
            samples = [task.sample(i, self.image_size) for i in range(start, start + _BATCH)]
            pixels = super().call_processor(samples)["pixel_values"].to(input_device(self.model), self.model.dtype)
            found = projected_features(image_features(self.model, {"pixel_values": pixels}))
            found = stack_by_sample(found, _BATCH)
            tokens.append(found[:, torch.as_tensor(self._kept_S, device=found.device)].float())
        tokens_Snd = torch.cat(tokens).transpose(0, 1)
        return (tokens_Snd - tokens_Snd.mean(dim=1, keepdim=True)).contiguous()
