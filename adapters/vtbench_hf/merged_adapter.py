"""The faster adapter, for models in which image features replace the embeddings of placeholder tokens.

Such a model is a plain causal decoder over `inputs_embeds`. A batch's prompts are prefilled once; the greedy answer and
the scores of the choices continue from the same cache. A token budget makes shorter prompts of the same image features,
so the vision tower and the connector run once for all budgets. Prefill and decoding are timed. Training runs through
the same steps, so it takes token budgets too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from vtbench.adapter import IGNORE_INDEX
from vtbench.budget import Budget
from vtbench.errors import AdapterError
from vtbench.types import Output, Sample
from vtbench_hf.adapter import HFAdapter, Inputs
from vtbench_hf.checkpoint.loader import LoadedModel
from vtbench_hf.decoding import Decoding
from vtbench_hf.devices import device_time, input_device
from vtbench_hf.prefix_cache import PrefixCache
from vtbench_hf.token_reduction import reduce_prompts


@dataclass(frozen=True, slots=True)
class ReducedPrompts:
    """A batch's prompts under a budget, and the time that making them took."""

    key: tuple[Budget, tuple[str, ...]]
    """The budget, and the samples' ids, which a random budget depends on."""
    inputs: Inputs
    seconds: float


class MergedAdapter(HFAdapter):
    """Serves models with a plain causal decoder: one prefill for answers and choices, and token budgets.

    A family overrides further methods here: `placeholder_features`, `position_ids` and `language_model`.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        if self.layers:
            self.capabilities |= {"budget"}

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        """Answer from the visual tokens that the budget leaves; greedily unless `--gen` says otherwise."""
        with self.batch(samples):
            inputs = self._budgeted_inputs(samples, budget)
            outputs = self._answers(inputs, samples, max_new_tokens)
            prefill, decode = (seconds / len(samples) for seconds in self.cache.get("seconds") or ())
            return [
                replace(output, visual_tokens_in=n, prefill_seconds=prefill, decode_seconds=decode)
                for output, n in zip(outputs, self._kept_counts(inputs, samples), strict=True)
            ]

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        """Score each sample's choices, from the visual tokens that the budget leaves."""
        with self.batch(samples):
            inputs = self._budgeted_inputs(samples, budget)
            ranked = zip(self._rankings(inputs, samples), self._kept_counts(inputs, samples), strict=True)
            return [replace(output, visual_tokens_in=n) for output, n in ranked]

    def answer_logits(self, inputs: Inputs, targets: torch.Tensor) -> torch.Tensor:
        """Return the logits (A, V) at the answers' tokens; the output layer is applied there alone."""
        embeds_BLD, mask_BL = self.inputs_embeds(inputs), inputs["attention_mask"]
        return self._answer_logits({"inputs_embeds": embeds_BLD, "attention_mask": mask_BL}, targets)

    def budgeted_answer_logits(
        self, inputs: Inputs, targets: torch.Tensor, tokens: torch.Tensor, weights: Sequence[np.ndarray]
    ) -> torch.Tensor:
        """Return the logits (A, V) at the answers' tokens, from what the budget's weights make of the tokens."""
        mask_BL, visual_BL = inputs["attention_mask"], self.visual_token_mask(inputs)
        # The targets stand in for the ids, so that they are thinned along with the tokens.
        read = reduce_prompts(targets, mask_BL, self.inputs_embeds(inputs), visual_BL, tokens, weights)
        return self._answer_logits(read, read["input_ids"].masked_fill(read["attention_mask"] == 0, IGNORE_INDEX))

    # What a family overrides.

    def placeholder_features(self, inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
        """Return the features that replace the placeholders, in their order.

        By default the connector's tokens. In some families there are more of them than visual tokens, such as
        separators between rows.
        """
        return self.connector_features(inputs)

    def position_ids(self, inputs: Inputs) -> torch.Tensor:
        """Return position ids, (B, P) or (axes, B, P).

        They count from the full prompt's first token, whatever padding stands before it. Under a budget `inputs` has
        the positions in the full prompt as `position_ids`.
        """
        if "position_ids" in inputs:
            known: torch.Tensor = inputs["position_ids"]
            return known
        return (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)

    def language_model(self) -> Any:
        """Return the causal language model with its head that takes `inputs_embeds`; by default the whole model."""
        return self.model

    def inputs_embeds(self, inputs: Inputs) -> torch.Tensor:
        """Return the prompts' embeddings with image features in the place of the placeholders, (B, P, d).

        Raises:
            AdapterError: the numbers of placeholders and of features differ.
        """
        if "inputs_embeds" in inputs:
            made: torch.Tensor = inputs["inputs_embeds"]
            return made
        embeds_BPD = self.model.get_input_embeddings()(inputs["input_ids"])
        if "pixel_values" not in inputs:
            return embeds_BPD
        rows = self.placeholder_features(inputs)
        rows = torch.cat([row.reshape(-1, row.shape[-1]) for row in rows]) if isinstance(rows, list) else rows
        placeholder_BP = self.placeholder_mask(inputs)
        if int(placeholder_BP.sum()) * embeds_BPD.shape[-1] != rows.numel():
            raise AdapterError(
                f"{self.loaded.checkpoint}: its processor makes {int(placeholder_BP.sum())} placeholders for"
                f" {rows.numel() // embeds_BPD.shape[-1]} visual tokens: they do not belong together"
            )
        return embeds_BPD.masked_scatter(placeholder_BP[..., None], rows.to(embeds_BPD))

    def generate_tokens(self, inputs: Inputs, max_new_tokens: int, decoding: Decoding | None = None) -> list[list[int]]:
        """Return the token ids of the answers; the prefill's and the decoding's seconds go to the cache."""
        prefix, prefill_seconds = self._prefix(inputs)
        start = device_time(input_device(self.model))
        tokens = prefix.decode(max_new_tokens, decoding)
        self.cache.put("seconds", (prefill_seconds, device_time(input_device(self.model)) - start))
        return tokens

    def score_choices(self, inputs: Inputs, choices: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
        """Return log p(choice | prompt) in nats of each row's choices."""
        return self._prefix(inputs)[0].score(choices)

    def _answer_logits(self, read: Inputs, targets_BL: torch.Tensor) -> torch.Tensor:
        """Run the decoder on embeddings, without a cache."""
        states_BLD = (
            self.language_model()
            .get_decoder()(
                inputs_embeds=read["inputs_embeds"],
                attention_mask=read["attention_mask"],
                position_ids=self.position_ids(read),
                use_cache=False,
            )
            .last_hidden_state
        )
        answer_BL = (targets_BL != IGNORE_INDEX).to(states_BLD.device)
        logits_AV: torch.Tensor = self.model.get_output_embeddings()(states_BLD[answer_BL])
        return logits_AV.to(targets_BL.device)

    def _budgeted_inputs(self, samples: Sequence[Sample], budget: Budget | None) -> Inputs:
        """Return the batch's inputs; under a budget those of the shorter prompts, with `inputs_embeds`.

        Raises:
            AdapterError: under a budget, something stands before the question.
            SampleError: under a budget, the samples have unequal numbers of visual tokens.
        """
        if budget is not None and any(sample.system or sample.examples for sample in samples):
            raise AdapterError("a token budget takes bare questions: leave --system and --fewshot out")
        inputs = self.batch_inputs(samples)
        if budget is None or "pixel_values" not in inputs:
            return inputs
        tokens_BND = self._layer_tokens("connector", inputs, samples)
        reduced, key = self.cache.get("reduced"), (budget, tuple(sample.id for sample in samples))
        if reduced is None or reduced.key != key:
            start = device_time(input_device(self.model))
            shorter = self._reduce(samples, inputs, tokens_BND, budget)
            reduced = ReducedPrompts(key, shorter, device_time(input_device(self.model)) - start)
            self.cache.put("reduced", reduced)
        reduced_inputs: Inputs = reduced.inputs
        return reduced_inputs

    def _reduce(self, samples: Sequence[Sample], inputs: Inputs, tokens_BND: torch.Tensor, budget: Budget) -> Inputs:
        return reduce_prompts(
            inputs["input_ids"],
            inputs["attention_mask"],
            self.inputs_embeds(inputs),
            self.visual_token_mask(inputs),
            tokens_BND,
            self._budget_weights(samples, tokens_BND, budget),
        )

    def _prefix(self, inputs: Inputs) -> tuple[PrefixCache, float]:
        """Return the prefilled prompts and the seconds that they took; the last ones are kept for their next use."""
        known = self.cache.get("prefix")
        if known is None or known[0] is not inputs:
            known = (inputs, *self._prefill(inputs))
            self.cache.put("prefix", known)
        return known[1], known[2]

    def _prefill(self, inputs: Inputs) -> tuple[PrefixCache, float]:
        """Prefill the prompts; return the cache and the seconds from visual tokens to logits, the budget's included."""
        if "pixel_values" in inputs:
            self.image_features(inputs)  # before the clock starts: the tower's work is the same under every budget
        start = device_time(input_device(self.model))
        embeds_BPD = self.inputs_embeds(inputs)
        prefix = PrefixCache.prefill(
            self.language_model(), embeds_BPD, inputs["attention_mask"], self.position_ids(inputs)
        )
        reduced = self.cache.get("reduced")
        reduction = reduced.seconds if reduced is not None and reduced.inputs is inputs else 0.0
        return prefix, reduction + device_time(input_device(self.model)) - start

    def _kept_counts(self, inputs: Inputs, samples: Sequence[Sample]) -> list[int]:
        """Return each prompt's number of visual tokens: all, less what the prompt is shorter than the full one."""
        full = self.batch_inputs(samples)
        counts = self.visual_token_mask(full).sum(1).tolist()
        lengths = zip(counts, self._prompt_lengths(full), self._prompt_lengths(inputs), strict=True)
        return [count - before + after for count, before, after in lengths]
