"""An adapter that asks a model only what no earlier run has asked it (`--cache DIR`).

    key(model, messages, images, choices, generation) -> Output

An answer is found again if the model's identity and everything that it is asked are the same. The identity is the
adapter's name and arguments, and what `describe()` says of the checkpoint, its fingerprint above all. Versions of
packages are no part of it, and neither are batches: an answer may differ in its last digits from one that was given in
another batch. Only answers that passed the engine's checks are kept, and visual tokens never are.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from typing import Any, cast

from PIL.Image import Image

from vtbench.adapter import Adapter, BudgetAdapter, Generation, traits_of
from vtbench.budget import Budget
from vtbench.config import RunConfig
from vtbench.engine.answer_store import AnswerStore
from vtbench.engine.validation import checked_outputs
from vtbench.runs.provenance import model_identity, strict
from vtbench.runs.secrets import redact
from vtbench.types import Capability, Output, Sample, VisualTokens

_FORMAT = 1
"""Part of every key: raised when keys or stored outputs change their meaning."""
_IDENTIFYING = ("fingerprint", "revision", "endpoint")
"""Keys of `describe()` that tell one model from another of the same name."""
_TUPLES = ("logprobs", "logprob_tokens")


def uncacheable(model: str, description: Mapping[str, Any]) -> str | None:
    """Return why the answers of a model cannot be kept, in one line; None if they can.

    Two models of one class could not be told apart, and would get each other's answers.
    """
    if any(description.get(key) for key in _IDENTIFYING):
        return None
    names = ", ".join(f"`{key}`" for key in _IDENTIFYING)
    return f"model {model!r}: its answers are not cached, since its describe() has none of {names} to tell it by"


class CachedAdapter:
    """Wraps an adapter: answers come from a store if it has them, and new ones go there.

    New answers wait until `keep` is called, so that those of a model that turns out to be faulty never get there.

    Args:
        inner: the adapter that answers.
        store: where answers are kept.
        config: of the run.
        generation: how the model generates.
    """

    def __init__(self, inner: Adapter, store: AnswerStore, config: RunConfig, generation: Generation) -> None:
        self._inner, self._store, self._generation = inner, store, generation
        self.capabilities: frozenset[Capability] = inner.capabilities - {"train"}
        self.image_size = inner.image_size
        self.layers = inner.layers
        self.traits = traits_of(inner)
        self._label = f"model {config.model!r}"
        self._description = description = dict(inner.describe())  # once: it may hash the weights
        asked = {"model": config.model, "model_args": redact(config.model_args), "dtype": config.dtype}
        asked |= {"chat_template_args": config.chat_template_args}
        settings = {key: value for key, value in asdict(generation).items() if key not in ("seed", "repeats")}
        described = model_identity(description) | {"chat_template": description.get("chat_template")}
        self._identity = _digest([_FORMAT, asked, settings, described])
        # the contract of `context` is to read `Sample.messages`; others may read more of a sample, as controls do
        self._by_id = "context" not in inner.capabilities or "control" in description
        self._new: dict[bytes, Output] = {}
        self._usable = uncacheable(config.model, description) is None
        self._bypassed = False
        self.asked: set[tuple[str, str]] = set()
        """Method and `Sample.id` of the questions that the model was asked since the last `keep`."""
        self.reused: set[tuple[str, str]] = set()
        """Those of the questions whose answers were there."""

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        """Answer, from the store where it can."""

        def ask(some: Sequence[Sample]) -> list[Output]:
            if budget is None:
                return self._inner.generate(some, max_new_tokens)
            return cast(BudgetAdapter, self._inner).generate(some, max_new_tokens, budget)

        return self._answered("generate", samples, ask, max_new_tokens, budget)

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        """Score choices, from the store where it can."""

        def ask(some: Sequence[Sample]) -> list[Output]:
            return self._inner.rank(some) if budget is None else cast(BudgetAdapter, self._inner).rank(some, budget)

        return self._answered("rank", samples, ask, None, budget)

    def _answered(
        self,
        method: str,
        samples: Sequence[Sample],
        ask: Callable[[Sequence[Sample]], list[Output]],
        max_new_tokens: int | None,
        budget: Budget | None,
    ) -> list[Output]:
        """Ask for what is not stored, one sample of each key, and return all outputs in the order of the samples."""
        under = _budget_digest(budget)
        if self._bypassed or under is None or not self._usable:
            return ask(samples)
        keys = [self._key(method, sample, max_new_tokens, under) for sample in samples]
        known = {key: output for key, text in self._store.get(keys).items() if (output := decoded(text)) is not None}
        known |= {key: self._new[key] for key in keys if key in self._new}
        missing: dict[bytes, Sample] = {}
        for key, sample in zip(keys, samples, strict=True):
            if key in known:
                if key not in self._new:
                    self.reused.add((method, sample.id))
            else:
                missing.setdefault(key, sample)
        if missing:
            some = samples if len(missing) == len(samples) else tuple(missing.values())
            said = checked_outputs(ask(some), some, method, self._label)
            self._new |= zip(missing, said, strict=True)
            self.asked |= {(method, sample.id) for sample in some}
            known |= zip(missing, said, strict=True)
        return [known[key] for key in keys]

    def _key(self, method: str, sample: Sample, max_new_tokens: int | None, budget: str) -> bytes:
        messages = [
            [message.role, [_image_digest(part) if isinstance(part, Image) else part for part in message.content]]
            for message in sample.messages
        ]
        asked = [self._identity, method, max_new_tokens, budget, messages, sample.choices, sample.labels]
        # a repeat is another answer; a draw depends on the sample's id, and so may a budget and a control
        drawn = sample.repeat if self._generation.greedy else self._generation.seed_of(sample)
        own = [sample.id, sample.cluster, sample.kind, sample.meta] if self._by_id else [sample.id] if budget else []
        return bytes.fromhex(_digest([*asked, drawn, sample.scene_hash, own]))

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the visual tokens, which are not kept."""
        return self._inner.visual_tokens(samples, layers)

    @contextmanager
    def bypassed(self) -> Iterator[None]:
        """Ask the model itself inside of the context, and keep nothing."""
        self._bypassed = True
        try:
            yield
        finally:
            self._bypassed = False

    def keep(self) -> tuple[int, int, list[str]]:
        """Store the new answers, and return how many were reused and asked since the last time, and what to tell."""
        self._store.put({key: encoded(output) for key, output in self._new.items()})
        counts = len(self.reused), len(self.asked)
        for waiting in (self._new, self.reused, self.asked):
            waiting.clear()
        return *counts, self._store.take_notes()

    def describe(self) -> Mapping[str, Any]:
        """Describe the wrapped adapter."""
        return self._description

    def close(self) -> None:
        """Close the store and the wrapped adapter."""
        self._store.close()
        self._inner.close()


def encoded(output: Output) -> str:
    """Return an output as JSON, with every field and every digit."""
    values = {f.name: value for f in fields(Output) if (value := getattr(output, f.name)) is not None}
    return json.dumps(values, default=lambda number: number.item())  # a numpy scalar


def decoded(text: str) -> Output | None:
    """Return the output that `encoded` encoded, without its price: a stored answer costs nothing.

    Returns:
        None if it is not an output of this version, so that the model is asked.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        output = Output(**(values | {key: tuple(values[key]) for key in _TUPLES if key in values}))
    except (AttributeError, TypeError, ValueError):
        return None
    return output if output.cost is None else replace(output, cost=0.0)


def _budget_digest(budget: Budget | None) -> str | None:
    """Return what tells a budget, fitted or not, from all others: empty without one, None if nothing can."""
    if budget is None:
        return ""
    try:
        return _digest([budget.name, hashlib.sha256(pickle.dumps(budget)).hexdigest()])
    except Exception:  # a plugin's budget may be pickled in no way, or fail in any
        return None


def _image_digest(image: Image) -> dict[str, Any]:
    return {"image": hashlib.sha256(image.tobytes()).hexdigest(), "size": image.size, "mode": image.mode}


def _digest(value: Any) -> str:
    text = json.dumps(strict(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
