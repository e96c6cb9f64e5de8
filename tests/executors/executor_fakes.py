"""A task and a plugin for tests of executors. Workers import it by name, so it stands in a module of its own."""

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
    """A number in [0, 1) that follows from the parts."""
    return int.from_bytes(hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest(), "big") / 2**64


def questions(directory: Path, n: int, name: str = "quiz", metrics: str = "[right, seen]") -> Path:
    """Write a task over n questions about one picture."""
    directory.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), (200, 30, 30)).save(directory / "red.png")
    row = {"image": "red.png", "choices": list(ANSWERS)}
    rows = [row | {"prompt": f"question {i}?", "target": ANSWERS[i % 2]} for i in range(n)]
    (directory / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = directory / f"{name}.yaml"
    path.write_text(f"task: {name}\ndata: {{path: {name}.jsonl, choices: choices}}\nmetrics: {metrics}\n")
    return path


class Moody:
    """Answers by hash of all that it is asked together, as rounding does. Counts how often it was made."""

    capabilities: frozenset[Capability] = frozenset({"generate", "visual_tokens"})
    layers: tuple[str, ...] = ("connector",)
    image_size: int | None = None

    def __init__(self, fails_on: Sequence[str] = (), breaks_on: str = "", fits: int = 10**9, odd: str = "") -> None:
        self.fails_on, self.breaks_on, self.fits, self.odd = fails_on, breaks_on, fits, odd

    def _mood(self, samples: Sequence[Sample]) -> str:
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
        mood = self._mood(samples)
        return [Output(text=ANSWERS[unit(s.prompt, mood) < 0.5], tokens_in=3) for s in samples]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        raise AdapterError("cannot rank")

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        mood = self._mood(samples)
        tokens = np.array([[[unit(s.prompt, mood, t, d) for d in range(2)] for t in range(3)] for s in samples])
        return [VisualTokens(layer, tokens) for layer in layers]

    def describe(self) -> Mapping[str, Any]:
        return {"checkpoint": "moody", "device": "cpu", **({"fingerprint": self.odd} if self.odd else {})}

    def close(self) -> None:
        pass


class Right:
    """Share of right answers, with a float that needs all its digits."""

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        pairs = zip(batch.samples, batch.outputs, strict=True)
        return [{"correct": int(o.text == s.target), "weight": unit(o.text, s.prompt)} for s, o in pairs]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        return {"acc": Score(sum(o["correct"] for o in observations) / len(observations), n=len(records))}


class Seen:
    """Visual tokens on a fitted mean."""

    needs: frozenset[Capability] = frozenset({"visual_tokens"})
    warmup = 5
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


def moody(**arguments: Any) -> Moody:
    """A model by hash."""
    return Moody(**arguments)


class Plugin:
    """The fakes, registered as any plugin is."""

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
        return {"calm": moody, "moody": moody}

    @hookimpl
    def vtbench_metrics(self) -> dict[str, Callable[[], Any]]:
        return {"right": Right, "seen": Seen}


def registry() -> Registry:
    import vtbench_ray

    return Registry({"fakes": Plugin(), "ray": vtbench_ray})
