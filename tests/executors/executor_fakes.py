"""A task and a plugin for tests of executors, in a module of its own because workers import it by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vtbench.errors import AdapterError, OutOfMemory, SampleError
from vtbench.hookspecs import hookimpl
from vtbench.metric import Batch
from vtbench.registry import Registry
from vtbench.types import Capability, Observation, Output, Record, Sample, Score, VisualTokens

ANSWERS = ("yes", "no")


def unit(*parts: object) -> float:
    """Return a number in [0, 1) that is a hash of the parts."""
    return int.from_bytes(hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest(), "big") / 2**64


def questions(directory: Path, n: int, name: str = "quiz", metrics: str = "[right, seen]") -> Path:
    """Write a task with n questions about one image."""
    directory.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), (200, 30, 30)).save(directory / "red.png")
    row = {"image": "red.png", "choices": list(ANSWERS)}
    rows = [row | {"prompt": f"question {i}?", "target": ANSWERS[i % 2]} for i in range(n)]
    (directory / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = directory / f"{name}.yaml"
    path.write_text(f"task: {name}\ndata: {{path: {name}.jsonl, choices: choices}}\nmetrics: {metrics}\n")
    return path


class BatchDependent:
    """A model whose answers depend on the whole batch, as rounding errors do, with failures on request."""

    capabilities: frozenset[Capability] = frozenset({"generate", "visual_tokens"})
    layers: tuple[str, ...] = ("connector",)
    image_size: int | None = None

    def __init__(self, fails_on: Sequence[str] = (), breaks_on: str = "", fits: int = 10**9, odd: str = "") -> None:
        self.fails_on, self.breaks_on, self.fits, self.odd = fails_on, breaks_on, fits, odd

    def _batch_key(self, samples: Sequence[Sample]) -> str:
        prompts = [sample.prompt for sample in samples]
        if len(prompts) > self.fits:
            raise OutOfMemory(f"{len(prompts)} do not fit")
        for prompt in prompts:
            if prompt in self.fails_on or "*" in self.fails_on:
                raise SampleError(f"refused {prompt}")
        if self.breaks_on in prompts:
            raise AdapterError("the model broke")
        return "|".join(prompts)

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        key = self._batch_key(samples)
        return [Output(text=ANSWERS[unit(s.prompt, key) < 0.5], tokens_in=3) for s in samples]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        raise AdapterError("cannot rank")

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        key = self._batch_key(samples)
        tokens = np.array([[[unit(s.prompt, key, t, d) for d in range(2)] for t in range(3)] for s in samples])
        return [VisualTokens(layer, tokens) for layer in layers]

    def describe(self) -> Mapping[str, Any]:
        return {"checkpoint": "batch_dependent", "device": "cpu", **({"fingerprint": self.odd} if self.odd else {})}

    def close(self) -> None:
        pass


class Right:
    """Fraction of correct answers, with an observation that needs all digits of a float."""

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        pairs = zip(batch.samples, batch.outputs, strict=True)
        return [{"correct": int(o.text == s.target), "weight": unit(o.text, s.prompt)} for s, o in pairs]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        return {"acc": Score(sum(o["correct"] for o in observations) / len(observations), n=len(records))}


class Seen:
    """Sum of visual tokens, centred on a mean that is fitted on the first samples."""

    needs: frozenset[Capability] = frozenset({"visual_tokens"})
    fit_samples = 5
    layers: tuple[str, ...] = ("connector",)

    def __init__(self) -> None:
        self.mean: np.ndarray | None = None
        self.shown: list[np.ndarray] = []

    def partial_fit(self, batch: Batch) -> None:
        self.shown += list(np.asarray(batch.visual["connector"].tokens))

    def state(self) -> Mapping[str, np.ndarray]:
        return {"mean": np.mean(self.shown, axis=0)}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        self.mean = state["mean"]

    def observe(self, batch: Batch) -> list[Observation]:
        assert self.mean is not None
        return [{"z": row - self.mean} for row in np.asarray(batch.visual["connector"].tokens)]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        return {"seen": Score(float(np.stack([o["z"] for o in observations]).sum()), n=len(records), percent=False)}


def batch_dependent(**arguments: Any) -> BatchDependent:
    """Create the model."""
    return BatchDependent(**arguments)


class Plugin:
    """The fakes, registered as any plugin is."""

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
        return {"other": batch_dependent, "batch_dependent": batch_dependent}

    @hookimpl
    def vtbench_metrics(self) -> dict[str, Callable[[], Any]]:
        return {"right": Right, "seen": Seen}


def registry() -> Registry:
    import vtbench_ray

    return Registry({"fakes": Plugin(), "ray": vtbench_ray})
