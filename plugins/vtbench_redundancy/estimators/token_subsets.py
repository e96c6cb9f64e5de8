"""Mutual information of subsets of an image's tokens with noisy pixels: from one covariance, many choices of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor

from vtbench_redundancy.estimators.covariances import Moments, half_log_det
from vtbench_redundancy.estimators.permutation_null import NoisyPixels
from vtbench_redundancy.estimators.threads import map_in_threads

K = TypeVar("K")


def subset_information(
    z_nmr: Tensor, pixels: NoisyPixels, keep_TG: Tensor, jitter: float | Tensor, choices: Mapping[K, Tensor]
) -> dict[K, Tensor]:
    """Estimate I(Z_S ; X̃) in nats, less the mean over the null, averaged over several choices S of k tokens.

    For Gaussian variables I(Z_S ; X) = ½ log(|Σ_Z[S]| / |Σ_Z|X[S]|) (Cover and Thomas, Elements of Information Theory,
    eq. 8.4 and 2.45): both covariances are formed once for all tokens, and a choice takes their blocks.

    Args:
        z_nmr: normal scores of the tokens, rows sorted by group as those of `pixels`.
        pixels: X̃ and its null.
        keep_TG: one row a subset of the images: 1 for the groups that are in, 0 for those left out.
        jitter: added to the tokens' variances, one number or (m·r,).
        choices: (C, k) tokens, by any key.

    Returns:
        (T,) for each key, in-sample.

    >>> from vtbench_redundancy.estimators.permutation_null import noisy_pixels
    >>> x = torch.randn(4000, 2, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> pixels = noisy_pixels(x.flatten(1), (2000, 2000), floor=0.01, permutations=5, seed=0)
    >>> of = {"one": torch.tensor([[0], [1]]), "both": torch.tensor([[0, 1]])}
    >>> found = subset_information(x, pixels, torch.ones(1, 2), 1e-3, of)
    >>> round(float(found["both"] / found["one"]), 2)
    2.0
    """
    r = z_nmr.shape[2]
    places = {
        key: (tokens_Ck[..., None] * r + torch.arange(r)).flatten(1).to(z_nmr.device)
        for key, tokens_Ck in choices.items()
    }
    keep_TG = keep_TG.to(z_nmr)

    def nats(drawn: Tensor) -> Tensor:
        """Plug-in, (keys, T)."""
        moments, found = Moments(z_nmr.flatten(1), drawn, pixels.sizes), []
        for keep in keep_TG:
            cov_z, cov_x, cross = moments.covariances(keep)
            cov_z.diagonal().add_(jitter)
            explained = torch.linalg.solve_triangular(torch.linalg.cholesky(cov_x), cross.T, upper=False)
            both = torch.stack([cov_z, cov_z - explained.T @ explained])
            found.append(torch.stack([_gain(both, chosen) for chosen in places.values()]))
        return torch.stack(found, dim=1)

    draws = [*pixels.noisy, *pixels.shuffled]
    found_BkT = torch.stack(map_in_threads(nats, [(drawn,) for drawn in draws], z_nmr.device))
    real_kT = found_BkT[: len(pixels.noisy)].mean(dim=0)
    if len(pixels.shuffled):
        real_kT = real_kT - found_BkT[len(pixels.noisy) :].mean(dim=0)
    return dict(zip(places, real_kT, strict=True))


def _gain(both: Tensor, chosen_Ck: Tensor) -> Tensor:
    """Mean over choices of half the log-determinants' difference."""
    blocks = both[:, chosen_Ck[:, :, None], chosen_Ck[:, None, :]]
    before, after = half_log_det(blocks)
    return (before - after).mean()
