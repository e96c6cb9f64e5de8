"""Tokens of which it is known what they hold: made by hand for single probes, from scenes for whole runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from vtbench.hookspecs import hookimpl
from vtbench.scenes.scene_settings import COLOURS, SHAPES
from vtbench.types import Output, Sample, VisualTokens
from vtbench_probes.cues import GRID
from vtbench_probes.embedding import BACKGROUND, token_contents
from vtbench_probes.probe_data import Problem, Tokens, balanced

torch.set_num_threads(1)
CELLS = GRID * GRID
LEFT, TOP = (axis.ravel() / GRID for axis in np.meshgrid(np.arange(GRID), np.arange(GRID)))
BOXES = np.stack([LEFT, TOP, LEFT + 1 / GRID, TOP + 1 / GRID], axis=1)
MIDDLES = (BOXES[:, :2] + BOXES[:, 2:]) / 2


def posed(label_n: np.ndarray, hint: str = "nothing", hint_n: np.ndarray | None = None, cue: str = "cue") -> Problem:
    """A problem over labels that are numbers already."""
    count = int(label_n.max()) + 1
    hint_n = np.zeros(len(label_n), dtype=int) if hint_n is None else hint_n
    words = tuple(f"word {i}" for i in range(int(hint_n.max()) + 1)) if hint == "shape" else ()
    labels = tuple(f"label {i}" for i in range(count))
    return Problem(cue, hint, hint_n, words, label_n, labels, balanced(label_n, count))


def tokens(coordinates_nmr: np.ndarray) -> Tokens:
    """Tokens on the grid; fewer than 64 stand on its first cells."""
    return Tokens.of(coordinates_nmr, MIDDLES[: coordinates_nmr.shape[1]])


class SceneModel:
    """Its tokens say which shape and which colour each cell shows, and nothing of textures; its answers are right."""

    capabilities = frozenset({"generate", "visual_tokens"})
    layers = ("connector", "decoder_50")
    image_size = 32

    def __init__(self) -> None:
        self.asked = 0

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        self.asked += len(samples)
        return [Output(text=sample.target) for sample in samples]

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        self.asked += len(samples)
        said = np.stack([self._says(sample) for sample in samples])
        deaf = np.zeros_like(said)
        return [VisualTokens(layer, deaf if layer == "decoder_50" else said, BOXES) for layer in layers]

    def _says(self, sample: Sample) -> np.ndarray:
        assert sample.scene is not None
        seen = token_contents(sample.scene, MIDDLES)
        code = np.zeros((CELLS, len(SHAPES) + len(COLOURS)), dtype=np.float32)
        for row, number in zip(code, seen["shows"], strict=True):
            if number != BACKGROUND:
                shape, colour, _ = seen["things"][number]
                row[SHAPES.index(shape)] = row[len(SHAPES) + list(COLOURS).index(colour)] = 1
        return code

    def describe(self) -> Mapping[str, Any]:
        return {"checkpoint": "scenes", "device": "cpu", "dtype": "float32"}

    def close(self) -> None:
        pass


class Plugin:
    """The model, as any plugin registers it; `model` is the last one that was made."""

    def __init__(self) -> None:
        self.model = SceneModel()

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Callable[[], SceneModel]]:
        def scenes() -> SceneModel:
            """Knows shapes and colours."""
            self.model = SceneModel()
            return self.model

        return {"scenes": scenes}
