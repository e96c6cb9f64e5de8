"""An adapter for any image-text model of transformers: samples in, outputs and visual tokens out.

Subclasses for one architecture say which layers there are (`_layer_names`), where the visual tokens are in them
(`_connector`, `_encoder`, `_decoder_states`, `_places`), which part of a picture each stands for (`_picture_boxes`) and
which parts the model has for training (`_parts`); those that can do better than the model's `generate` override
`_inputs`, `_decode` or `_score`. The rest is inherited.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
import transformers

from vtbench.errors import AdapterError, OutOfMemory, SampleError, nearest
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_hf import decoding, visual
from vtbench_hf.loading import Loaded
from vtbench_hf.memory import BatchMemo, first_line, out_of_memory_as
from vtbench_hf.parts import Parts
from vtbench_hf.prompting import ChoiceTokens, adds_special_tokens, prompt_text

Inputs = Mapping[str, Any]


class HFAdapter:
    """Serves a model through its own `generate`, so that every architecture's positions and masks are right."""

    layers: tuple[str, ...]
    answer_marks: ClassVar[Mapping[str, int]] = {}
    """What an input that goes token by token holds at an answer's tokens, where it is not the prompt's last value."""

    def __init__(self, loaded: Loaded) -> None:
        self.model = loaded.model
        self.processor = loaded.processor
        self.tokenizer = loaded.processor.tokenizer
        self._loaded = loaded
        self._memo = BatchMemo()
        self._choice_tokens = ChoiceTokens(self.tokenizer)
        self._known_boxes: dict[tuple[tuple[int, int], str], np.ndarray | None] = {}
        can_see = self._gives_visual_tokens()
        capabilities: tuple[Capability, ...] = ("generate", "rank", "visual_tokens")
        self.capabilities: frozenset[Capability] = frozenset(capabilities if can_see else capabilities[:2])
        self.layers = self._layer_names() if can_see else ()
        self.parts = self._parts()
        if self.parts:
            self.capabilities |= {"train"}
        self.image_size = self._image_size()

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer greedily."""
        with self._batch(samples):
            return self._answers(self._shared_inputs(samples), max_new_tokens)

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Score each sample's choices."""
        with self._batch(samples):
            return self._rankings(self._shared_inputs(samples), samples)

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the batch's visual tokens at each of `layers`."""
        if unknown := [name for name in layers if name not in self.layers]:
            raise AdapterError(
                f"there is no layer {unknown[0]!r} to take visual tokens at.{nearest(unknown[0], [*self.layers])}"
            )
        with self._batch(samples):
            inputs = self._shared_inputs(samples)
            return [
                VisualTokens(name, self._layer(name, inputs, samples), self._boxes(samples, name)) for name in layers
            ]

    def forget(self) -> None:
        """Forget what the last batch left to be used again."""
        self._memo.clear()

    def describe(self) -> Mapping[str, Any]:
        """Say which model this is."""
        return {
            "checkpoint": self._loaded.checkpoint,
            "revision": getattr(self.model.config, "_commit_hash", None),
            "fingerprint": self._loaded.fingerprint(),
            "architecture": type(self.model).__name__,
            "parameters": self.model.num_parameters(),
            "device": str(self.model.device),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "attn_implementation": getattr(self.model.config, "_attn_implementation", None),
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        }

    def close(self) -> None:
        """Drop the model and give its memory back."""
        self._memo.clear()
        del self.model
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _answers(self, inputs: Inputs, max_new_tokens: int) -> list[Output]:
        texts = self.tokenizer.batch_decode(self._decode(inputs, max_new_tokens), skip_special_tokens=True)
        counts = zip(texts, self._lengths(inputs), self._visual_lengths(inputs), strict=True)
        return [Output(text=text.strip(), tokens_in=n, visual_tokens_in=seen) for text, n, seen in counts]

    def _rankings(self, inputs: Inputs, samples: Sequence[Sample]) -> list[Output]:
        lengths, visual_lengths = self._lengths(inputs), self._visual_lengths(inputs)
        rows = zip(inputs["input_ids"], inputs["attention_mask"].bool(), strict=True)
        tails = [row[mask][-8:].tolist() for row, mask in rows]
        choices = [
            [self._choice_tokens(tail, choice) for choice in sample.choices]
            for tail, sample in zip(tails, samples, strict=True)
        ]
        return [
            Output(logprobs=tuple(scores), logprob_tokens=tuple(map(len, row)), tokens_in=n, visual_tokens_in=seen)
            for scores, row, n, seen in zip(self._score(inputs, choices), choices, lengths, visual_lengths, strict=True)
        ]

    def encode(self, samples: Sequence[Sample]) -> Any:
        """Return the processor's tensors of the samples' prompts and pictures, padded on the left, on the CPU.

        Raises:
            SampleError: the processor refuses them.
        """
        try:
            batch = self._process(samples)
        except (ValueError, OSError, ZeroDivisionError) as error:
            raise SampleError(f"the processor refuses a picture or prompt: {first_line(error)}") from error
        batch.pop("labels", None)  # PaliGemma's processor adds them, for training
        return batch

    def _inputs(self, samples: Sequence[Sample]) -> Inputs:
        """Return the same on the model's device."""
        moved: Inputs = self.encode(samples).to(self.model.device, self.model.dtype)
        return moved

    def _process(self, samples: Sequence[Sample]) -> Any:
        """Call the processor."""
        texts = [prompt_text(self.processor, sample) for sample in samples]
        options = {} if adds_special_tokens(self.tokenizer, texts[0]) else {"add_special_tokens": False}
        images = [list(sample.images) for sample in samples] if samples[0].images else None
        return self.processor(images=images, text=texts, padding=True, return_tensors="pt", **options)

    def _decode(self, inputs: Inputs, max_new_tokens: int) -> list[list[int]]:
        """Return the tokens of the greedy answers, without the one that ends them."""
        decoded = decoding.generate(self.model, inputs, max_new_tokens)
        self._memo.keep("first", decoded.first_BV)
        return decoded.tokens

    def _score(self, inputs: Inputs, choices: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
        """Return log p of each choice of each row, in nats."""
        return decoding.score(self.model, inputs, choices, self._memo.known("first"))

    def _parts(self) -> Parts:
        """Return which homes are the vision tower, the connector and the language model; none: it is not trained."""
        return {}

    def _layer_names(self) -> tuple[str, ...]:
        return ("connector",)

    def _layer(self, name: str, inputs: Inputs, samples: Sequence[Sample]) -> torch.Tensor:
        """Return the visual tokens at a layer, (n, N, d)."""
        if len(set(self._places(inputs).sum(1).tolist())) > 1 or len({len(sample.images) for sample in samples}) > 1:
            raise visual.unequal()
        return visual.by_sample(self._rows(name, inputs), len(samples))

    def _rows(self, name: str, inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
        if name in visual.QUARTERS:
            return self._quarters(inputs)[name]
        return self._encoder(inputs) if name == "encoder" else self._connector(inputs)

    def _quarters(self, inputs: Inputs) -> dict[str, list[torch.Tensor]]:
        def read() -> dict[str, list[torch.Tensor]]:
            return visual.quarters(self._decoder_states(inputs), self._places(inputs))

        return self._memo.part("quarters", read)

    def _features(self, inputs: Inputs) -> Any:
        """Return what the vision tower and the connector make of the batch's pictures."""
        return self._memo.part("features", lambda: visual.image_features(self.model, inputs))

    def _connector(self, inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
        """Return the tokens that the language model is given: a row each picture or tile."""
        return visual.connector_rows(self._features(inputs))

    def _encoder(self, inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
        """Return the tokens that the connector is given: a row each picture or tile."""
        states: torch.Tensor = self._features(inputs).last_hidden_state
        return states

    def _decoder_states(self, inputs: Inputs) -> Sequence[torch.Tensor]:
        """Return the states (B, P, d) of the prompts in each layer of the language model, the embeddings first."""
        return visual.prompt_states(self.model, inputs)

    def _places(self, inputs: Inputs) -> torch.Tensor:
        """Return where the visual tokens stand among the prompts', (B, P); nowhere if they are not among them."""
        return self._placeholders(inputs)

    def _placeholders(self, inputs: Inputs) -> torch.Tensor:
        """Return where the prompts have placeholders for what comes of pictures, (B, P)."""
        ids_BP: torch.Tensor = inputs["input_ids"]
        token = getattr(self.model.config, "image_token_id", None)
        return torch.zeros_like(ids_BP, dtype=torch.bool) if token is None else ids_BP == token

    def _boxes(self, samples: Sequence[Sample], layer: str = "connector") -> np.ndarray | None:
        """Return where the visual tokens stand in the picture; None for pictures of several sizes."""
        sizes = {image.size for sample in samples for image in sample.images}
        if len(sizes) != 1 or any(len(sample.images) != 1 for sample in samples):
            return None
        key = (sizes.pop(), layer)
        if key not in self._known_boxes:
            self._known_boxes[key] = self._picture_boxes(*key)
        return self._known_boxes[key]

    def _picture_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        """Return the boxes (N, 4) of a layer's tokens in a picture of `size`, width and height in pixels.

        They are left, top, right, bottom as fractions of the picture; None: unknown for an architecture at large.
        """
        return None

    def _gives_visual_tokens(self) -> bool:
        return callable(getattr(self.model, "get_image_features", None))

    def _image_size(self) -> int | None:
        size = getattr(getattr(self.model.config, "vision_config", None), "image_size", None)
        if isinstance(size, list | tuple) and len(set(size)) == 1:
            size = size[0]
        return size if isinstance(size, int) else None

    def _shared_inputs(self, samples: Sequence[Sample]) -> Inputs:
        return self._memo.part("inputs", lambda: self._inputs(samples))

    @staticmethod
    def _lengths(inputs: Inputs) -> list[int]:
        """Return each prompt's length in tokens, padding not counted."""
        lengths: list[int] = inputs["attention_mask"].sum(1).tolist()
        return lengths

    def _visual_lengths(self, inputs: Inputs) -> Sequence[int | None]:
        """Return how many visual tokens the decoder reads of each sample; None where that is not known."""
        if not self._gives_visual_tokens():
            return [None] * len(inputs["input_ids"])
        counts: list[int] = self._places(inputs).sum(1).tolist()
        return counts

    @contextmanager
    def _batch(self, samples: Sequence[Sample]) -> Iterator[None]:
        """Work on a batch: no gradients, what it shares with the last call kept, out of memory said in one way."""
        self._memo.enter(samples)
        try:
            with torch.no_grad(), out_of_memory_as(OutOfMemory, f"a batch of {len(samples)} does not fit into memory"):
                yield
        except OutOfMemory:
            self._memo.clear()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            raise
