"""Similarity of an image's tokens: cosines, energies and effective ranks of (n, N, d) tokens, as numpy arrays.

Sums over d are computed on the tokens' device; the results, without the dimension d, are moved to the CPU. Numbers that
decide which token is kept are rounded, so that last digits, which depend on the rest of the batch, do not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vtbench.types import VisualTokens

DIGITS = 5
"""Decimals of cosines and shares; batching changes the seventh."""


def cosines(visual: VisualTokens) -> np.ndarray:
    """Return the cosine between any two tokens of each image, (n, N, N).

    It is 1 between a token and itself, and 0 between a zero token and any other.

    >>> cosines(VisualTokens("connector", np.array([[[2.0, 0], [1, 1], [0, 0]]])))[0].round(3).tolist()
    [[1.0, 0.707, 0.0], [0.707, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    gram = _gram(_floats(visual.tokens))
    lengths = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
    found: np.ndarray = (gram / np.maximum(lengths[:, :, None] * lengths[:, None], 1e-30)).clip(-1, 1).round(DIGITS)
    found[:, range(gram.shape[1]), range(gram.shape[1])] = 1
    return found


def mean_cosine(cosine: np.ndarray) -> np.ndarray:
    """Return the mean cosine between two different tokens, (n,); 0 if there is only one.

    >>> mean_cosine(np.array([[[1, 0.5], [0.5, 1]]]))
    array([0.5])
    """
    count = cosine.shape[1]
    found: np.ndarray = (cosine.sum(axis=(1, 2)) - count) / max(count * (count - 1), 1)
    return found


def energy(visual: VisualTokens, around_mean: bool) -> np.ndarray:
    """Return each token's squared length, (n, N), or its squared distance to the image's mean token."""
    tokens = _floats(visual.tokens)
    centred = tokens - tokens.mean(1)[:, None] if around_mean else tokens
    return _array((centred * centred).sum(-1))


def effective_rank(visual: VisualTokens) -> np.ndarray:
    """Return exp(-sum p_k log p_k) with p_k = s_k / sum s of the singular values s of the tokens less their mean, (n,).

    Roy and Vetterli, "The effective rank", EUSIPCO 2007, eq. 3, as in the metric `geometry`. It is 0 if all tokens are
    equal.

    >>> effective_rank(VisualTokens("connector", np.eye(4)[None, :3])).round(3)
    array([2.])
    """
    tokens = _floats(visual.tokens)
    power = np.linalg.eigvalsh(_gram(tokens - tokens.mean(1)[:, None]))
    whole = _array((tokens * tokens).sum(-1)).sum(axis=1)[:, None]
    power[(power <= power.shape[1] * np.finfo(np.float32).eps * power.max(axis=1, keepdims=True))] = 0
    power[power.sum(axis=1) <= 1e-10 * whole[:, 0]] = 0
    values = np.sqrt(power)
    share = values / np.maximum(values.sum(axis=1, keepdims=True), 1e-30)
    found: np.ndarray = np.exp(-(share * np.log(np.maximum(share, 1e-30))).sum(axis=1)) * (share.sum(axis=1) > 0)
    return found


def _floats(tokens: Any) -> Any:
    """Return torch tokens as float32 (float64 stays), and numpy tokens as float64."""
    if hasattr(tokens, "float"):  # torch
        return tokens if "float64" in str(tokens.dtype) else tokens.float()
    return np.asarray(tokens, dtype=np.float64)


def _gram(tokens: Any) -> np.ndarray:
    return _array(tokens @ tokens.swapaxes(1, 2))


def _array(values: Any) -> np.ndarray:
    return np.array(values.detach().cpu().numpy() if hasattr(values, "cpu") else values, dtype=np.float64)
