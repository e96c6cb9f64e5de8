"""A model, metrics and a task for tests of the host: small, fast, and as awkward as real ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vtbench.budget import Budget
from vtbench.errors import AdapterError, OutOfMemory, SampleError
from vtbench.hookspecs import hookimpl
from vtbench.metric import Batch
from vtbench.registry import Registry
from vtbench.task.prepared import Limited
from vtbench.types import Observation, Output, Record, Sample, Score, Task, VisualTokens
from vtbench_budgets import GridKeep, RandomKeep, TokenCount

CHOICES = ("yes", "no")


def unit(*parts: object) -> float:
    """A number in [0, 1) that follows from the parts."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def quiz(
    directory: Path, n: int = 20, missing: Iterable[int] = (), metrics: str = "[hits]", name: str = "quiz"
) -> Path:
    """Write a task over n questions about one image; the images of `missing` are not there."""
    directory.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (200, 30, 30)).save(directory / "red.png")
    rows = [
        {
            "image": "gone.png" if i in set(missing) else "red.png",
            "prompt": f"question {i}?",
            "target": CHOICES[i % 2],
            "choices": list(CHOICES),
        }
        for i in range(n)
    ]
    (directory / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = directory / f"{name}.yaml"
    path.write_text(f"task: {name}\ndata: {{path: {name}.jsonl, choices: choices}}\nmetrics: {metrics}\n")
    return path


class FakeModel:
    """Answers by hash. With `moody`, an answer also depends on the company it is asked in, as rounding does."""

    layers = ("connector", "encoder")
    image_size = 8

    def __init__(
        self,
        moody: bool = False,
        fits: int = 10**9,
        breaks_on: Sequence[str] = (),
        fails_on: Sequence[str] = (),
        can: Sequence[str] = ("generate", "rank", "visual_tokens"),
        nan_on: Sequence[str] = (),
        api_key: str = "",
        describes: Mapping[str, Any] | None = None,
        interrupts_on: str = "",
        fails_to_show: Sequence[str] = (),
    ) -> None:
        self.capabilities = frozenset(can)
        self.moody, self.fits, self.breaks_on, self.fails_on, self.nan_on = moody, fits, breaks_on, fails_on, nan_on
        self.api_key, self.describes, self.interrupts_on = api_key, dict(describes or {}), interrupts_on
        self.fails_to_show = fails_to_show
        self.batches: list[int] = []
        self.shown: list[tuple[int, tuple[str, ...]]] = []
        self.budgets: list[str] = []
        self.closed = False

    def _check(self, samples: Sequence[Sample]) -> str:
        prompts = [sample.prompt for sample in samples]
        self.batches.append(len(prompts))
        if len(prompts) > self.fits:
            raise OutOfMemory(f"{len(prompts)} do not fit")
        if self.interrupts_on in prompts:
            raise KeyboardInterrupt
        for prompt in prompts:
            if prompt in self.breaks_on or "*" in self.breaks_on:
                raise ValueError(f"cannot take {prompt} with {self.api_key}")
            if prompt in self.fails_on:
                raise SampleError(f"refused {prompt}")
        return "|".join(prompts) if self.moody else ""

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        mood = self._check(samples)
        if budget is None:
            return [Output(text=CHOICES[unit(s.prompt, mood) < 0.5], tokens_in=3) for s in samples]
        self.budgets.append(budget.name)
        return [Output(text=CHOICES[unit(s.prompt, mood, budget.name) < 0.5], tokens_in=2) for s in samples]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        mood = self._check(samples)
        outputs = []
        for s in samples:
            first = float("nan") if s.prompt in self.nan_on else -unit(s.prompt, mood)
            outputs.append(Output(logprobs=(first, -0.5), logprob_tokens=(1, 1)))
        return outputs

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        mood = self._check(samples)
        if failing := [s.prompt for s in samples if s.prompt in self.fails_to_show]:
            raise SampleError(f"cannot show {failing[0]}")
        self.shown.append((len(samples), tuple(layers)))
        tokens = np.array([[[unit(s.prompt, mood, t, d) for d in range(2)] for t in range(3)] for s in samples])
        return [VisualTokens(layer, tokens) for layer in layers]

    def describe(self) -> Mapping[str, Any]:
        return {"checkpoint": "fake", "device": "cpu", "dtype": "float32", **self.describes}

    def close(self) -> None:
        self.closed = True


class Hits:
    """Share of right answers, with a float that needs all its digits."""

    needs = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        return [
            {"correct": int(o.text == s.target), "weight": unit(o.text, s.prompt)}
            for s, o in zip(batch.samples, batch.outputs, strict=True)
        ]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        share = sum(o["correct"] for o in observations) / len(observations)
        weight = sum(o["weight"] for o in observations)
        detail = {"majority": 0.5, "by_kind": {}}
        return {"acc": Score(share, 0.1, (0.0, 1.0), len(records), 0.5, detail=detail), "weight": Score(weight)}


class Ranked:
    """Mean log-probability of the first choice."""

    needs = frozenset({"rank"})

    def observe(self, batch: Batch) -> list[Observation]:
        return [{"first": o.logprobs[0] if o.logprobs else None} for o in batch.outputs]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        return {"first": Score(sum(o["first"] for o in observations), percent=False)}


class Seen:
    """Visual tokens on a fitted mean: float64 arrays that must come back bit for bit."""

    needs = frozenset({"visual_tokens"})
    fit_samples = 5
    layers: tuple[str, ...] = ("connector",)

    def __init__(self) -> None:
        self.mean: np.ndarray | None = None
        self.first: list[str] = []
        self.total: Any = 0.0

    def partial_fit(self, batch: Batch) -> None:
        self.first += [sample.prompt for sample in batch.samples]
        self.total = self.total + np.asarray(batch.visual[self.layers[0]].tokens).sum(axis=0)

    def state(self) -> Mapping[str, np.ndarray]:
        return {"mean": self.total / len(self.first), "first": np.array(self.first)}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        self.mean = state["mean"]

    def observe(self, batch: Batch) -> list[Observation]:
        assert self.mean is not None
        return [{"z": row - self.mean, "note": "x"} for row in np.asarray(batch.visual[self.layers[0]].tokens)]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        total = float(np.stack([o["z"] for o in observations]).sum())
        return {"seen": Score(total, n=len(records), flags=("small",), percent=False), "unknown": Score(None)}


class Held(Seen):
    """Fitted on the first half of a task."""

    fit_samples = 9

    def fit_task(self, task: Task) -> Task:
        return Limited(task, len(task) // 2)


class Layers:
    """How many of the layers it would like it gets: it learns that from the first samples."""

    needs = frozenset({"visual_tokens"})
    fit_samples = 8
    layers = ("connector", "encoder", "decoder_50")

    def __init__(self) -> None:
        self.found: list[str] = []

    def partial_fit(self, batch: Batch) -> None:
        self.found = [layer for layer in self.layers if layer in batch.visual]

    def state(self) -> Mapping[str, np.ndarray]:
        return {"layers": np.array(self.found)}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        self.found = [str(layer) for layer in state["layers"]]

    def observe(self, batch: Batch) -> list[Observation]:
        return [{"layers": sum(layer in batch.visual for layer in self.found)}] * len(batch.samples)

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        return {"layers": Score(min(o["layers"] for o in observations), detail={"found": self.found}, percent=False)}


class Deep(Seen):
    """A metric of a layer that the model does not have."""

    layers = ("decoder_25", "decoder_50")


class Frugal:
    """Answers from few tokens."""

    needs = frozenset({"generate", "budget"})
    budgets: Mapping[str, Budget] = {"half": GridKeep(TokenCount(fraction=0.5)), "none": GridKeep(TokenCount(count=0))}

    def observe(self, batch: Batch) -> list[Observation]:
        assert batch.budgeted.keys() == self.budgets.keys()
        texts = {name: [output.text for output in outputs] for name, outputs in batch.budgeted.items()}
        return [{name: column[i] for name, column in texts.items()} for i in range(len(batch.samples))]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        said = [text for observation in observations for text in observation.values()]
        return {"yes": Score(said.count("yes") / len(said), n=len(records))}


class Thrifty(Frugal):
    """Shares a budget with `Frugal`, under another name."""

    budgets: Mapping[str, Budget] = {
        "nothing": GridKeep(TokenCount(count=0)),
        "some": RandomKeep(TokenCount(fraction=0.5)),
    }


class Plugin:
    """The fakes, registered as any plugin is; `model` is the last one that was created."""

    def __init__(self) -> None:
        self.model: FakeModel | None = None

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
        def fake(**arguments: Any) -> FakeModel:
            """A model by hash."""
            self.model = FakeModel(**arguments)
            return self.model

        def lacking() -> Any:
            """Its backend is not there."""
            import torch_of_another_world  # noqa: F401

        def absent(pretrained: str = "") -> Any:
            """Its checkpoint is not there."""
            raise AdapterError(f"{pretrained}: no such checkpoint")

        return {"fake": fake, "lacking": lacking, "absent": absent}

    @hookimpl
    def vtbench_metrics(self) -> dict[str, Callable[[], Any]]:
        return {
            "hits": Hits,
            "ranked": Ranked,
            "seen": Seen,
            "held": Held,
            "layers": Layers,
            "deep": Deep,
            "frugal": Frugal,
            "thrifty": Thrifty,
        }


def registry() -> Registry:
    return Registry({"fakes": Plugin()})
