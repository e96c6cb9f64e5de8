"""S3, geometry: matrices whose numbers are known, what changes nothing, and random tokens as the zero point."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vtbench_redundancy.features.token_geometry import MEASURES, random_tokens, token_geometry
from vtbench_redundancy.scores.geometry_scores import geometry_scores

torch.set_num_threads(1)


def measured(tokens: np.ndarray | torch.Tensor) -> dict[str, float]:
    """The numbers of one image's tokens (N, d)."""
    return dict(zip(MEASURES, token_geometry(torch.as_tensor(tokens)[None])[0].tolist(), strict=True))


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_spectrum(values: list[float], count: int, width: int) -> np.ndarray:
    """Tokens of mean 0 with these singular values."""
    generator, k = np.random.default_rng(0), len(values)
    centred = generator.standard_normal((count, k))
    left = np.linalg.qr(centred - centred.mean(axis=0))[0]
    return left @ np.diag(values) @ np.linalg.qr(generator.standard_normal((width, k)))[0].T


RAMP = np.arange(1.0, 9)[:, None] * np.array([3.0, 0, 4])


@pytest.mark.parametrize(
    ("tokens", "ranks", "cosine", "gini"),
    [
        pytest.param(np.eye(8), 7, 0, 0, id="orthonormal: the mean takes one direction"),
        pytest.param(np.vstack([np.eye(5), -np.eye(5)]), 5, -1 / 9, 0, id="both ends of five axes"),
        pytest.param(np.repeat(np.eye(6), 4, axis=0), 5, 3 / 23, 0, id="six orthogonal blocks of four copies"),
        pytest.param(RAMP, 1, 1, 7 / 24, id="one direction, lengths 1 to 8: Gini (n - 1) / 3n"),
        pytest.param(np.vstack([RAMP, -RAMP]), 1, -1 / 15, 7 / 24, id="one line, both ways"),
        pytest.param(np.tile([3.0, 1, 4], (9, 1)), 0, 1, 0, id="the same token nine times"),
        pytest.param(np.eye(1, 4).T @ np.eye(1, 7), 1, 0, 3 / 4, id="one token among zeros"),
        pytest.param(np.zeros((5, 3)), 0, 0, 0, id="zeros"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrices_whose_numbers_are_known(tokens, ranks: float, cosine: float, gini: float, dtype: type) -> None:
    """All three ranks agree where the spectrum is flat."""
    found = measured(tokens.astype(dtype))
    assert found == pytest.approx(dict(zip(MEASURES, [ranks] * 3 + [cosine, gini], strict=True)), abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.floats(0.05, 1), min_size=1, max_size=6), wide=st.booleans())
def test_any_spectrum(values: list[float], wide: bool) -> None:
    """The definitions, on singular values that are known, with more tokens than dimensions and the other way round."""
    found = measured(with_spectrum(values, *((9, 30) if wide else (30, 9))))
    s = np.array(values)
    p = s / s.sum()
    assert found["effective_rank"] == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-4)
    assert found["participation"] == pytest.approx((s**2).sum() ** 2 / (s**4).sum(), rel=1e-4)
    assert found["stable_rank"] == pytest.approx((s**2).sum() / s.max() ** 2, rel=1e-4)


@pytest.mark.parametrize("shape", [(24, 10), (10, 24)])
def test_rotation_scale_and_order_change_nothing(shape: tuple[int, int]) -> None:
    tokens = 0.3 + random(*shape) * torch.linspace(1, 3, shape[0])[:, None]
    plain = measured(tokens)
    rotation = torch.linalg.qr(random(shape[1], shape[1], seed=1))[0]
    for changed in (tokens @ rotation, 1e6 * tokens, 1e-6 * tokens, tokens.flip(0), -tokens):
        assert measured(changed) == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-20, 1e20, 1e37])
def test_scale_neither_overflows_nor_vanishes(scale: float) -> None:
    tokens = random(24, 10)
    assert measured((tokens * scale).float()) == pytest.approx(measured(tokens), rel=1e-4)


def test_half_precision_does_not_overflow() -> None:
    """Norms of 60,000 have squares far beyond what half precision holds."""
    tokens = random(24, 10)
    tokens = tokens * 6e4 / tokens.abs().max()
    half = tokens.half()
    assert half.isfinite().all()
    assert not half.norm(dim=1).square().isfinite().all()
    assert measured(half) == pytest.approx(measured(tokens), rel=2e-3)
    assert measured(tokens.bfloat16()) == pytest.approx(measured(tokens), rel=2e-2)


def test_one_loud_token_of_ten_times_the_norm_does_not_drown_the_others_in_rounding() -> None:
    tokens = random(64, 128)
    tokens[0] *= 10
    assert measured(tokens.float()) == pytest.approx(measured(tokens), rel=1e-4)


def test_images_do_not_mix() -> None:
    tokens = random(5, 12, 7)
    alone = torch.cat([token_geometry(one[None]) for one in tokens])
    assert token_geometry(tokens).numpy() == pytest.approx(alone.numpy(), rel=1e-6)


@pytest.mark.parametrize(("count", "width", "share"), [(576, 4096, 0.88), (576, 256, 0.31), (64, 160, 0.71)])
def test_random_tokens_are_not_of_full_rank(count: int, width: int, share: float) -> None:
    """Of Gaussian tokens the participation ratio is N d / (N + d), for large N and d."""
    null = dict(zip(MEASURES, random_tokens(count, width), strict=True))
    assert share == pytest.approx(width / (count + width), abs=0.005)
    assert null["participation"] / count == pytest.approx(share, abs=0.012)
    assert null["cosine"] == pytest.approx(0, abs=3e-3)
    assert null["norm_gini"] == pytest.approx((2 * np.pi * width) ** -0.5, rel=0.2)  # of a chi distribution


def test_random_tokens_score_as_random_tokens() -> None:
    """Within four standard errors of the null, which is the mean of 8 draws."""
    errors = {"effective_rank_rel": 0.001, "participation_rel": 0.005, "stable_rank_rel": 0.016}
    errors |= {"cosine_excess": 0.0009, "norm_gini_excess": 0.0013}
    found = geometry_scores(token_geometry(random(100, 48, 96, seed=5)).numpy(), (48, 96), detail={"layer": "encoder"})
    assert set(found) == set(errors)
    for name, score in found.items():
        relative = name.endswith("_rel")
        assert score.value == pytest.approx(1 if relative else 0, abs=4 * errors[name])
        raw, null = score.detail["raw"], score.detail["null"]
        assert score.value == pytest.approx(raw / null if relative else raw - null)
        assert score.interval[0] <= score.value <= score.interval[1]
        facts = {key: score.detail[key] for key in ("N", "d", "layer")}
        assert (score.n, score.percent, facts) == (100, False, {"N": 48, "d": 96, "layer": "encoder"})


def test_repeated_tokens_score_below_random_ones() -> None:
    """Every token four times over a common direction: a quarter of the ranks, and all cosines near 1."""
    tokens = 5 + random(100, 12, 96).repeat(1, 4, 1)
    found = geometry_scores(token_geometry(tokens).numpy(), (48, 96))
    assert found["effective_rank_rel"].value < 0.3
    assert found["cosine_excess"].value > 0.9


def test_too_few_images_have_no_value() -> None:
    found = geometry_scores(token_geometry(random(49, 8, 6)).numpy(), (8, 6))
    assert {(score.value, score.flags, score.n) for score in found.values()} == {(None, ("few_images",), 49)}
    assert all(s.value is not None for s in geometry_scores(token_geometry(random(50, 8, 6)).numpy(), (8, 6)).values())
    assert all(s.value is None for s in geometry_scores(np.empty((0, 5)), (0, 0)).values())
