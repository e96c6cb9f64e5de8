"""S1, carriers: the token x patch map of mutual information in nats, and the number of tokens that carry a patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vtbench.types import Score
from vtbench_redundancy.convergence import below_noise
from vtbench_redundancy.estimators.covariances import Moments, blocks, half_log_det
from vtbench_redundancy.estimators.image_groups import assign_groups, jackknife_subsets
from vtbench_redundancy.estimators.marginals import token_coordinates
from vtbench_redundancy.estimators.permutation_null import NoisyPixels, noisy_pixels
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol, few_images_flag
from vtbench_redundancy.scores.score_writer import ScoreWriter, rounded


@dataclass(frozen=True, slots=True)
class Carriers:
    """Mutual information of tokens with patches, and its scores."""

    map_mP: np.ndarray
    """M_ij = I(Z_i ; X̃_j) in nats, less its mean under the null."""
    noise: float
    """The 95 % quantile of the null's maximum over tokens for a patch: entries up to it count as 0."""
    count_P: np.ndarray
    """C_j = (Σ_i M_ij)² / Σ_i M_ij²: number of tokens that carry patch j; 0 where none does."""
    carriers: Score
    """The mean of C_j over the patches that any token carries."""
    uncarried: Score
    """Share of the patches that no token carries."""

    def scores(self) -> dict[str, Score]:
        """Both scores by name."""
        return {"carriers": self.carriers, "uncarried": self.uncarried}


def carriers(
    tokens: np.ndarray,
    patches: np.ndarray,
    protocol: Protocol = Protocol(),  # noqa: B008
    clusters: Sequence[str] | None = None,
    detail: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
) -> Carriers:
    """Measure the mutual information of every token with every patch of the image.

    M_ij = I(Z_i ; X̃_j), by Gaussian copula as the Redundancy Score (`gaussian.information`), and the participation
    ratio of its columns, C_j = (Σ_i M_ij)² / Σ_i M_ij². After the token-wise mutual information of arXiv 2602.06914;
    the null, the noise floor and C_j are ours.

    Args:
        tokens: (n, m, r) coordinates.
        patches: (n, P, r) coordinates of the image's parts.
        protocol: its settings.
        clusters: images of one cluster share a scene; by default each its own.
        detail: further facts to be printed with every score.
        device: where to compute.

    Returns:
        Scores are None, flagged, under 50 images, and where tokens or patches are constant.

    >>> pixels = np.random.default_rng(0).standard_normal((400, 4, 2)).astype(np.float32)
    >>> round(carriers(np.concatenate([pixels, pixels], axis=1), pixels).carriers.value, 1)
    2.0
    """
    n, m, _ = tokens.shape
    count = patches.shape[1]
    facts = dict(detail or {}) | {"protocol": protocol.name, "m": m, "n": n, "patches": count}
    groups = assign_groups(n, clusters, protocol.groups, protocol.seed) if n >= MIN_IMAGES else None
    write = ScoreWriter(n, protocol, facts, few_images_flag(n) + (groups.flags if groups else ()))
    if groups is None:
        return _missing(write, "few_images", m, count)
    z, x = (
        token_coordinates(torch.as_tensor(array[groups.order], device=device), protocol.ranks)
        for array in (tokens, patches)
    )
    for name, scores in (("constant_images", x), ("constant_tokens", z)):
        if not scores.any():
            return _missing(write, name, m, count)
    noisy = noisy_pixels(
        x.flatten(1), groups.sizes, protocol.floor, max(1, protocol.permutations), protocol.seed, groups.clusters
    )
    keep = jackknife_subsets(groups.sizes, float("inf")).to(z)
    real_TmP, null_BmP = _pairwise(z, noisy, count, keep, protocol.token_floor)
    # maximum over tokens: each of many tokens has its own chance to exceed a quantile of single entries
    noise = float(torch.quantile(null_BmP.amax(dim=1).flatten(), 0.95) - null_BmP.mean())
    signal_TmP = torch.where(real_TmP > noise, real_TmP, 0)
    sums, squares = signal_TmP.sum(dim=1), signal_TmP.square().sum(dim=1)
    carried_TP = squares > 0
    count_TP = torch.where(carried_TP, sums.square() / squares.clamp_min(1e-30), 0)
    mean_T = count_TP.sum(dim=1) / carried_TP.sum(dim=1).clamp_min(1)
    total_T = real_TmP.sum(dim=(1, 2))
    nothing = below_noise(total_T, protocol.groups, float(null_BmP.sum(dim=(1, 2)).std(correction=0)))
    details = {"noise": noise, "count": rounded(count_TP[0]), "map": rounded(real_TmP[0])}
    return Carriers(
        real_TmP[0].cpu().numpy(),
        noise,
        count_TP[0].cpu().numpy(),
        write(mean_T, low=nothing or not bool(carried_TP[0].any()), **details),
        write(1 - carried_TP.double().mean(dim=1), low=nothing),
    )


def _missing(write: ScoreWriter, flag: str, m: int, count: int) -> Carriers:
    none = write.missing(flag)
    return Carriers(np.full((m, count), np.nan), float("nan"), np.full(count, np.nan), none, none)


def _pairwise(z_nmr: Tensor, noisy: NoisyPixels, count: int, keep_TG: Tensor, jitter: float) -> tuple[Tensor, Tensor]:
    """I(Z_i ; X̃_j), less the mean of the null, (T, m, P), and the null's draws over all images (B, m, P)."""
    m, r = z_nmr.shape[1:]
    identity = torch.eye(r, dtype=z_nmr.dtype, device=z_nmr.device)

    def nats(pixels: Tensor) -> Tensor:
        """Plug-in, (T, m, P)."""
        moments, found = Moments(z_nmr.flatten(1), pixels, noisy.sizes), []
        for keep in keep_TG:
            cov_z, cov_x, cross = moments.covariances(keep)
            root_z = torch.linalg.cholesky(blocks(cov_z, m) + jitter * identity)
            root_x = torch.linalg.cholesky(blocks(cov_x, count))
            half = torch.linalg.solve_triangular(
                root_z[:, None], cross.reshape(m, r, count, -1).transpose(1, 2), upper=False
            )
            both_mPrs = torch.linalg.solve_triangular(root_x[None].mT, half, upper=True, left=False)
            found.append(-half_log_det(identity - both_mPrs @ both_mPrs.mT))
        return torch.stack(found)

    null_BTmP = torch.stack([nats(pixels) for pixels in noisy.shuffled])
    real_TmP = torch.stack([nats(pixels) for pixels in noisy.noisy]).mean(dim=0)
    return real_TmP - null_BTmP.mean(dim=0), null_BTmP[:, 0]
