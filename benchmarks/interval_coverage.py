"""Coverage and width of 95 % intervals for the difference of two models' accuracies on the same samples.

    python benchmarks/interval_coverage.py [--draws N]

Draws the per-sample differences of two models whose true difference is known: samples that only one of them has right
(the discordant share), independent or in scenes of two or five questions whose answers go together or against each
other; and graded scores (ties, F1). Prints Markdown, which docs/scoring.md quotes: for each method the least coverage
over true differences of 0, 50 % and 90 % of the largest possible one, and the mean width of the interval; then, for the
worst of these settings, how often interval and p-value contradict each other, and how often each test rejects where
there is no difference.

The candidates are written out here, for whole arrays of draws; the chosen one calls `vtbench.stats`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, stdtr, stdtrit

from vtbench.stats import Z95, difference, tango

SIZES = (30, 100, 500)
FRACTIONS = (0.0, 0.5, 0.9)
"""True differences, as parts of the discordant share."""
SEED = 0


@dataclass(frozen=True)
class Draws:
    """Statistics of R draws of n samples in G scenes, (R,) each."""

    n: int
    groups: int
    binary: bool
    value: np.ndarray
    won: np.ndarray
    """Sum of the positive differences."""
    lost: np.ndarray
    by_scene: np.ndarray
    """Variance of `value`, the samples of a scene summed."""
    independent: np.ndarray
    """Variance of `value`, all samples taken for independent."""

    @classmethod
    def of(cls, d_RGs: np.ndarray) -> Draws:
        """Summarise the differences of R draws of G scenes with s samples each."""
        _, groups, size = d_RGs.shape
        n = groups * size
        value = d_RGs.mean(axis=(1, 2))
        sums = d_RGs.sum(axis=2) - size * value[:, None]
        return cls(
            n,
            groups,
            bool(np.isin(d_RGs, (-1, 0, 1)).all()),
            value,
            np.maximum(d_RGs, 0).sum(axis=(1, 2)),
            np.maximum(-d_RGs, 0).sum(axis=(1, 2)),
            groups / (groups - 1) * np.square(sums).sum(axis=1) / n**2,
            (np.square(d_RGs).mean(axis=(1, 2)) - value**2) / n,
        )

    @property
    def independent_answers(self) -> bool:
        """Right or wrong answers to independent questions."""
        return self.binary and self.groups == self.n


Found = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Lower ends, upper ends, p-values."""


def wald(draws: Draws) -> Found:
    """Value -/+ 1.96 SE."""
    return symmetric(draws.value, np.sqrt(draws.by_scene), np.inf)


def paired_t(draws: Draws) -> Found:
    """Student's t over scenes."""
    return symmetric(draws.value, np.sqrt(draws.by_scene), draws.groups - 1)


def compare_before(draws: Draws) -> Found:
    """That of `vtbench compare` in scoring version 1.

    Bonett and Price's interval beside McNemar's exact test for independent answers, else as the frontier's.
    """
    if not draws.independent_answers:
        return frontier_before(draws)
    low, high, _ = symmetric(*adjusted(draws), np.inf)
    tail = 2 * bdtr(np.minimum(draws.won, draws.lost), np.maximum(draws.won + draws.lost, 1).astype(int), 0.5)
    return low, high, np.where(draws.won + draws.lost > 0, np.minimum(tail, 1), 1)


def frontier_before(draws: Draws) -> Found:
    """The frontier's in scoring version 1: paired t with a standard error of at least Bonett and Price's."""
    if not draws.binary:
        return paired_t(draws)
    return symmetric(draws.value, np.maximum(np.sqrt(draws.by_scene), adjusted(draws)[1]), draws.groups - 1)


def bonett_price(draws: Draws) -> Found:
    """Student's t over scenes and two more, of one sample each: one that is won and one that is lost."""
    n, groups = draws.n + 2, draws.groups + 2
    centre = draws.value * draws.n / n
    squares = draws.by_scene * draws.n**2 * (draws.groups - 1) / draws.groups
    squares = squares + draws.n**2 / draws.groups * np.square(draws.value - centre)  # about the new centre
    squares = squares + np.square(1 - centre) + np.square(1 + centre)
    return symmetric(centre, np.sqrt(groups / (groups - 1) * squares) / n, groups - 1)


def chosen(draws: Draws) -> Found:
    """McNemar's test and Tango's interval on effective numbers, as `vtbench.stats.difference`, for arrays."""
    numbers = draws.won + draws.lost
    spread = numbers / draws.n - draws.value**2
    if draws.independent_answers:
        size, z, freedom = np.full_like(spread, draws.n), Z95, np.inf
    else:
        variance = np.maximum(draws.by_scene, draws.independent)
        known = variance > 1e-15
        size = np.where(known, spread / np.where(known, variance, 1), draws.groups)
        z, freedom = float(stdtrit(draws.groups - 1, 0.975)), draws.groups - 1
    scale = size / draws.n
    low, high = tango(draws.won * scale, draws.lost * scale, size, z)
    gap = np.where(numbers > 0, draws.value * draws.n * scale / np.sqrt(np.maximum(numbers * scale, 1e-300)), 0)
    return low, high, p_value(gap, freedom)


METHODS: Mapping[str, Callable[[Draws], Found]] = {
    "Wald": wald,
    "paired t": paired_t,
    "`compare` before": compare_before,
    "frontier before": frontier_before,
    "Bonett-Price by scene": bonett_price,
    "McNemar-Tango": chosen,
}


def symmetric(centre: np.ndarray, stderr: np.ndarray, freedom: float) -> Found:
    """Centre -/+ t SE, clipped to possible differences, and its own p-value."""
    reach = (Z95 if np.isinf(freedom) else stdtrit(freedom, 0.975)) * stderr
    known = stderr > 0
    p = np.where(known, p_value(centre / np.where(known, stderr, 1), freedom), np.where(centre == 0, 1.0, 0.0))
    return np.maximum(-1, centre - reach), np.minimum(1, centre + reach), p


def p_value(statistic: np.ndarray, freedom: float) -> np.ndarray:
    """Two-sided."""
    p: np.ndarray = 2 * stdtr(freedom, -np.abs(statistic))
    return p


def adjusted(draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Centre and standard error of Bonett and Price: one more won and one more lost."""
    won, lost = (draws.won + 1) / (draws.n + 2), (draws.lost + 1) / (draws.n + 2)
    return won - lost, np.sqrt((won + lost - (won - lost) ** 2) / (draws.n + 2))


@dataclass(frozen=True)
class Setting:
    """How the differences of one scene come about."""

    name: str
    scene: int = 1
    """Samples in a scene."""
    alike: float = 0.0
    """Intraclass correlation of the differences of one scene; -1: the two of a pair go against each other."""
    graded: str = ""
    """`ties`: a difference is 1, 1/2 or 1/4; `f1`: it is continuous."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, int], discordant: float, part: float) -> np.ndarray:
        """Draw (R, G, s) differences with mean `truth`."""
        full = (*shape, self.scene)
        u = rng.random(full)
        size = self._sizes(rng, full)
        if self.alike > 0:
            shared = rng.random(full) < self.alike**0.5
            u = np.where(shared, rng.random((*shape, 1)), u)
            size = np.where(shared, self._sizes(rng, (*shape, 1)), size)
        elif self.alike < 0:
            u[..., 1::2] = 1 - u[..., ::2]
        won, lost = discordant * (1 + part) / 2, discordant * (1 - part) / 2
        drawn: np.ndarray = np.where(u < won, size, np.where(u > 1 - lost, -size, 0.0))
        return drawn

    def _sizes(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        if self.graded == "ties":
            return rng.choice([1.0, 0.5, 0.25], size=shape, p=[0.5, 0.3, 0.2])
        return rng.beta(1, 3, size=shape) if self.graded == "f1" else np.ones(shape)

    def truth(self, discordant: float, part: float) -> float:
        """The true difference."""
        return discordant * part * {"": 1.0, "ties": 0.7, "f1": 0.25}[self.graded]


SETTINGS = (
    Setting("independent"),
    Setting("scenes of 2, alike", 2, 0.5),
    Setting("scenes of 5, alike", 5, 0.3),
    Setting("pairs, opposed", 2, -1.0),
    Setting("independent, ties", graded="ties"),
    Setting("scenes of 2, F1", 2, 0.5, "f1"),
)
DISCORDANT = (0.05, 0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=20_000)
    options = parser.parse_args()
    check_chosen()
    head = ["samples", "n", "discordant, %", *METHODS]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    worst = {name: [0.0, 0.0] for name in METHODS}
    for setting in SETTINGS:
        for n in SIZES:
            for discordant in DISCORDANT:
                found = measure(setting, n, discordant, options.draws)
                cells = [f"{100 * least:.1f} ({width:.3f})" for least, width, _, _ in found.values()]
                print(f"| {setting.name} | {n} | {100 * discordant:.0f} | {' | '.join(cells)} |", flush=True)
                for name, (_, _, *shares) in found.items():
                    worst[name] = [max(pair) for pair in zip(worst[name], shares, strict=True)]
    print("\n| at most, in % of draws | " + " | ".join(METHODS) + " |\n|" + "---|" * (len(METHODS) + 1))
    for i, text in enumerate(("interval and p-value contradict each other", "rejected without a difference")):
        print(f"| {text} | {' | '.join(f'{100 * of[i]:.1f}' for of in worst.values())} |")


def measure(setting: Setting, n: int, discordant: float, draws: int) -> dict[str, tuple[float, float, float, float]]:
    """Return by method: least coverage, mean width, share of contradictions, share of false rejections."""
    found: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in METHODS}
    for part in FRACTIONS:
        rng, truth = np.random.default_rng(SEED), setting.truth(discordant, part)
        drawn = Draws.of(setting.draw(rng, (draws, n // setting.scene), discordant, part))
        for name, method in METHODS.items():
            low, high, p = method(drawn)
            held = np.mean((low <= truth + 1e-12) & (truth - 1e-12 <= high))
            against = np.mean((p < 0.05) != ((low > 0) | (high < 0)))
            found[name].append((float(held), float(np.mean(high - low)), float(against), float(np.mean(p < 0.05))))
    return {
        name: (min(r[0] for r in rows), float(np.mean([r[1] for r in rows])), max(r[2] for r in rows), rows[0][3])
        for name, rows in found.items()
    }


def check_chosen() -> None:
    """Check that the array version of the chosen method is that of `vtbench.stats`."""
    rng = np.random.default_rng(SEED)
    for setting in SETTINGS:
        d_RGs = setting.draw(rng, (20, 60 // setting.scene), 0.3, 0.5)
        low, high, p = chosen(Draws.of(d_RGs))
        names = [f"scene {i}" for i in range(d_RGs.shape[1]) for _ in range(setting.scene)]
        for i, d_n in enumerate(d_RGs.reshape(20, -1)):
            one = difference(np.maximum(d_n, 0).tolist(), np.maximum(-d_n, 0).tolist(), names)
            assert np.allclose([one.low, one.high, one.p or 0.0], [low[i], high[i], p[i]], atol=1e-9), (setting, i)


if __name__ == "__main__":
    main()
