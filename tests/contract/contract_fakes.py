"""An adapter with every capability that keeps the contract, and copies of it with one mistake each."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vtbench import BaseAdapter, Budget, Capability, Output, Sample, VisualTokens, hookimpl
from vtbench.budget import checked_weights
from vtbench.testing.example_items import patch_tokens

PLANTED: dict[str, type[Good]] = {}
"""By what is wrong."""


def unit(*parts: object) -> float:
    """Return a number in (0, 1] that is a hash of the parts."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 1) / 2**64


def planted(name: str) -> Callable[[type[Good]], type[Good]]:
    """Add an adapter to `PLANTED`."""

    def add(kind: type[Good]) -> type[Good]:
        PLANTED[name] = kind
        return kind

    return add


class Good(BaseAdapter):
    """Answers by hash of the question and the image; its visual tokens are the pixels of image patches."""

    capabilities: frozenset[Capability] = frozenset({"generate", "rank", "visual_tokens", "budget"})
    layers = ("connector", "encoder")

    def key(self, sample: Sample, kept: int) -> str:
        return f"{sample.prompt} {hashlib.sha256(sample.images[0].tobytes()).hexdigest()} {kept}"

    def kept(self, samples: Sequence[Sample], budget: Budget | None) -> list[int]:
        visual = patch_tokens(samples)
        if budget is None:
            return [visual.tokens.shape[1]] * len(samples)
        return [len(rows) for rows in checked_weights(budget, visual, [sample.id for sample in samples])]

    def count(self, sample: Sample, kept: int) -> dict[str, int]:
        return {"tokens_in": len(sample.prompt.split()) + kept, "visual_tokens_in": kept}

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        outputs = []
        for sample, kept in zip(samples, self.kept(samples, budget), strict=True):
            words = sample.choices or tuple(sample.prompt.split())
            text = words[int(unit(self.key(sample, kept)) * len(words)) % len(words)]
            outputs.append(Output(text=text, **self.count(sample, kept)))
        return outputs

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        return [
            Output(
                logprobs=tuple(-5 * unit(self.key(sample, kept), choice) for choice in sample.choices),
                logprob_tokens=(1,) * len(sample.choices),
                **self.count(sample, kept),
            )
            for sample, kept in zip(samples, self.kept(samples, budget), strict=True)
        ]

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        self.check_layers(layers)
        return [patch_tokens(samples, layer) for layer in layers]


def layers_as(change: Callable[[VisualTokens], VisualTokens]) -> Any:
    """Return a method `visual_tokens` whose result is changed layer by layer."""

    def visual_tokens(self: Good, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        return [change(visual) for visual in Good.visual_tokens(self, samples, layers)]

    return visual_tokens


@planted("7 log-probabilities for 8 choices")
class SevenOfEight(Good):
    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        return [replace(said, logprobs=(said.logprobs or ())[:7]) for said in super().rank(samples, budget)]


@planted("2-D visual tokens")
class Flat(Good):
    visual_tokens = layers_as(lambda visual: replace(visual, tokens=visual.tokens[0]))


@planted("an output too few")
class TooFew(Good):
    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        return super().generate(samples, max_new_tokens, budget)[1:]


@planted("texts in another order")
class SortedByLength(Good):
    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        by_length = sorted(samples, key=lambda sample: (len(sample.prompt), unit(sample.id)))
        return super().generate(by_length, max_new_tokens, budget)


@planted("log-probabilities in another order")
class Reversed(Good):
    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        by_count: dict[int, list[int]] = {}
        for i, sample in enumerate(samples):
            by_count.setdefault(len(sample.choices), []).append(i)
        place = {i: j for group in by_count.values() for i, j in zip(group, group[::-1], strict=True)}
        return super().rank([samples[place[i]] for i in range(len(samples))], budget)


@planted("visual tokens in another order")
class TokensReversed(Good):
    visual_tokens = layers_as(lambda visual: replace(visual, tokens=visual.tokens[::-1]))


@planted("a changed image")
class Paints(Good):
    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        outputs = super().generate(samples, max_new_tokens, budget)
        for sample in samples:
            sample.images[0].paste((0, 0, 0), (0, 0, 9, 9))
        return outputs


@planted("a changed sample")
class Notes(Good):
    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        for sample in samples:
            sample.meta["seen"] = True  # type: ignore[index]
        return super().rank(samples, budget)


@planted("other texts in a batch")
class PadsWrongly(Good):
    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        longest = max(len(sample.prompt) for sample in samples)
        outputs = super().generate(samples, max_new_tokens, budget)
        return [
            replace(o, text=f"{o.text}{len(s.prompt) < longest}{len(samples) > 1}")
            for s, o in zip(samples, outputs, strict=True)
        ]


@planted("other log-probabilities in a batch")
class MasksNothing(Good):
    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        shift = 0.01 * (len(samples) > 1)
        return [
            replace(said, logprobs=tuple(value - shift for value in said.logprobs or ()))
            for said in super().rank(samples, budget)
        ]


_DRAWN = itertools.count()


@planted("another answer each time")
class Dices(Good):
    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        outputs = super().generate(samples, max_new_tokens, budget)
        return [replace(said, text=f"{said.text} {next(_DRAWN)}") for said in outputs]


@planted("another answer of each instance")
class Instances(Good):
    def __init__(self) -> None:
        self.number = next(_DRAWN)

    def key(self, sample: Sample, kept: int) -> str:
        return f"{super().key(sample, kept)} {self.number}"


@planted("log-probabilities that are NaN")
class NotNumbers(Good):
    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        return [
            replace(said, logprobs=(float("nan"),) * len(said.logprobs or ())) for said in super().rank(samples, budget)
        ]


@planted("visual tokens that are NaN")
class TokensNotNumbers(Good):
    visual_tokens = layers_as(lambda visual: replace(visual, tokens=visual.tokens * np.float32("nan")))


@planted("a layer too few")
class OneLayer(Good):
    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        return super().visual_tokens(samples, layers)[:1]


@planted("no layers")
class NoLayers(Good):
    layers = ()


@planted("an unknown layer")
class AnyLayer(Good):
    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        return [patch_tokens(samples, layer) for layer in layers]


@planted("a description that is no JSON")
class Described(Good):
    def describe(self) -> Mapping[str, Any]:
        return {**super().describe(), "directory": Path("here")}


@planted("positive log-probabilities")
class Losses(Good):
    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        return [
            replace(said, logprobs=tuple(-value for value in said.logprobs or ()))
            for said in super().rank(samples, budget)
        ]


@planted("boxes in pixels")
class Pixels(Good):
    visual_tokens = layers_as(lambda visual: replace(visual, boxes=np.asarray(visual.boxes) * 64))


@planted("whole is not whole")
class Rounds(Good):
    def kept(self, samples: Sequence[Sample], budget: Budget | None) -> list[int]:
        return [count - (budget is not None and count > 60) for count in super().kept(samples, budget)]


@planted("tokens_in does not shrink")
class Masks(Good):
    def count(self, sample: Sample, kept: int) -> dict[str, int]:
        return {"tokens_in": len(sample.prompt.split()) + 64, "visual_tokens_in": kept}


@planted("a budget that stays")
class Remembers(Good):
    last: Budget | None = None

    def kept(self, samples: Sequence[Sample], budget: Budget | None) -> list[int]:
        if budget is not None and budget.name != "all tokens":
            self.last = budget
        return super().kept(samples, budget or self.last)


@planted("weights that are not looked at")
class Trusts(Good):
    def kept(self, samples: Sequence[Sample], budget: Budget | None) -> list[int]:
        if budget is not None and budget.name == "broken":
            return [64] * len(samples)
        return super().kept(samples, budget)


@planted("a text that is none")
class Silent(Good):
    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        return [replace(output, text=None) for output in super().generate(samples, max_new_tokens, budget)]


@planted("a text instead of an output")
class Strings(Good):
    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> Any:
        return [output.text for output in super().generate(samples, max_new_tokens, budget)]


@planted("no log-probabilities")
class Unranked(Good):
    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        return [replace(output, logprobs=None) for output in super().rank(samples, budget)]


@planted("an unknown capability")
class Sings(Good):
    capabilities = Good.capabilities | {"sing"}  # type: ignore[assignment]


@planted("an error in the model")
class Breaks(Good):
    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        raise IndexError("list index out of range")


class Plugin:
    """The adapters by name, `good` and what is wrong with the others."""

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
        return {"good": Good, **PLANTED}
