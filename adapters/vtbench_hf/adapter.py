"""The base class of the adapters for image-text models of transformers.

Letters in the shapes: B rows of a batch, P tokens of a prompt, N visual tokens of a sample, d their width, V the
vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import transformers

from vtbench.adapter import INSTRUCT, PLAIN, Traits
from vtbench.budget import Budget, checked_weights
from vtbench.errors import AdapterError, OutOfMemory, SampleError, nearest
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_hf import generation, training, visual_features
from vtbench_hf.answer_text import read_answer
from vtbench_hf.batch_cache import BatchCache
from vtbench_hf.chat_rendering import opening_of_answer
from vtbench_hf.chat_template import reasons, template_digest
from vtbench_hf.checkpoint.config import PROMPT_FORMAT
from vtbench_hf.checkpoint.loader import LoadedModel
from vtbench_hf.checkpoint.published import save_published
from vtbench_hf.context_length import answer_room, check_prompt_lengths, context_length
from vtbench_hf.decoding import Decoding
from vtbench_hf.devices import input_device
from vtbench_hf.errors import first_line, out_of_memory_as
from vtbench_hf.model_parts import ModelParts
from vtbench_hf.prompts import (
    ChoiceTokenizer,
    adds_special_tokens,
    placeholder,
    prompt_images,
    prompt_text,
    takes_several_images,
    without_context,
)

ONE_IMAGE = frozenset({"blip-2", "fuyu", "got_ocr2", "instructblip", "kosmos-2", "paligemma"})
"""Model types that take one image in a prompt, whatever their processors accept."""
FLAT_IMAGES = frozenset({"got_ocr2"})
"""Model types whose processors take a batch's images in one list."""
Inputs = Mapping[str, Any]
"""Keyword arguments of the model's forward pass: `input_ids` (B, P), `attention_mask` (B, P), `pixel_values`, ..."""


class HFAdapter:
    """Serves a model through its own `generate`, so that every architecture's positions and masks are right.

    A family of models is a subclass that overrides methods of the section "What a family overrides" below. Each has a
    default that holds for many architectures. docs/adapter.md lists them with their shapes.

    Args:
        loaded: the model and its processor.

    Attributes:
        model: the model of transformers, on its device.
        processor: its processor; the tokenizer pads on the left.
        tokenizer: of the processor.
        loaded: where the two come from.
        cache: what was computed for the current batch. Use it only within `batch`.
        choice_tokenizer: makes the token ids of a sample's choices.
        capabilities: what the model can do; see `vtbench.adapter`.
        layers: names of the layers of visual tokens, the headline one first.
        parts: module names by part of the model; see `model_parts`.
        context_length: most tokens of a prompt with its answer; None where there is no limit.
        image_size: preferred side of the images that tasks draw, in pixels; None: no preference.
        traits: the prompt format that the model wants, and whether it reasons.
    """

    layers: tuple[str, ...]
    answer_input_values: ClassVar[Mapping[str, int]] = {}
    """Inputs with a value for each token (`token_type_ids`), and their value at the tokens of an answer.

    `encode_training` appends the answer to the prompt. An input that is not named here continues with the value of the
    prompt's last token.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.model = loaded.model
        self.processor = loaded.processor
        self.tokenizer = loaded.processor.tokenizer
        if self.model.config.is_encoder_decoder:
            # The encoder may count positions from the row's start; nothing has to follow the prompt there.
            self.tokenizer.padding_side = "right"
        self.loaded = loaded
        self.cache = BatchCache()
        self.choice_tokenizer = ChoiceTokenizer(self.tokenizer)
        self._known_boxes: dict[tuple[tuple[int, int], str], np.ndarray | None] = {}
        if "mm_token_type_ids" in inspect.signature(self.model.forward).parameters:
            self.processor.return_mm_token_type_ids = True  # some processors leave out what positions need
        can_see = self.has_visual_tokens()
        capabilities: tuple[Capability, ...] = ("generate", "rank", "context", "visual_tokens")
        self.capabilities: frozenset[Capability] = frozenset(capabilities if can_see else capabilities[:3])
        if self.takes_several_images():
            self.capabilities |= {"images"}
        self.traits = Traits(
            prompt_format=str(getattr(self.model.config, PROMPT_FORMAT, None) or INSTRUCT),
            reasons=reasons(self.processor, loaded.chat_template_args),
        )
        self.layers = self.layer_names() if can_see else ()
        self.parts = self.model_parts()
        if self.parts:
            self.capabilities |= {"train"}
        self.image_size = self.preferred_image_size()
        self.context_length = context_length(self.model.config)

    # The adapter protocol.

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer; greedily unless `--gen` says otherwise."""
        with self.batch(samples):
            return self._answers(self.batch_inputs(samples), samples, max_new_tokens)

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Score each sample's choices."""
        with self.batch(samples):
            return self._rankings(self.batch_inputs(samples), samples)

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the batch's visual tokens at each of `layers`, under the bare questions."""
        if unknown := [name for name in layers if name not in self.layers]:
            raise AdapterError(
                f"there is no layer {unknown[0]!r} to take visual tokens at.{nearest(unknown[0], [*self.layers])}"
            )
        samples = without_context(samples)
        with self.batch(samples):
            inputs = self.batch_inputs(samples)
            return [
                VisualTokens(
                    name, self._visual_rows(name, inputs, samples), self._boxes(samples, name), self.shows_a_part(name)
                )
                for name in layers
            ]

    def describe(self) -> Mapping[str, Any]:
        """Return which model this is, for `run.json`."""
        return {
            "checkpoint": self.loaded.checkpoint,
            "revision": getattr(self.model.config, "_commit_hash", None),
            "fingerprint": self.loaded.fingerprint(),
            "architecture": type(self.model).__name__,
            "parameters": self.model.num_parameters(),
            "device": str(input_device(self.model)),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "chat_template": template_digest(self.processor),
            "attn_implementation": getattr(self.model.config, "_attn_implementation", None),
            **self.loaded.described(),
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        }

    def close(self) -> None:
        """Release the model and its memory."""
        self.cache.clear()
        del self.model
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    # The protocol of an adapter that can be trained.

    def encode_training(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        """Return prompts, images and answers as `vtbench_hf.training` encodes them, and `targets`, on the CPU.

        Raises:
            SampleError: the model's tokenizer or context does not take a sample.
        """
        for sample in samples:
            self.check_training_text(sample)
        answers = [sample.target for sample in samples]
        prompts = dict(self.encode(samples))
        batch = training.add_answers(prompts, answers, self.model, self.tokenizer, self.answer_input_values)
        # The last token of an answer is only predicted.
        lengths = [n - 1 for n in self._prompt_lengths(batch)]
        check_prompt_lengths(samples, lengths, self.context_length)
        return batch

    def check_training_text(self, sample: Sample, max_new_tokens: int | None = None) -> None:
        """Refuse a sample whose question the tokenizer cannot read, or whose answer it cannot write.

        Args:
            sample: its images are not looked at.
            max_new_tokens: how long an answer may be when the model is tested.

        Raises:
            SampleError: names the words.
        """
        training.check_text(self.tokenizer, sample, max_new_tokens)

    def answer_logits(self, inputs: Inputs, targets: torch.Tensor) -> torch.Tensor:
        """Return the logits (A, V) at the answers' tokens, of the model's own forward pass."""
        return training.answer_logits(self.model, inputs, targets)

    def connector_tokens(self, inputs: Inputs) -> torch.Tensor:
        """Return the tokens that the language model is given of each sample, (B, N, d)."""
        return visual_features.stack_by_sample(self.connector_features(inputs), len(inputs["input_ids"]))

    def forget(self) -> None:
        """Drop what was computed for the last batch."""
        self.cache.clear()

    def save(self, directory: Path, dtype: str) -> None:
        """Write model and processor in the published layout, as a model that was trained on our tasks."""
        save_published(self.model, self.processor, directory, getattr(torch, dtype), prompt_format=PLAIN)

    # What a family's methods call.

    @contextmanager
    def batch(self, samples: Sequence[Sample]) -> Iterator[None]:
        """Work on a batch: without gradients, with the cache of this batch.

        Raises:
            OutOfMemory: the backend ran out of memory; the cache is then empty.
            AdapterError: the model cannot be run with its device map.
        """
        self.cache.enter(samples)
        try:
            with torch.no_grad(), out_of_memory_as(OutOfMemory, f"a batch of {len(samples)} does not fit into memory"):
                yield
        except OutOfMemory:
            self.cache.clear()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            raise
        except NotImplementedError as error:
            if "meta tensor" not in str(error):
                raise
            raise AdapterError(
                f"{self.loaded.checkpoint}: its code reads a weight that device_map leaves on the disk before the"
                " module of that weight is called; give this part a device, a vision tower most often"
            ) from error

    def batch_inputs(self, samples: Sequence[Sample]) -> Inputs:
        """Return the current batch's inputs on the model's device, made once for each batch.

        Raises:
            SampleError: the processor refuses them, or a prompt leaves no room for an answer in the model's context.
        """
        inputs: Inputs = self.cache.get_or_compute("inputs", lambda: self.model_inputs(samples))
        check_prompt_lengths(samples, self._prompt_lengths(inputs), self.context_length)
        return inputs

    def encode(self, samples: Sequence[Sample]) -> Any:
        """Return the processor's tensors of the samples' prompts and images, padded on the left, on the CPU.

        Raises:
            SampleError: the processor refuses them.
        """
        try:
            batch = self.call_processor(samples)
        except (ValueError, OSError, ZeroDivisionError) as error:
            raise SampleError(f"the processor refuses an image or prompt: {first_line(error)}") from error
        batch.pop("labels", None)  # PaliGemma's processor adds them, for training
        if (mask := batch.get("qformer_attention_mask")) is not None:
            # InstructBLIP's Q-Former counts positions from the row's start: its padding has to stand behind the text.
            order = mask.argsort(dim=1, descending=True, stable=True)
            for name in ("qformer_input_ids", "qformer_attention_mask"):
                batch[name] = batch[name].gather(1, order)
        return batch

    def model_inputs(self, samples: Sequence[Sample]) -> Inputs:
        """Return what `encode` does, on the model's device and in its dtype."""
        moved: Inputs = self.encode(samples).to(input_device(self.model), self.model.dtype)
        return moved

    def placeholder_mask(self, inputs: Inputs) -> torch.Tensor:
        """Return where the prompts have placeholder tokens for images, (B, P) bool."""
        ids_BP: torch.Tensor = inputs["input_ids"]
        token = getattr(self.model.config, "image_token_id", None)
        return torch.zeros_like(ids_BP, dtype=torch.bool) if token is None else ids_BP == token

    def prompt_text(self, sample: Sample) -> str:
        """Return the prompt of a sample's chat, with a placeholder for each image where the processor expects one.

        Raises:
            SampleError: the chat template refuses the chat, or leaves something out.
        """
        return prompt_text(self.processor, sample, self.loaded.chat_template_args)

    # What a family overrides: the prompt.

    def takes_several_images(self) -> bool:
        """Return whether a prompt may have several images: by default, if each has a placeholder where it stands."""
        if self.model.config.model_type in ONE_IMAGE:
            return False
        return takes_several_images(self.processor, self.loaded.chat_template_args)

    def rendered_prompt(self, sample: Sample) -> str:
        """Return the prompt as `Output.rendered_prompt` has it, with a placeholder for each image."""
        text, token, images = self.prompt_text(sample), placeholder(self.processor), prompt_images(sample)
        return text if token and token in text else "<image>" * len(images) + text

    def call_processor(self, samples: Sequence[Sample]) -> Any:
        """Return the processor's `BatchFeature` of the samples, padded on the left."""
        texts = [self.prompt_text(sample) for sample in samples]
        options = {} if adds_special_tokens(self.tokenizer, texts[0]) else {"add_special_tokens": False}
        images = [prompt_images(sample) for sample in samples]
        shown: Any = images if any(images) else None
        if shown and self.model.config.model_type in FLAT_IMAGES:
            shown = [image for some in images for image in some]
        return self.processor(images=shown, text=texts, padding=True, return_tensors="pt", **options)

    def preferred_image_size(self) -> int | None:
        """Return the side in pixels of the images that tasks should draw; None: no preference."""
        size = getattr(getattr(self.model.config, "vision_config", None), "image_size", None)
        if isinstance(size, list | tuple) and len(set(size)) == 1:
            size = size[0]
        return size if isinstance(size, int) else None

    # What a family overrides: its layers of visual tokens.

    def has_visual_tokens(self) -> bool:
        """Return whether visual tokens can be taken: by default, whether the model has `get_image_features`."""
        return callable(getattr(self.model, "get_image_features", None))

    def layer_names(self) -> tuple[str, ...]:
        """Return the names of the layers, the headline one first: `connector`, `encoder`, `decoder_25`, ..."""
        return ("connector",)

    def shows_a_part(self, layer: str) -> bool:
        """Return whether the image enters the decoder by a further path beside a layer's tokens."""
        return False

    def image_features(self, inputs: Inputs) -> Any:
        """Return the output of the model's `get_image_features`, computed once for each batch."""
        return self.cache.get_or_compute("features", lambda: visual_features.image_features(self.model, inputs))

    def connector_features(self, inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
        """Return the tokens that the language model is given: (images or tiles, N, d), or a list of (N, d)."""
        return visual_features.projected_features(self.image_features(inputs))

    def encoder_features(self, inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
        """Return the tokens that the connector is given: (images or tiles, N, d), or a list of (N, d)."""
        states: torch.Tensor = self.image_features(inputs).last_hidden_state
        return states

    def decoder_hidden_states(self, inputs: Inputs) -> Sequence[torch.Tensor]:
        """Return the prompts' hidden states (B, P, d) in each layer of the language model, the embeddings first."""
        return visual_features.prompt_hidden_states(self.model, inputs)

    def visual_token_mask(self, inputs: Inputs) -> torch.Tensor:
        """Return where the visual tokens are in the prompts, (B, P) bool; all False where they are not in them."""
        return self.placeholder_mask(inputs)

    def visual_token_counts(self, inputs: Inputs) -> Sequence[int | None]:
        """Return the number of visual tokens that the decoder reads of each sample, (B,); None where it is unknown."""
        if not self.has_visual_tokens():
            return [None] * len(inputs["input_ids"])
        counts: list[int] = self.visual_token_mask(inputs).sum(1).tolist()
        return counts

    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        """Return the part of an image that each token of a layer stands for.

        Args:
            size: width and height of the image in pixels.
            layer: name of the layer.

        Returns:
            (N, 4): left, top, right, bottom as fractions of the image; None where tokens have no location.
        """
        return None

    # What a family overrides: training, and faster ways to answer.

    def model_parts(self) -> ModelParts:
        """Return the module names of `vision`, `connector` and `text`; empty where the model cannot be trained."""
        return {}

    def generate_tokens(self, inputs: Inputs, max_new_tokens: int, decoding: Decoding | None = None) -> list[list[int]]:
        """Return the token ids of the answers, a list for each row, without the id that ends an answer.

        They are greedy unless a `decoding` chooses the tokens and ends the rows.
        """
        generated = generation.generate(self.model, inputs, max_new_tokens, decoding)
        self.cache.put("first", generated.first_BV)
        return generated.tokens

    def score_choices(self, inputs: Inputs, choices: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
        """Return log p(choice | prompt) in nats of each row's choices, which are given as token ids."""
        return generation.score(self.model, inputs, choices, self.cache.get("first"))

    def _answers(self, inputs: Inputs, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        max_new_tokens = answer_room(self._prompt_lengths(inputs), max_new_tokens, self.context_length)
        settings = self.loaded.generation
        decoding = Decoding.of(settings, samples, self.tokenizer)
        # A family's `generate_tokens` need not know of decoding.
        rows = self.generate_tokens(inputs, max_new_tokens, *(() if decoding is None else (decoding,)))
        lengths, visual_counts = self._prompt_lengths(inputs), self.visual_token_counts(inputs)
        outputs = []
        for sample, row, length, visual, prompt in zip(
            samples, rows, lengths, visual_counts, self._rendered_prompts(samples), strict=True
        ):
            opening = opening_of_answer(sample, prompt)
            answer = read_answer(self.tokenizer, row, max_new_tokens, settings.until, opening)
            outputs.append(
                Output(
                    text=answer.text,
                    finish_reason=answer.finish_reason,
                    tokens_in=length,
                    visual_tokens_in=visual,
                    tokens_out=answer.tokens_out,
                    reasoning_tokens=answer.reasoning_tokens,
                    rendered_prompt=prompt,
                )
            )
        return outputs

    def _rankings(self, inputs: Inputs, samples: Sequence[Sample]) -> list[Output]:
        lengths, visual_counts = self._prompt_lengths(inputs), self.visual_token_counts(inputs)
        rows = zip(inputs["input_ids"], inputs["attention_mask"].bool(), strict=True)
        tails = [row[mask][-8:].tolist() for row, mask in rows]
        choices = [
            [self.choice_tokenizer(tail, choice) for choice in sample.choices]
            for tail, sample in zip(tails, samples, strict=True)
        ]
        longest = [n + max(map(len, row), default=0) - 1 for n, row in zip(lengths, choices, strict=True)]
        check_prompt_lengths(samples, longest, self.context_length)
        scores, prompts = self.score_choices(inputs, choices), self._rendered_prompts(samples)
        return [
            Output(
                logprobs=tuple(values),
                logprob_tokens=tuple(map(len, row)),
                tokens_in=n,
                visual_tokens_in=visual,
                rendered_prompt=prompt,
            )
            for values, row, n, visual, prompt in zip(scores, choices, lengths, visual_counts, prompts, strict=True)
        ]

    def _rendered_prompts(self, samples: Sequence[Sample]) -> list[str]:
        return self.cache.get_or_compute("rendered", lambda: [self.rendered_prompt(sample) for sample in samples])

    def _visual_rows(self, name: str, inputs: Inputs, samples: Sequence[Sample]) -> torch.Tensor | list[torch.Tensor]:
        """Return the visual tokens at a layer as `VisualTokens` holds them."""
        return self._layer_tokens(name, inputs, samples)

    def _layer_tokens(self, name: str, inputs: Inputs, samples: Sequence[Sample]) -> torch.Tensor:
        """Return the visual tokens at a layer, (samples, N, d)."""
        counts = self.visual_token_mask(inputs).sum(1).tolist()
        if len(set(counts)) > 1 or len({len(sample.images) for sample in samples}) > 1:
            raise visual_features.unequal_token_counts()
        return visual_features.stack_by_sample(self._layer_features(name, inputs), len(samples))

    def _layer_features(self, name: str, inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
        if name in visual_features.DECODER_DEPTHS:
            return self._decoder_layers(inputs)[name]
        return self.encoder_features(inputs) if name == "encoder" else self.connector_features(inputs)

    def _decoder_layers(self, inputs: Inputs) -> dict[str, list[torch.Tensor]]:
        def compute() -> dict[str, list[torch.Tensor]]:
            return visual_features.decoder_layers(self.decoder_hidden_states(inputs), self.visual_token_mask(inputs))

        return self.cache.get_or_compute("decoder_layers", compute)

    def _boxes(
        self, samples: Sequence[Sample], layer: str = "connector"
    ) -> np.ndarray | list[np.ndarray | None] | None:
        """Return the tokens' boxes as `VisualTokens` holds them: one for each sample where images differ in size."""
        sizes = {tuple(image.size for image in sample.images) for sample in samples}
        if len(sizes) > 1:
            return [self._boxes_of(sample, layer) for sample in samples]
        return self._boxes_of(samples[0], layer)

    def _boxes_of(self, sample: Sample, layer: str) -> np.ndarray | None:
        """Return the boxes of a sample's tokens, (N, 4); None where it has not one image."""
        if len(sample.images) != 1:
            return None
        key = (sample.images[0].size, layer)
        if key not in self._known_boxes:
            self._known_boxes[key] = self.token_boxes(*key)
        return self._known_boxes[key]

    def _budget_weights(self, samples: Sequence[Sample], tokens_BND: torch.Tensor, budget: Budget) -> list[np.ndarray]:
        """Return the budget's weights (k, N) of each sample; samples with one image size are asked about together.

        Only these share their tokens' boxes.
        """
        sizes = [tuple(image.size for image in sample.images) for sample in samples]
        found: dict[int, np.ndarray] = {}
        for size in dict.fromkeys(sizes):
            rows = [i for i, other in enumerate(sizes) if other == size]
            alike = [samples[i] for i in rows]
            tokens = VisualTokens("connector", tokens_BND[rows], self._boxes(alike))
            found |= zip(rows, checked_weights(budget, tokens, [sample.id for sample in alike]), strict=True)
        return [found[i] for i in range(len(samples))]

    @staticmethod
    def _prompt_lengths(inputs: Inputs) -> list[int]:
        """Return each prompt's length in tokens, without padding."""
        lengths: list[int] = inputs["attention_mask"].sum(1).tolist()
        return lengths
