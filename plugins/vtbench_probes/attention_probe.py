"""The attention probe: one query attends to the tokens, a small layer classifies their weighted mean.

For each problem and fold one probe,

    a = softmax_i(u · x_i / sqrt(r) - g |p_i - c|²),   z = [sum a_i x_i, sum a_i p_i - c],   label = W2 gelu(W1 z)

with tokens x_i (r numbers) at places p_i. The hint decides the query: a shape has its own vector u; a place is the
point c that attention prefers (otherwise the image's middle, with g starting at 0). Without a place, many
initialisations end with a query that attends to the wrong tokens, so each probe has several and keeps the one with the
lowest training loss. All probes train together: they share the tokens, and each has its own parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, gelu

from vtbench_probes.cues import GRID
from vtbench_probes.probe_data import FOLDS, Problem, Tokens, balanced, cell_middles

STEPS, BATCH, WARMUP = 250, 64, 20
STARTS = 6
RATE, DECAY = 0.04, 0.3
HIDDEN = 16
NEAR = 40.0
"""Initial g for a place hint: a token one cell of the 8 x 8 grid away gets half the weight."""
SEED = 0


@dataclass(frozen=True, slots=True)
class _Data:
    """Everything about n samples that training indexes; K = P problems x F folds x S starts."""

    x: Tensor
    """(n, m, r + 3): tokens, with their places and the square of their distance from the middle."""
    word: Tensor
    """(n, K): which of a probe's query vectors."""
    point: Tensor
    """(n, K, 2): the point c, from the image's middle."""
    label: Tensor
    """(n, K)"""
    weight: Tensor
    """(n, K): 0 in a probe's own fold, and where a sample does not have the cue."""

    @classmethod
    def of(cls, tokens: Tokens, problems: Sequence[Problem], fold_n: np.ndarray) -> _Data:
        n, m, _ = tokens.coordinates.shape
        places_m2 = torch.as_tensor(tokens.places, dtype=torch.float32) - 0.5
        extra_m3 = torch.cat([places_m2, places_m2.square().sum(dim=1, keepdim=True)], dim=1)
        x = torch.cat([torch.tensor(tokens.coordinates, dtype=torch.float32), extra_m3.expand(n, m, 3)], dim=2)
        points, words, labels, weights = [], [], [], []
        for problem in problems:
            near = problem.hint == "place"
            points.append(cell_middles(problem.hint_n, GRID) - 0.5 if near else np.zeros((n, 2)))
            words.append(np.zeros(n, dtype=int) if near else problem.hint_n)
            labels.append(np.maximum(problem.label_n, 0))
            # balanced within the training set: the label that is rarest there is the commonest in the test set
            learnt = [np.where(fold_n != fold, problem.label_n, -1) for fold in range(FOLDS)]
            weights += [balanced(label_n, len(problem.labels)) for label_n in learnt]

        def each(arrays: Sequence[np.ndarray], times: int) -> Tensor:
            return torch.as_tensor(np.stack(arrays, axis=1)).repeat_interleave(times, dim=1)

        probes = FOLDS * STARTS
        return cls(
            x, each(words, probes), each(points, probes).float(), each(labels, probes), each(weights, STARTS).float()
        )


class _Probes(torch.nn.Module):
    """K attention probes side by side."""

    def __init__(self, problems: Sequence[Problem], r: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(SEED)
        count, words = len(problems) * FOLDS * STARTS, max(max(len(p.words) for p in problems), 1)
        labels = max(len(p.labels) for p in problems)

        def drawn(*shape: int, scale: float) -> torch.nn.Parameter:
            # the same initialisation for every problem and fold: a probe must not depend on those that train beside it
            starts = torch.randn(STARTS, *shape, generator=generator) * scale
            return torch.nn.Parameter(starts.repeat(len(problems) * FOLDS, 1, 1))

        self.query = drawn(words, r, scale=1)
        self.near = torch.nn.Parameter(_each_probe([float(p.hint == "place") for p in problems]))
        self.first = drawn(r + 2, HIDDEN, scale=(r + 2) ** -0.5)
        self.first_bias = torch.nn.Parameter(torch.zeros(count, 1, HIDDEN))
        self.second = torch.nn.Parameter(torch.zeros(count, HIDDEN, labels))
        self.second_bias = torch.nn.Parameter(torch.zeros(count, 1, labels))
        absent = [[-1e4 * (i >= len(p.labels)) for i in range(labels)] for p in problems]
        self.absent = _each_probe(absent)[:, None]
        """(K, 1, labels): masks labels that a problem does not have."""

    def forward(self, data: _Data, rows: Tensor) -> Tensor:
        """Return logits (K, b, labels)."""
        x_bme, point_bK2 = data.x[rows], data.point[rows]
        r = x_bme.shape[2] - 3
        query_bKr = self.query[torch.arange(len(self.query)), data.word[rows]]
        # -g |p - c|² = -g |p|² + 2 g p · c, up to what softmax does not see: three more coordinates of the product
        g_K1 = NEAR * sqrt(r) * self.near[:, None]
        query_bKe = torch.cat([query_bKr, 2 * g_K1 * point_bK2, (-g_K1).expand(len(rows), -1, 1)], dim=2)
        share_bKm = (torch.bmm(query_bKe, x_bme.transpose(1, 2)) / sqrt(r)).softmax(dim=2)
        seen_bKe = torch.bmm(share_bKm, x_bme)
        z = torch.cat([seen_bKe[..., :r], GRID * (seen_bKe[..., r : r + 2] - point_bK2)], dim=2).transpose(0, 1)
        hidden = gelu(torch.baddbmm(self.first_bias, z, self.first))
        return torch.baddbmm(self.second_bias, hidden, self.second) + self.absent


def predict(tokens: Tokens, problems: Sequence[Problem], fold_n: np.ndarray) -> np.ndarray:
    """Return out-of-fold predictions (P, n) of label numbers; -1 where a sample does not have the cue."""
    data = _Data.of(tokens, problems, fold_n)
    probes = _Probes(problems, tokens.coordinates.shape[2])
    optimiser = torch.optim.AdamW(probes.parameters(), lr=RATE, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: min(1, (s + 1) / WARMUP) * (1 - s / STEPS))
    with torch.enable_grad():
        for rows in _batches(len(fold_n)):
            loss = _loss(probes(data, rows), data, rows).sum() / BATCH
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
    return np.where(np.stack([p.label_n for p in problems]) >= 0, _tested(probes, data, fold_n), -1)


def _loss(logits_Kbl: Tensor, data: _Data, rows: Tensor) -> Tensor:
    """Return each probe's weighted loss on some rows, (K,)."""
    loss_Kb = cross_entropy(logits_Kbl.flatten(0, 1), data.label[rows].T.flatten(), reduction="none")
    return (loss_Kb.view(len(logits_Kbl), -1) * data.weight[rows].T).sum(dim=1)


@torch.no_grad()
def _tested(probes: _Probes, data: _Data, fold_n: np.ndarray) -> np.ndarray:
    """Return out-of-fold predictions (P, n), each from the initialisation with the lowest training loss."""
    parts = torch.arange(len(fold_n)).split(512)
    logits = [(probes(data, rows), rows) for rows in parts]
    loss_PFS = torch.stack([_loss(said, data, rows) for said, rows in logits]).sum(dim=0).view(-1, FOLDS, STARTS)
    said_PFSn = torch.cat([said.argmax(dim=2) for said, _ in logits], dim=1).view(*loss_PFS.shape, -1)
    best_PF = loss_PFS.argmin(dim=2)
    said_PFn = said_PFSn.take_along_dim(best_PF[:, :, None, None], dim=2)[:, :, 0].numpy()
    tested: np.ndarray = said_PFn[:, fold_n, np.arange(len(fold_n))]
    return tested


def _each_probe(values: Sequence[object]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).repeat_interleave(FOLDS * STARTS, dim=0)


def _batches(n: int) -> Iterator[Tensor]:
    """Yield `STEPS` batches of rows, every sample as often as every other."""
    generator = torch.Generator().manual_seed(SEED)
    rows = torch.cat([torch.randperm(n, generator=generator) for _ in range(-(-STEPS * BATCH // n))])
    yield from rows.split(BATCH)[:STEPS]
