"""S2, token use: the information that no other token has, tokens without information, and sinks of large norm."""

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
from vtbench_redundancy.estimators.image_groups import Groups, assign_groups, group_means, jackknife_subsets
from vtbench_redundancy.estimators.jackknife_bias import CorrectionSubsets
from vtbench_redundancy.estimators.marginals import token_coordinates
from vtbench_redundancy.estimators.permutation_null import NoisyPixels, noisy_pixels
from vtbench_redundancy.protocol import Protocol, few_images_flag
from vtbench_redundancy.scores.sample_budget import SampleBudget, varying_axes
from vtbench_redundancy.scores.score_writer import ScoreWriter, rounded

DEAD = 0.05
"""A dead token has less than this part of the average token's information."""
SINK = 6.0
"""A sink's norm is above the median by this many median absolute deviations."""


Draws = tuple[Tensor, Tensor]
"""(T, B, m) nats of the draws, and (B, T, m) of the null."""


@dataclass(frozen=True, slots=True)
class TokenUse:
    """Effect sizes in `rs-v2`; in `rs-v1` shares of tokens that are significant, which saturate at 1 and 0."""

    unique: Score
    """Σ_i I(Z_i ; X̃ | Z_−i) / Σ_i I(Z_i ; X̃): the share of a token's information that no other token has.

    `rs-v1`: the share of tokens with I(Z_i ; X̃ | Z_−i) above the null's 95 % quantile."""
    dead: Score
    """Share of the tokens with I(Z_i ; X̃) under 5 % of the average token's.

    `rs-v1`: of those with I(Z_i ; X̃) not above the null's 95 % quantile."""
    sink: Score
    """The norm, averaged over images, is above the median over tokens by 6 median absolute deviations."""

    def scores(self) -> dict[str, Score]:
        """The three by name."""
        return {"unique": self.unique, "dead": self.dead, "sink": self.sink}


def token_use(
    tokens: np.ndarray,
    pixels: np.ndarray,
    norms: np.ndarray,
    protocol: Protocol = Protocol(),  # noqa: B008
    clusters: Sequence[str] | None = None,
    detail: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
) -> TokenUse:
    """Measure what is unique to single tokens, and which tokens are dead or sinks.

    For Gaussian variables I(Z_i ; X | Z_−i) = ½ log(|Λ_i|_(Z|X) / |Λ_i|_Z), Λ_i being the token's block of the inverse
    covariance of all tokens, given X or not (Cover and Thomas, Elements of Information Theory, eq. 2.61 and 8.4, with
    the inverse of a partitioned matrix). Under the null, X̃ is permuted over images; what a token adds to nothing and to
    the other tokens has the same null distribution for Gaussian data.

    Args:
        tokens: (n, m, r) coordinates.
        pixels: (n, P, c) coordinates of the image, X.
        norms: (n, N) Euclidean norms of all tokens.
        protocol: its settings.
        clusters: images of one cluster share a scene; by default each its own.
        detail: further facts to be printed with every score.
        device: where to compute.

    Returns:
        `unique` and `dead` are None, flagged `few_images`, where the covariance of everything needs more images than
        there are (a choice of fewer tokens would change what "no other token" means), and where nothing varies.

    >>> generator = np.random.default_rng(0)
    >>> x = generator.standard_normal((600, 6, 2)).astype(np.float32)
    >>> noise = generator.standard_normal((600, 2, 2)).astype(np.float32)
    >>> z = np.concatenate([x, x[:, :2], noise], axis=1)  # 0 and 1 have copies, the last two know nothing
    >>> found = token_use(z, x, np.ones((600, 10)))
    >>> round(found.unique.value, 1), round(found.dead.value, 1)
    (0.5, 0.2)
    """
    n, m, r = tokens.shape
    pixels = varying_axes(pixels, protocol)
    budget = SampleBudget.fit(pixels, m, r, protocol)
    facts = dict(detail or {}) | {
        "protocol": protocol.name, "m": m, "n": n, "r": budget.r, "r_x": budget.q,
        "images_needed": budget.images_needed,
    }  # fmt: skip
    groups = assign_groups(n, clusters, protocol.groups, protocol.seed)
    keep = jackknife_subsets(groups.sizes, float("inf")).to(device)
    write = ScoreWriter(n, protocol, facts, few_images_flag(n) + groups.flags)
    sink = _sinks(norms, groups, keep, write)
    if len(budget.token_choices(m)) != 1 or (protocol.correction == "crossed" and n < budget.images_needed):
        none = write.missing("few_images")
        return TokenUse(none, none, sink)
    z = token_coordinates(torch.as_tensor(tokens[groups.order, :, : budget.r], device=device), protocol.ranks)
    x = budget.image(torch.as_tensor(pixels[groups.order], device=device))
    for name, scores in (("constant_images", x), ("constant_tokens", z)):
        if not scores.any():
            return TokenUse(write.missing(name), write.missing(name), sink)
    noisy = noisy_pixels(x, groups.sizes, protocol.floor, max(1, protocol.permutations), protocol.seed, groups.clusters)
    added, own = _added_and_own(z, noisy, keep, protocol.token_floor)
    if protocol.correction == "jackknife":
        return TokenUse(*_effect_sizes(added, own, write), sink)
    # between copies there is only the jitter, for the null as well; this is what pixels can tell of that at most
    least = r * x.shape[1] * protocol.token_floor / (4 * protocol.floor)
    return TokenUse(*_significant_shares(added, own, least, write), sink)


def _effect_sizes(added: Draws, own: Draws, write: ScoreWriter) -> tuple[Score, Score]:
    """`unique` and `dead` of `rs-v2`."""
    added_Tm, own_Tm = (real_TBm.mean(dim=1) - null_BTm.mean(dim=0) for real_TBm, null_BTm in (added, own))
    groups = write.protocol.groups
    whole = CorrectionSubsets(torch.ones(1, groups), 0.0)
    added_T, own_T = (whole.corrected(nats_Tm.sum(dim=1)) for nats_Tm in (added_Tm, own_Tm))
    low = below_noise(own_T, groups, float(own[1][:, 0].sum(dim=1).std(correction=0)))
    dead_Tm = own_Tm < DEAD * own_Tm.mean(dim=1, keepdim=True)
    dead_T = torch.ones_like(own_T) if low else dead_Tm.double().mean(dim=1)
    unique = write(added_T / own_T, low, nats=rounded(added_Tm[0]))
    return unique, write(dead_T, nats=rounded(own_Tm[0]))


def _significant_shares(added: Draws, own: Draws, least: float, write: ScoreWriter) -> tuple[Score, Score]:
    """`unique` and `dead` of `rs-v1`."""
    shares = []
    for real_TBm, null_BTm in (added, own):
        values_Tm = real_TBm.mean(dim=1)
        noise = max(least, float(torch.quantile(null_BTm[:, 0].flatten(), 0.95)))
        shares.append((values_Tm > noise, values_Tm[0], noise))
    (unique, nats_unique, noise_unique), (alive, nats_own, noise_own) = shares
    return (
        write(unique.double().mean(dim=1), nats=rounded(nats_unique), noise=noise_unique),
        write(1 - alive.double().mean(dim=1), nats=rounded(nats_own), noise=noise_own),
    )


def _sinks(norms: np.ndarray, groups: Groups, keep_TG: Tensor, write: ScoreWriter) -> Score:
    mean_TN = group_means(norms, groups, keep_TG)
    median = mean_TN.quantile(0.5, dim=1, keepdim=True)
    spread = (mean_TN - median).abs().quantile(0.5, dim=1, keepdim=True)
    # equal norms, as after a norm layer, have no spread but rounding
    sink_TN = mean_TN > median + torch.maximum(SINK * spread, 1e-3 * median)
    return write(sink_TN.double().mean(dim=1), tokens=sink_TN[0].nonzero().flatten().tolist())


def _added_and_own(z_nmr: Tensor, noisy: NoisyPixels, keep_TG: Tensor, jitter: float) -> tuple[Draws, Draws]:
    """Plug-in I(Z_i ; X̃ | Z_−i) and I(Z_i ; X̃)."""
    m = z_nmr.shape[1]

    def added(cov_z: Tensor) -> Tensor:
        """Half the log-determinant of each token's block of the inverse."""
        return half_log_det(blocks(torch.cholesky_inverse(torch.linalg.cholesky(cov_z)), m))

    def without_pixels(keep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The tokens' covariance, with what both informations take from it: the same for every draw of the pixels."""
        cov_z = of_first.covariances(keep)[0]
        cov_z.diagonal().add_(jitter)
        return cov_z, added(cov_z), half_log_det(blocks(cov_z, m))

    of_first = Moments(z_nmr.flatten(1), noisy.noisy[0], noisy.sizes)
    before = [without_pixels(keep) for keep in keep_TG]

    def nats(pixels: Tensor) -> Tensor:
        """Both, (2, T, m)."""
        moments, found = Moments(z_nmr.flatten(1), pixels, noisy.sizes), []
        for keep, (cov_z, added_before, own_before) in zip(keep_TG, before, strict=True):
            _, cov_x, cross = moments.covariances(keep)
            explained = torch.linalg.solve_triangular(torch.linalg.cholesky(cov_x), cross.T, upper=False)
            left = cov_z - explained.T @ explained
            found.append(torch.stack([added(left) - added_before, own_before - half_log_det(blocks(left, m))]))
        return torch.stack(found, dim=1)

    real_2TBm = torch.stack([nats(pixels) for pixels in noisy.noisy], dim=2)
    null_2BTm = torch.stack([nats(pixels) for pixels in noisy.shuffled], dim=1)
    return (real_2TBm[0], null_2BTm[0]), (real_2TBm[1], null_2BTm[1])
