"""The vLLM adapter: samples in; answers and rankings from the engine, visual tokens from the vision half out.

Prompts and the tokens of choices are made as the `hf` adapter makes them, and go to the engine as tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import transformers

from vtbench.adapter import Adapter
from vtbench.errors import AdapterError, nearest
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_hf.prompting import ChoiceTokens, adds_special_tokens, prompt_text
from vtbench_vllm.checkpoint import Checkpoint
from vtbench_vllm.engine import Engine, Prompt, Reply, vllm
from vtbench_vllm.vision import half_layers


class VllmAdapter:
    """A checkpoint in vLLM's engine."""

    def __init__(self, checkpoint: Checkpoint, engine: Engine, half: Adapter | None, device: str) -> None:
        """Join what is loaded.

        Args:
            checkpoint: of both.
            engine: answers and ranks.
            half: shows visual tokens; None: nobody does.
            device: `cpu`, `cuda`, ...
        """
        self._checkpoint, self._engine, self._half, self._device = checkpoint, engine, half, device
        self._tokenizer = checkpoint.processor.tokenizer
        self._choice_tokens = ChoiceTokens(self._tokenizer)
        capabilities: tuple[Capability, ...] = ("generate", "rank", "visual_tokens")
        self.capabilities: frozenset[Capability] = frozenset(capabilities if half else capabilities[:2])
        self.layers = half_layers(half) if half else ()
        self.image_size = half.image_size if half else checkpoint.image_size

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer greedily."""
        replies = self._engine.answer([self._prompt(sample) for sample in samples], max_new_tokens)
        texts = self._tokenizer.batch_decode([reply.tokens for reply in replies], skip_special_tokens=True)
        return [self._read(Output(text=text.strip()), reply) for text, reply in zip(texts, replies, strict=True)]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Score each sample's choices."""
        prompts = [self._prompt(sample) for sample in samples]
        choices = [
            [self._choice_tokens(prompt.tokens, choice) for choice in sample.choices]
            for prompt, sample in zip(prompts, samples, strict=True)
        ]
        asked = [(prompt, tokens) for prompt, row in zip(prompts, choices, strict=True) for tokens in row]
        scored = iter(self._engine.score([prompt for prompt, _ in asked], [tokens for _, tokens in asked]))
        outputs = []
        for row in choices:
            mine = [next(scored) for _ in row]
            output = Output(logprobs=tuple(total for _, total in mine), logprob_tokens=tuple(map(len, row)))
            outputs.append(self._read(output, mine[0][0]) if mine else output)
        return outputs

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the batch's visual tokens at each of `layers`, from the vision half."""
        if self._half is None:
            raise AdapterError("visual_tokens=false: the vision half was not loaded")
        if unknown := [name for name in layers if name not in self.layers]:
            raise AdapterError(
                f"there is no layer {unknown[0]!r} to take visual tokens at.{nearest(unknown[0], [*self.layers])}"
            )
        return self._half.visual_tokens(samples, layers)

    def describe(self) -> Mapping[str, Any]:
        """Say which model this is, and what serves it."""
        return {
            "checkpoint": self._checkpoint.name,
            "revision": getattr(self._checkpoint.config, "_commit_hash", None),
            "fingerprint": self._checkpoint.fingerprint(),
            "architecture": next(iter(self._checkpoint.config.architectures or []), None),
            "parameters": self._checkpoint.parameters(),
            "device": self._device,
            **self._engine.facts,
            "versions": {
                "vllm": vllm().__version__,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
        }

    def close(self) -> None:
        """End the engine and drop the vision half."""
        try:
            self._engine.close()
        finally:
            if self._half is not None:
                self._half.close()

    def _prompt(self, sample: Sample) -> Prompt:
        text = prompt_text(self._checkpoint.processor, sample)
        special = adds_special_tokens(self._tokenizer, text)
        return Prompt(self._tokenizer.encode(text, add_special_tokens=special), sample.images)

    def _read(self, output: Output, reply: Reply) -> Output:
        """Return the output with the prompt's length and the number of visual tokens in it."""
        placeholder = getattr(self._checkpoint.config, "image_token_id", None)
        return replace(output, tokens_in=len(reply.prompt), visual_tokens_in=reply.prompt.count(placeholder))
