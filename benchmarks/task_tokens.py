"""The images of a task and a model's visual tokens of them, as arrays for the redundancy suite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vtbench.adapter import Adapter
from vtbench.types import Task
from vtbench_redundancy import Protocol
from vtbench_redundancy.features.colour_axes import colour_axes
from vtbench_redundancy.features.feature_encoder import EncoderFit
from vtbench_redundancy.features.patch_layout import choose_layout, cut_token_and_grid_patches
from vtbench_redundancy.scores.redundancy_score import Redundancy, score_coordinates

BATCH = 64


@dataclass(frozen=True, slots=True)
class TaskTokens:
    """The first n images of a task and the tokens that a model makes of them."""

    tokens: np.ndarray
    """(n, N, d), as they enter the language model."""
    images: np.ndarray
    """(n, H, W, 3)."""
    boxes: np.ndarray | None
    """(N, 4), see `VisualTokens.boxes`."""
    clusters: list[str]
    """n names; images of one name share a scene."""


def task_tokens(adapter: Adapter, task: Task, count: int) -> TaskTokens:
    """Return the visual tokens of the first `count` images of a task."""
    tokens, images, clusters, boxes = [], [], [], None
    for start in range(0, count, BATCH):
        samples = [task.sample(i, adapter.image_size) for i in range(start, min(start + BATCH, count))]
        (visual,) = adapter.visual_tokens(samples, ["connector"])
        tokens.append(np.asarray(visual.tokens))
        images.append(np.stack([np.asarray(sample.images[0]) for sample in samples]))
        boxes = visual.boxes
        clusters += [sample.cluster for sample in samples]
    return TaskTokens(np.concatenate(tokens), np.concatenate(images), boxes, clusters)


def coordinates(seen: TaskTokens, basis: TaskTokens, protocol: Protocol) -> dict[str, np.ndarray]:
    """Return the coordinates that a run stores of the images to be scored: `tokens/t`, `patches`, `pixels`, `cells/t`.

    Args:
        seen: the images to be scored.
        basis: those that the basis is fitted on; for a protocol that fits on the scored images, those.
        protocol: its settings.
    """
    p, count = protocol, seen.tokens.shape[1]
    layout = choose_layout(count, seen.boxes, p.m, p.subsets, p.seed)
    axes = colour_axes(p.patch_pixels, 255.0, max(1, p.r_x // p.cells)) if p.colour else None
    fit, source = EncoderFit(p, {"t": layout}, axes), basis if p.held_out else seen

    def parts(of: TaskTokens, end: int):
        for i in range(0, end, BATCH):
            rows = slice(i, min(i + BATCH, end))
            cut = cut_token_and_grid_patches(torch.as_tensor(of.images[rows]), layout.cells_m4, p)
            yield {"t": torch.as_tensor(of.tokens[rows])}, *cut

    for part in parts(source, min(len(source.tokens), p.basis_images)):
        fit.update(*part)
    encoder = fit.encoder()
    found = [encoder.encode(*part) for part in parts(seen, len(seen.tokens))]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def score(seen: TaskTokens, found: dict[str, np.ndarray], protocol: Protocol, n: int | None = None) -> Redundancy:
    """Score the first n images (all by default) from what `coordinates` returned for them."""
    rows, cells = slice(n), found.get("cells/t")
    return score_coordinates(
        found["tokens/t"][rows], found["patches"][rows], found["pixels"][rows], protocol, seen.clusters[rows],
        {"N": seen.tokens.shape[1]}, cells=None if cells is None else cells[rows],
    )  # fmt: skip
