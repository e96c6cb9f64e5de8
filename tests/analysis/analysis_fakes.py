"""A model with known answers and known visual tokens, and runs of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import vtbench
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry
from vtbench.types import Output, Sample, VisualTokens
from vtbench_controls.question_solver import solve
from vtbench_controls.symbolic import choice_logprobs, guess

GRID = 4


class PartialOracle:
    """Answers correctly on a share of the scenes, chosen by index, in the format `says`.

    Every `copies` visual tokens in a row show the same patch, so that their redundancy is known.
    """

    capabilities = frozenset({"generate", "rank", "visual_tokens"})
    layers = ("connector",)

    def __init__(self, right: float = 1.0, says: str = "{}", copies: int = 1, image_size: int = 32) -> None:
        self.right, self.says, self.copies, self.image_size = right, says, copies, image_size

    def _answer(self, sample: Sample) -> str:
        assert sample.scene is not None
        truth = solve(sample.question or sample.prompt, sample.scene) or guess(sample)
        # a pair (2k, 2k + 1) is right or wrong together: answers on one scene are correlated
        if (sample.index // 2 * 0.618034) % 1 < self.right:
            return truth
        return next(choice for choice in sample.choices if choice != truth)

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        return [Output(text=self.says.format(self._answer(sample))) for sample in samples]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        ones = [(1,) * len(sample.choices) for sample in samples]
        beliefs = [choice_logprobs(self._answer(sample), sample.choices) for sample in samples]
        return [Output(logprobs=b, logprob_tokens=n) for b, n in zip(beliefs, ones, strict=True)]

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        tokens = np.stack([self._tokens(sample) for sample in samples])
        left, top = (axis.ravel() / GRID for axis in np.meshgrid(np.arange(GRID), np.arange(GRID)))
        boxes = np.stack([left, top, left + 1 / GRID, top + 1 / GRID], axis=1)
        return [VisualTokens(layer, tokens, boxes) for layer in layers]

    def _tokens(self, sample: Sample) -> np.ndarray:
        """Each token is its patch's mean colour with a little noise; every `copies` tokens in a row show one patch."""
        small = np.asarray(sample.images[0].resize((GRID, GRID), Image.Resampling.BOX), dtype=np.float32) / 255
        patches = small.reshape(GRID * GRID, 3)[np.arange(GRID * GRID) // self.copies * self.copies]
        noise = np.random.default_rng(sample.index).standard_normal(patches.shape)
        return (patches + 0.02 * noise).astype(np.float32)

    def describe(self) -> Mapping[str, Any]:
        return {
            "checkpoint": "partial_oracle",
            "right": self.right,
            "says": self.says,
            "copies": self.copies,
            "device": "cpu",
        }

    def close(self) -> None:
        pass


class _Models:
    @hookimpl
    def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
        return {"partial_oracle": PartialOracle}


def registry() -> Registry:
    import vtbench_analysis
    import vtbench_redundancy
    from vtbench.scoring import plugin

    plugins = {"models": _Models(), "scoring": plugin, "redundancy": vtbench_redundancy, "analysis": vtbench_analysis}
    return Registry(plugins)


def run(output: Path, tasks: Sequence[str] = ("relational",), limit: int = 60, **fields: Any) -> Path:
    """Run the model and return the run's directory."""
    fields = {"metrics": ["accuracy", "rank_accuracy", "pair_accuracy"], "report": False, **fields}
    found = vtbench.run(
        model="partial_oracle", tasks=list(tasks), limit=limit, output=str(output), registry=registry(), **fields
    )
    return found.path


def probe_reading(stage: str, accuracy: float, control: str = "", probe: str = "attention") -> dict[str, Any]:
    """One reading of the metric `cues`, as results.json stores it."""
    reach = {"low": accuracy - 0.02, "high": accuracy + 0.02}
    return {"stage": stage, "probe": probe, "control": control, "accuracy": accuracy, **reach}


def cue_score(value: float | None, *readings: dict[str, Any], flags: tuple[str, ...] = ()) -> dict[str, Any]:
    """A score `cue_<name>`, as results.json stores it."""
    interval = None if value is None else [value - 0.02, value + 0.02]
    detail = {"stage": "connector", "probe": "attention", "reference": 1.0, "readings": list(readings)}
    return {
        "value": value,
        "stderr": None,
        "interval": interval,
        "n": 200,
        "chance": 0.25,
        "flags": list(flags),
        "detail": detail,
        "percent": True,
        "metric": "cues",
    }


LOST_SCORE = cue_score(
    0.3, probe_reading("pixels", 0.7), probe_reading("encoder", 0.9), probe_reading("connector", 0.3)
)
HELD_SCORE = cue_score(
    0.98, probe_reading("pixels", 0.7), probe_reading("encoder", 0.98), probe_reading("connector", 0.98)
)
