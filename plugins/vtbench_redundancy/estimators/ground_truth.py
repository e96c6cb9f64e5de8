"""Synthetic tokens whose true Redundancy Score is known, to validate the estimator and its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GaussianModel:
    """X ~ N(0, S); Z = A X + noise η, of m tokens with r coordinates each.

    >>> round(GaussianModel.draw(seed=1, m=8, r=2, q=16, noise=0.3).rs(floor=0.01), 4)
    0.2763
    """

    pixels_qq: np.ndarray
    """Covariance S of the pixels."""
    map_Mq: np.ndarray
    """A, of shape (m r, q)."""
    noise: float
    m: int
    r: int

    @classmethod
    def draw(cls, seed: int, m: int, r: int, q: int, noise: float, own: float = 0.3) -> GaussianModel:
        """Correlated pixels (`own` is the variance that each has for itself) under dense random maps."""
        rng = np.random.default_rng(seed)
        factors = rng.standard_normal((q, q)) / np.sqrt(q)
        return cls(factors @ factors.T + own * np.eye(q), rng.standard_normal((m * r, q)) / np.sqrt(q), noise, m, r)

    def rs(self, floor: float, token_floor: float = 0.0) -> float:
        """1 - I(Z;X̃) / Σ I(Z_i;X̃) from the covariances.

        Args:
            floor: variance of the noise on unit-variance pixels that makes X̃.
            token_floor: variance of the noise on the tokens' whitened coordinates.
        """
        spread = np.sqrt(np.diag(self.pixels_qq))
        noisy = self.pixels_qq / np.outer(spread, spread) + floor * np.eye(len(spread))
        cov_z = self.map_Mq @ self.pixels_qq @ self.map_Mq.T + self.noise**2 * np.eye(self.m * self.r)
        white = np.zeros_like(cov_z)
        for i in range(self.m):
            own = slice(i * self.r, (i + 1) * self.r)
            values, axes = np.linalg.eigh(cov_z[own, own])
            kept = values > 1e-9 * values[-1]
            white[own, own] = axes * np.where(kept, 1 / np.sqrt(np.where(kept, values, 1)), 0)
        cov_z = white.T @ cov_z @ white + token_floor * np.eye(self.m * self.r)
        cov_zx = white.T @ self.map_Mq @ self.pixels_qq / spread

        def nats(rows: slice) -> float:
            rest = noisy - cov_zx[rows].T @ np.linalg.pinv(cov_z[rows, rows], rcond=1e-12) @ cov_zx[rows]
            return 0.5 * float(np.linalg.slogdet(noisy)[1] - np.linalg.slogdet(rest)[1])

        each = [nats(slice(i * self.r, (i + 1) * self.r)) for i in range(self.m)]
        return 1 - nats(slice(None)) / sum(each)

    def sample(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw n images: tokens (n, m, r) and pixels (n, q)."""
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((n, len(self.pixels_qq))) @ np.linalg.cholesky(self.pixels_qq).T
        z = x @ self.map_Mq.T + self.noise * rng.standard_normal((n, self.m * self.r))
        return z.reshape(n, self.m, self.r), x
