"""What the adapter that vtbench takes for a checkpoint can do, each point tried out against plain transformers.

In: a model type and the directory of a checkpoint. Out: what each column of the matrix says of it; a check that fails
raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from reference import Reference

from vtbench.registry import Registry
from vtbench.types import Sample, VisualTokens
from vtbench_hf.checkpoint.model_types import adapter_for
from vtbench_hf.matrix import ANY, FAMILY

NEAR = 2e-6
"""Nats by which two ways to compute a log-probability may differ, for each nat of it and at least for one."""
SIDE = 112
"""Side in pixels of the images where the adapter prefers none."""
NEW_TOKENS = 6
OTHERS = 12
"""About how many other images the first question is asked at most."""
RECURRENT = {"linear_attention", "conv", "mamba", "hybrid", "hybrid_sliding"}
"""Kinds of layers with a recurrence or a convolution, in which a masked token still takes a place."""


class Wrong(Exception):
    """A check failed; the text says how."""


@dataclass(frozen=True)
class EveryOther:
    """The budget that keeps the first of every two visual tokens."""

    name: str = "every other"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> list[np.ndarray]:
        """Return one-hot rows."""
        return [np.eye(len(tokens_ND), dtype=np.float32)[::2] for tokens_ND in visual.tokens]


class Probe:
    """The checks of one checkpoint, in the order of the row's columns.

    Args:
        model_type: of the checkpoint.
        directory: of the checkpoint.
    """

    def __init__(self, model_type: str, directory: Path) -> None:
        self.reference = Reference(model_type, directory)
        self.name = adapter_for(model_type)
        self.adapter: Any = Registry().adapter(self.name, {"pretrained": str(directory)}, device="cpu", dtype="float32")
        side = self.adapter.image_size or SIDE
        self.samples = [
            _sample(0, "is the red circle left of the blue square?", ("yes", "no"), side),
            _sample(1, "where?", ("left", "right", "far below it"), side),
        ]
        asked = self.samples[0]
        self.others = [_sample(index, asked.prompt, asked.choices, side) for index in range(2, 2 + OTHERS)]
        self._known_moved: torch.Tensor | None = None
        self.inputs = [self.reference.inputs(sample) for sample in self.samples]
        self.described = dict(self.adapter.describe())

    def served(self) -> str:
        """Return whether the adapter has code of the family's own."""
        return ANY if type(self.adapter).__module__.startswith("vtbench_hf.") else FAMILY

    def generates(self) -> str:
        """Check that greedy answers are those of plain `generate`, token for token."""
        for sample, inputs in zip(self.samples, self.inputs, strict=True):
            ids = self.reference.greedy(inputs, NEW_TOKENS)
            (output,) = self.adapter.generate([sample], NEW_TOKENS)
            said = self.adapter.tokenizer.decode(ids, skip_special_tokens=True).strip()
            if output.text != said:
                raise Wrong(f"answers {output.text!r} where plain transformers says {said!r}")
        return "yes"

    def ranks(self) -> str:
        """Check that log-probabilities are those of one forward pass, and that they depend on the image."""
        for sample, inputs in zip(self.samples, self.inputs, strict=True):
            (output,) = self.adapter.rank([sample])
            for choice, logprob in zip(sample.choices, output.logprobs, strict=True):
                _same(logprob, self.reference.likelihood(inputs, self._ids(inputs, choice)), "one forward pass")
        first, other = (self.adapter.rank([sample])[0].logprobs for sample in (self.samples[0], self.others[0]))
        if first == other:
            raise Wrong("the image does not change an answer's log-probability")
        return "yes"

    def tokens(self) -> str:
        """Check that the connector's tokens are as many as the embeddings that an image changes; return how many."""
        self._offers("visual_tokens")
        tokens_ND, other_ND = (self._seen(sample, "connector")[0] for sample in (self.samples[0], self.others[0]))
        if torch.equal(tokens_ND, other_ND):
            raise Wrong("the image does not change them")
        moved = self._moved(len(tokens_ND))
        if moved is not None and moved.any() and int(moved.sum()) != len(tokens_ND):
            raise Wrong(f"{len(tokens_ND)} of them, where an image changes {int(moved.sum())} of the embeddings")
        return str(len(tokens_ND))

    def layers(self) -> str:
        """Check the visual tokens in the decoder's layers; return how many layers there are."""
        self._offers("visual_tokens")
        names = [name for name in self.adapter.layers if name.startswith("decoder_")]
        if not names:
            raise Wrong(self._missing("decoder layers"))
        count = len(self._seen(self.samples[0], "connector")[0])
        for name in names:
            if (found := len(self._seen(self.samples[0], name)[0])) != count:
                raise Wrong(f"{name} has {found} tokens for {count}")
        return str(len(names))

    def boxes(self) -> str:
        """Check the connector's boxes; return where they come from."""
        self._offers("visual_tokens")
        tokens_ND, boxes = self._seen(self.samples[0], "connector")
        if boxes is None:
            raise Wrong(self._missing("boxes"))
        if boxes.shape != (len(tokens_ND), 4) or boxes.min() < 0 or boxes.max() > 1:
            raise Wrong(f"{boxes.shape} for {len(tokens_ND)} tokens, from {boxes.min()} to {boxes.max()}")
        return str(self.adapter.describe().get("boxes", "yes"))

    def budgets(self) -> str:
        """Check that keeping all tokens is the whole image, and that dropping some is masking them."""
        self._offers("budget")
        sample, inputs = self.samples[0], self.inputs[0]
        (whole,) = self.adapter.rank([sample])
        (kept,) = self.adapter.rank([sample], Registry().budget("random:f=1"))
        for one, other in zip(kept.logprobs, whole.logprobs, strict=True):
            _same(one, other, "the whole image")
        (dropped,) = self.adapter.rank([sample], EveryOther())
        if dropped.logprobs == whole.logprobs:
            raise Wrong("dropping every other token changes nothing")
        if self._recurrent():
            return "yes"
        visual = self._moved(len(self._seen(sample, "connector")[0]))
        if visual is None:
            raise Wrong("it is unknown which tokens were dropped")
        hidden = visual & (visual.cumsum(0) % 2 == 0)
        for choice, logprob in zip(sample.choices, dropped.logprobs, strict=True):
            _same(logprob, self.reference.masked(inputs, self._ids(inputs, choice), hidden), "masking what is dropped")
        return "yes"

    def trains(self) -> str:
        """Check that a training step has a finite loss and gives every part of the model a gradient."""
        self._offers("train")
        model = self.adapter.model
        self.adapter.forget()
        batch = self.adapter.encode_training(self.samples)
        targets = batch.pop("targets")
        logits = self.adapter.answer_logits(batch, targets)
        loss = torch.nn.functional.cross_entropy(logits, targets[targets != -100])
        if not torch.isfinite(loss):
            raise Wrong("the loss is not finite")
        loss.backward()
        named = dict(model.named_parameters())
        for part, names in self.adapter.parts.items():
            gradients = [w.grad for n, w in named.items() if _within(n, names) and w.grad is not None]
            if not any(gradient.any() for gradient in gradients):
                raise Wrong(f"no gradient reaches the part {part!r}")
            if not all(torch.isfinite(gradient).all() for gradient in gradients):
                raise Wrong(f"a gradient of the part {part!r} is not finite")
        self.adapter.forget()
        return "yes"

    def _seen(self, sample: Sample, layer: str) -> tuple[torch.Tensor, np.ndarray | None]:
        """Return a sample's visual tokens (N, d) at a layer and their boxes (N, 4)."""
        (visual,) = self.adapter.visual_tokens([sample], [layer])
        tokens_ND = torch.as_tensor(visual.tokens[0])
        if not torch.isfinite(tokens_ND).all():
            raise Wrong(f"those of {layer} are not finite")
        boxes = visual.boxes[0] if isinstance(visual.boxes, list) else visual.boxes
        return tokens_ND, None if boxes is None else np.asarray(boxes)

    def _ids(self, inputs: dict[str, Any], choice: str) -> list[int]:
        ids: list[int] = self.adapter.choice_tokenizer(inputs["input_ids"][0].tolist(), choice)
        return ids

    def _moved(self, count: int) -> torch.Tensor | None:
        """Return which embeddings of the first prompt change with the image, (P,) bool; None where none are known.

        Further images are shown until there are `count`: one word of a codebook may stand for a part of two of them.
        """
        if self._known_moved is None:
            first = self.reference.embeddings(self.inputs[0])
            if first is None:
                return None
            self._known_moved = torch.zeros(len(first), dtype=torch.bool)
            for image in self.others:
                other = self.reference.embeddings(self.reference.inputs(image))
                if other is None or other.shape != first.shape:
                    return None
                self._known_moved |= (other != first).any(-1)
                if int(self._known_moved.sum()) >= count:
                    break
        return self._known_moved

    def _recurrent(self) -> bool:
        config = self.reference.model.config.get_text_config()
        kinds = getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None) or ()
        return bool(RECURRENT & {*kinds})

    def _offers(self, capability: str) -> None:
        if capability not in self.adapter.capabilities:
            raise Wrong(self._missing(capability))

    def _missing(self, what: str) -> str:
        return str(self.described.get("missing", {}).get(what, "the adapter offers none"))


def _sample(index: int, prompt: str, choices: tuple[str, ...], side: int) -> Sample:
    pixels = np.random.default_rng(index).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Sample(str(index), index, (Image.fromarray(pixels),), prompt, choices[0], choices)


def _same(one: float, other: float, what: str) -> None:
    if not abs(one - other) <= NEAR * max(1, abs(other)):
        raise Wrong(f"{abs(one - other):.0e} nats from {what}")


def _within(name: str, parts: Sequence[str]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)
