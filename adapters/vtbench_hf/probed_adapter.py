"""The adapter of any checkpoint: a probe at load finds out where its visual tokens are (`vtbench_hf.entry`).

What it offers follows from the probe and not from a list of architectures: visual tokens where an image changes the
embeddings that enter the decoder, the decoder's layers where it returns hidden states, token budgets where a call that
keeps every token gives the answers of the whole image. Answers are those of the model's own `generate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from vtbench.budget import Budget
from vtbench.errors import AdapterError, SampleError
from vtbench.types import Output, Sample
from vtbench_hf import generation, visual_features
from vtbench_hf.adapter import HFAdapter, Inputs
from vtbench_hf.checkpoint.loader import LoadedModel
from vtbench_hf.decoding import Decoding
from vtbench_hf.devices import device_time, input_device
from vtbench_hf.entry.boxes import measured_boxes, stated_grid
from vtbench_hf.entry.decoder_call import DecoderCall, first_arguments, intercepted, prompt_reader, take_call
from vtbench_hf.entry.parts import parts_of
from vtbench_hf.entry.probe import QUESTION, Entry, ImageNotReadError, find_entry, image_sample, probe_images, reason_of
from vtbench_hf.entry.reading import ReadPrompts, read_prompts
from vtbench_hf.entry.reduction import Reduction
from vtbench_hf.entry.shared_features import shared_features
from vtbench_hf.model_parts import ModelParts
from vtbench_hf.token_boxes import grid, patch_boxes

PROBE_SIDE = 224
"""Side in pixels of the probe's images where the model prefers none."""
LARGEST_PROBE = 448
"""Most pixels of a side of the probe's images: processors enlarge them where the model wants larger ones."""


class ProbedAdapter(HFAdapter):
    """Serves any checkpoint through its own `generate`, with what a probe finds of its visual tokens.

    Attributes:
        decoder: the module that reads the prompts' embeddings.
        missing: why the model lacks a capability, by capability.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.decoder = prompt_reader(loaded.model)
        self.missing: dict[str, str] = {}
        self._entry: Entry | None = None
        self._probed = self._depths = self._continues = self._reducible = False
        self._speaker = loaded.model
        self._asked: tuple[Budget | None, tuple[Sample, ...]] = (None, ())
        super().__init__(loaded)
        if self._reducible:
            self.capabilities |= {"budget"}

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        """Answer from the visual tokens that the budget leaves; greedily unless `--gen` says otherwise."""
        with self.batch(samples), self._under(budget, samples):
            outputs = self._answers(self.batch_inputs(samples), samples, max_new_tokens)
            outputs = self._counted(outputs, samples)
            if (seconds := self.cache.get("seconds")) is None:
                return outputs
            prefill, decode = (value / len(samples) for value in seconds)
            return [replace(output, prefill_seconds=prefill, decode_seconds=decode) for output in outputs]

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        """Score each sample's choices, from the visual tokens that the budget leaves."""
        with self.batch(samples), self._under(budget, samples):
            return self._counted(self._rankings(self.batch_inputs(samples), samples), samples)

    def describe(self) -> Mapping[str, Any]:
        """Return which model this is, and why it lacks what it lacks."""
        return {**super().describe(), **({"missing": dict(self.missing)} if self.missing else {})}

    # What the base class asks for.

    def has_visual_tokens(self) -> bool:
        """Return whether the probe finds the image among what enters the decoder."""
        if not self._probed:
            self._probed = True
            self._probe()
        return self._entry is not None

    def _probe(self) -> None:
        side = min(self.preferred_image_size() or PROBE_SIDE, LARGEST_PROBE)
        with torch.no_grad(), self._noting("visual_tokens"):
            self._entry, call = find_entry(self.model, self.decoder, lambda sample: self.model_inputs([sample]), side)
            with self._noting("decoder layers"):
                self._depths = self._gives_layers(call)
            with self._noting("budget"):
                self._probe_answers(probe_images(side)[0])
        self.cache.clear()

    def layer_names(self) -> tuple[str, ...]:
        """Return `connector`, the rows that enter later layers, and the decoder at four depths."""
        assert self._entry is not None
        injected = tuple(name for name in self._entry.paths if name != "embeddings")
        return ("connector", *injected, *(visual_features.DECODER_DEPTHS if self._depths else ()))

    def shows_a_part(self, layer: str) -> bool:
        """Return whether it is one path of several, or the decoder is given something else of the image."""
        return bool(self._found().unread) or layer.startswith("deepstack_")

    def model_parts(self) -> ModelParts:
        """Return the parts that the model's own names tell; none where it is unknown how its images are read."""
        return parts_of(self.model, self.decoder) if self._entry is not None else {}

    def connector_features(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return all that enters the decoder at each visual token, the paths side by side: (N, d) for each sample."""
        return self._rows(inputs, self._found().paths)

    def _layer_features(self, name: str, inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
        if name.startswith("deepstack_"):
            return self._rows(inputs, (name,))
        return super()._layer_features(name, inputs)

    def _visual_rows(self, name: str, inputs: Inputs, samples: Sequence[Sample]) -> torch.Tensor | list[torch.Tensor]:
        rows = list(self._layer_features(name, inputs))
        return torch.stack(rows) if len({len(row) for row in rows}) == 1 else rows

    def visual_token_mask(self, inputs: Inputs) -> torch.Tensor:
        """Return where the visual tokens are in the prompts, (B, P) bool."""
        entry, ids_BP = self._found(), inputs["input_ids"]
        if not len(entry.fixed_FD):
            return entry.at_ids(ids_BP)
        return self.cache.get_or_compute("visual", lambda: entry.mask(ids_BP, self._call(inputs)).to(ids_BP.device))

    def decoder_hidden_states(self, inputs: Inputs) -> Sequence[torch.Tensor]:
        """Return the hidden states of one pass of the decoder without a cache."""
        return self._hidden_states(self._call(inputs))

    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        """Return the boxes of the grid that the processor states or that is measured, the same at every layer."""
        blank = self.model_inputs([image_sample(Image.new("RGB", size))])
        count = len(self._rows_of(blank)[0])
        if (stated := stated_grid(blank, count)) is not None:
            return grid(*stated)
        vision = getattr(self.model.config, "vision_config", None)
        side, patch = self.preferred_image_size(), getattr(vision, "patch_size", None)
        if isinstance(patch, int) and side:
            patches = patch_boxes(self.processor.image_processor, size, side, patch)
            if patches is not None and len(patches) == count:
                return patches
        return measured_boxes(self._tokens_of, size)

    def budgeted_answer_logits(
        self, inputs: Inputs, targets: torch.Tensor, tokens: torch.Tensor, weights: Sequence[np.ndarray]
    ) -> torch.Tensor:
        """Return the logits (A, V) at the answers' tokens, from what the budget's weights make of the tokens."""
        reduction = self._reduction_to(inputs, weights)
        with intercepted(self.decoder, lambda forward, arguments: forward(**reduction.first(arguments))):
            return self.answer_logits(inputs, targets)

    # A batch's queries share one pass of the tower, and one of the decoder under each budget.

    @contextmanager
    def batch(self, samples: Sequence[Sample]) -> Iterator[None]:
        """Work on a batch, as the base class does; image features are computed once."""
        with (
            super().batch(samples),
            shared_features(self.model.base_model, self.cache.get_or_compute("shared features", dict)),
        ):
            yield

    def generate_tokens(self, inputs: Inputs, max_new_tokens: int, decoding: Decoding | None = None) -> list[list[int]]:
        """Return the token ids of the answers, without the id that ends an answer."""
        if not self._continues:
            return super().generate_tokens(inputs, max_new_tokens, decoding)
        read = self._read(inputs)
        start = device_time(input_device(self.model))
        tokens = read.decode(max_new_tokens, decoding)
        self.cache.put("seconds", (read.seconds, device_time(input_device(self.model)) - start))
        return tokens

    def score_choices(self, inputs: Inputs, choices: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
        """Return log p(choice | prompt) in nats of each row's choices."""
        return self._read(inputs).score(choices) if self._continues else super().score_choices(inputs, choices)

    @contextmanager
    def _under(self, budget: Budget | None, samples: Sequence[Sample]) -> Iterator[None]:
        """Ask under a token budget.

        Raises:
            AdapterError: something stands before the question.
        """
        if budget is not None and any(sample.system or sample.examples for sample in samples):
            raise AdapterError("a token budget takes bare questions: leave --system and --fewshot out")
        self._asked = (budget, tuple(samples))
        try:
            yield
        finally:
            self._asked = (None, ())

    def _read(self, inputs: Inputs) -> ReadPrompts:
        """Return the batch's prompts as they were read under the budget; the last ones are kept for their next use."""
        budget, samples = self._asked
        key = (budget, [sample.id for sample in samples] if budget else None)
        known = self.cache.get("read")
        if known is None or known[0] != key:
            first = self.cache.get_or_compute("first", lambda: self._first_arguments(inputs))
            known = (key, self._read_prompts(inputs, first, lambda call: self._reduction(inputs)))
            self.cache.put("read", known)
        read: ReadPrompts = known[1]
        return read

    def _first_arguments(self, inputs: Inputs) -> Mapping[str, Any]:
        return first_arguments(self.model, self._speaker, inputs)

    def _read_prompts(
        self, inputs: Inputs, first: Mapping[str, Any], reduce: Callable[[DecoderCall], Reduction | None]
    ) -> ReadPrompts:
        def seen(call: DecoderCall) -> None:
            self.cache.put("call", call)

        return read_prompts(self._speaker, self.decoder, first, inputs["attention_mask"], reduce, seen)

    def _reduction(self, inputs: Inputs) -> Reduction | None:
        """Return how the current batch's prompts are shortened under the budget; None for the full ones."""
        budget, samples = self._asked
        if budget is None or not self.visual_token_mask(inputs).any():
            return None
        tokens_BND = self._layer_tokens("connector", inputs, samples)
        return self._reduction_to(inputs, self._budget_weights(samples, tokens_BND, budget))

    def _reduction_to(self, inputs: Inputs, weights: Sequence[np.ndarray]) -> Reduction:
        visual_BP = self.visual_token_mask(inputs)
        return Reduction(inputs["attention_mask"], visual_BP, weights, self._found().paths, self.decoder)

    def _counted(self, outputs: Sequence[Output], samples: Sequence[Sample]) -> list[Output]:
        """Return the outputs with the numbers of tokens that the decoder read under the budget.

        Raises:
            SampleError: the image of a sample has no visual token in its prompt.
        """
        for sample, output in zip(samples, outputs, strict=True):
            if sample.images and output.visual_tokens_in == 0:
                raise SampleError(f"{sample.id}: its image has no visual token in the model's prompt")
        if self._asked[0] is None:
            return list(outputs)
        inputs = self.batch_inputs(samples)
        read = self._read(inputs).mask_BP.sum(1).tolist()
        return [
            replace(output, tokens_in=n, visual_tokens_in=(output.visual_tokens_in or 0) - before + n)
            for output, before, n in zip(outputs, self._prompt_lengths(inputs), read, strict=True)
        ]

    # What the probe asks, and what it found.

    def _found(self) -> Entry:
        if self._entry is None:
            raise AdapterError(f"{self.loaded.checkpoint} gives no visual tokens: {self.missing['visual_tokens']}")
        return self._entry

    @contextmanager
    def _noting(self, capability: str) -> Iterator[None]:
        """Note why the model lacks a capability, whatever a strange model raises: its answers can still be had."""
        try:
            yield
        except ImageNotReadError as error:
            raise AdapterError(f"{self.loaded.checkpoint}: {error}") from error
        except Exception as error:
            self.missing[capability] = reason_of(error)

    def _gives_layers(self, call: DecoderCall) -> bool:
        states = self._hidden_states(call)
        shape = call.embeds.shape[:2]
        if len(states) < 2 or any(state.shape[:2] != shape or state.ndim != 3 for state in states[1:]):
            raise AdapterError(f"the decoder's hidden states are not one vector a token: {tuple(states[-1].shape)}")
        return True

    def _probe_answers(self, image: Image.Image) -> None:
        """Find out whether answers can continue from prompts that were read once, and whether these can be shortened.

        Raises:
            AdapterError: log-probabilities are not those of the model's `generate`.
        """
        if self.model.config.is_encoder_decoder:
            raise AdapterError("the decoder attends to an encoder, whose prompt cannot be shortened")
        samples = [image_sample(image), replace(image_sample(image), prompt=f"{QUESTION} Answer with one word.")]
        inputs, choices = self.model_inputs(samples), [[[3, 4], [5, 6, 7]]] * 2
        expected = generation.score(self.model, inputs, choices)
        first = self._first_arguments(inputs)
        if not first and isinstance(getattr(self.model, "language_model", None), torch.nn.Module):
            # Its `generate` hands embeddings to the language model's own (InstructBLIP).
            self._speaker = self.model.language_model
            self._speaker.generation_config = self.model.generation_config
            first = self._first_arguments(inputs)

        def every(call: DecoderCall) -> Reduction:
            counts = self._found().mask(inputs["input_ids"], call).sum(1).tolist()
            return self._reduction_to(inputs, [np.eye(count, dtype=np.float32) for count in counts])

        near = 1e-3 if self.model.dtype == torch.float32 else 0.2
        for reduce in (lambda call: None, every):
            scored = self._read_prompts(inputs, first, reduce).score(choices)
            off = float(np.abs(np.array(scored) - np.array(expected)).max())
            if not off <= near:
                raise AdapterError(f"log-probabilities from prompts that are read once are off by {off:.2g} nats")
            self._continues, self._reducible = True, reduce is every

    def _hidden_states(self, call: DecoderCall) -> Sequence[torch.Tensor]:
        """Return the hidden states (B, P, d) of the decoder, the embeddings first."""
        output = self.decoder(**{**call.arguments, "use_cache": False, "output_hidden_states": True})
        states: Sequence[torch.Tensor] | None = getattr(output, "hidden_states", None)
        if states is None:
            raise AdapterError(f"{type(self.decoder).__name__} returns no hidden states")
        return [_one_vector(state, call.embeds.shape[:2]) for state in states]

    def _call(self, inputs: Inputs) -> DecoderCall:
        """Return the decoder's call for the current batch."""
        return self.cache.get_or_compute("call", lambda: take_call(self.model, self.decoder, inputs))

    def _rows(self, inputs: Inputs, paths: tuple[str, ...]) -> list[torch.Tensor]:
        rows_BPd, visual_BP = self._call(inputs).joint(paths), self.visual_token_mask(inputs)
        return [row[visual.to(row.device)] for row, visual in zip(rows_BPd, visual_BP, strict=True)]

    def _rows_of(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return the connector's tokens of inputs that are not the current batch's, (N, d) for each row."""
        entry, call = self._found(), take_call(self.model, self.decoder, inputs)
        mask_BP = entry.mask(inputs["input_ids"], call)
        return [row[visual] for row, visual in zip(call.joint(entry.paths), mask_BP, strict=True)]

    def _tokens_of(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Return the connector's tokens (images, N, d) of images of one size."""
        with torch.no_grad():
            rows = self._rows_of(self.model_inputs([image_sample(image) for image in images]))
        return torch.stack(rows).float().cpu().numpy()


def _one_vector(state: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return a layer's states with one vector a token, (B, P, d), where the layer has several streams.

    Hyper-connections have them behind the token, (B, P, streams, d): side by side. Gemma 3n has them in front, of which
    the first one leaves the decoder.
    """
    if state.ndim == 4 and state.shape[:2] == shape:
        return state.flatten(2)
    return state[0] if state.ndim == 4 and state.shape[1:3] == shape else state
