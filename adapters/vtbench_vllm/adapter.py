"""The adapter: answers and log-likelihoods from vLLM's engine, visual tokens from the checkpoint's vision model.

Prompts and the tokens of choices are those of the `hf` adapter, and are passed to the engine as token ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import transformers

from vtbench.adapter import INSTRUCT, Adapter, Generation, Traits
from vtbench.errors import AdapterError, nearest
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_hf.adapter import ONE_IMAGE
from vtbench_hf.answer_text import read_answer
from vtbench_hf.chat_rendering import opening_of_answer
from vtbench_hf.chat_template import reasons, template_digest
from vtbench_hf.checkpoint.config import PROMPT_FORMAT
from vtbench_hf.prompts import (
    ChoiceTokenizer,
    adds_special_tokens,
    prompt_images,
    prompt_text,
    takes_several_images,
    without_context,
)
from vtbench_vllm.checkpoint import Checkpoint
from vtbench_vllm.engine import Completion, Engine, Prompt, import_vllm
from vtbench_vllm.vision_model import vision_layers


class VllmAdapter:
    """A checkpoint in vLLM's engine."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        engine: Engine,
        vision_model: Adapter | None,
        device: str,
        generation: Generation | None = None,
    ) -> None:
        """Combine the loaded parts.

        Args:
            checkpoint: of the engine and the vision model.
            engine: generates and scores.
            vision_model: gives visual tokens; None: the adapter has none.
            device: `cpu`, `cuda`, ...
            generation: how the model generates; greedily by default.
        """
        self._generation = generation or Generation()
        self._checkpoint, self._engine, self._device = checkpoint, engine, device
        self._vision_model = vision_model
        self._tokenizer = checkpoint.processor.tokenizer
        self._choice_tokens = ChoiceTokenizer(self._tokenizer)
        capabilities: tuple[Capability, ...] = ("generate", "rank", "context", "visual_tokens")
        self.capabilities: frozenset[Capability] = frozenset(capabilities if vision_model else capabilities[:3])
        processor, template_args = checkpoint.processor, checkpoint.chat_template_args
        if checkpoint.config.model_type not in ONE_IMAGE and takes_several_images(processor, template_args):
            self.capabilities |= {"images"}
        self.traits = Traits(
            prompt_format=str(getattr(checkpoint.config, PROMPT_FORMAT, None) or INSTRUCT),
            reasons=reasons(processor, template_args),
        )
        self.layers = vision_layers(vision_model) if vision_model else ()
        self.image_size = vision_model.image_size if vision_model else checkpoint.image_size

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer; greedily unless `--gen` says otherwise."""
        prompts = [self._prompt(sample) for sample in samples]
        sampling = [self._sampling(sample) for sample in samples]
        completions = self._engine.generate(prompts, max_new_tokens, *((sampling,) if any(sampling) else ()))
        return [
            self._answer(sample, prompt, completion, max_new_tokens)
            for sample, prompt, completion in zip(samples, prompts, completions, strict=True)
        ]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Return the log-likelihoods of each sample's choices."""
        prompts = [self._prompt(sample) for sample in samples]
        choices = [
            [self._choice_tokens(prompt.tokens, choice) for choice in sample.choices]
            for prompt, sample in zip(prompts, samples, strict=True)
        ]
        pairs = [(prompt, tokens) for prompt, row in zip(prompts, choices, strict=True) for tokens in row]
        scored = iter(self._engine.score([prompt for prompt, _ in pairs], [tokens for _, tokens in pairs]))
        outputs = []
        for prompt, row in zip(prompts, choices, strict=True):
            results = [next(scored) for _ in row]
            output = Output(
                logprobs=tuple(total for _, total in results),
                logprob_tokens=tuple(map(len, row)),
                rendered_prompt=prompt.text,
            )
            outputs.append(self._with_counts(output, results[0][0]) if results else output)
        return outputs

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the batch's visual tokens at each of `layers`, from the vision model.

        Raises:
            AdapterError: the vision model was not loaded, or it does not have one of the layers.
        """
        if self._vision_model is None:
            raise AdapterError("visual_tokens=false: the vision model was not loaded")
        if unknown := [name for name in layers if name not in self.layers]:
            raise AdapterError(
                f"there is no layer {unknown[0]!r} to take visual tokens at.{nearest(unknown[0], [*self.layers])}"
            )
        return self._vision_model.visual_tokens(without_context(samples), layers)

    def describe(self) -> Mapping[str, Any]:
        """Return the facts that identify the checkpoint and the engine."""
        return {
            "checkpoint": self._checkpoint.name,
            "revision": getattr(self._checkpoint.config, "_commit_hash", None),
            "fingerprint": self._checkpoint.fingerprint(),
            "architecture": next(iter(self._checkpoint.config.architectures or []), None),
            "parameters": self._checkpoint.parameters(),
            "device": self._device,
            "chat_template": template_digest(self._checkpoint.processor),
            **self._engine.facts,
            "versions": {
                "vllm": import_vllm().__version__,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
        }

    def close(self) -> None:
        """End the engine and free the vision model."""
        try:
            self._engine.close()
        finally:
            if self._vision_model is not None:
                self._vision_model.close()

    def _prompt(self, sample: Sample) -> Prompt:
        text = prompt_text(self._checkpoint.processor, sample, self._checkpoint.chat_template_args)
        special = adds_special_tokens(self._tokenizer, text)
        return Prompt(self._tokenizer.encode(text, add_special_tokens=special), prompt_images(sample), text)

    def _sampling(self, sample: Sample) -> dict[str, Any]:
        """Return a sample's settings of `SamplingParams` beside the greedy ones; empty where there are none."""
        settings, found = self._generation, dict[str, Any]()
        if not settings.greedy:
            found |= {"temperature": settings.temperature, "top_p": settings.top_p, "seed": settings.seed_of(sample)}
            found |= {"top_k": settings.top_k} if settings.top_k is not None else {}
        if settings.until:  # the engine looks for texts in the text, so it must make it
            found |= {"stop": list(settings.until), "detokenize": True}
        return found

    def _answer(self, sample: Sample, prompt: Prompt, completion: Completion, max_new_tokens: int) -> Output:
        opening = opening_of_answer(sample, prompt.text)
        answer = read_answer(self._tokenizer, completion.tokens, max_new_tokens, self._generation.until, opening)
        output = Output(
            text=answer.text,
            finish_reason=completion.finish_reason,
            tokens_out=completion.tokens_out,
            reasoning_tokens=answer.reasoning_tokens,
            rendered_prompt=prompt.text,
        )
        return self._with_counts(output, completion)

    def _with_counts(self, output: Output, completion: Completion) -> Output:
        """Return the output with the length of the prompt and its number of visual tokens."""
        placeholder = getattr(self._checkpoint.config, "image_token_id", None)
        return replace(output, tokens_in=len(completion.prompt), visual_tokens_in=completion.prompt.count(placeholder))
