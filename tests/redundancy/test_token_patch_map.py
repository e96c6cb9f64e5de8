"""S1, carriers: how many tokens carry a patch, where that is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from redundancy_fakes import copies, white

from vtbench_redundancy.estimators.ground_truth import GaussianModel
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.scores.token_patch_map import carriers

torch.set_num_threads(1)
FLOOR = Protocol().floor


def nats(noise: float) -> float:
    """I(x + noise η ; x̃) of one coordinate: -½ log(1 - ρ²)."""
    return -0.5 * float(np.log(1 - 1 / ((1 + noise**2) * (1 + FLOOR))))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_copies_carry_together(count: int) -> None:
    pixels = white(600, 16, 4)
    found = carriers(copies(pixels, count), pixels)
    assert found.carriers.value == pytest.approx(count, abs=0.02)
    assert found.count_P == pytest.approx(np.full(16, count), abs=0.1)
    assert found.uncarried.value == 0
    assert found.carriers.interval[0] <= found.carriers.value <= found.carriers.interval[1]


def test_a_patch_that_nobody_carries_is_counted() -> None:
    """Half of 16, with 32 tokens of which each has its own chance to look as if it carried them.

    The threshold lets 1 patch in 20 through, and the noise in the null's mean some more (1 in 13 over 40 seeds).
    """
    shares = []
    for seed in range(20):
        pixels = white(600, 16, 2, seed)
        found = carriers(copies(pixels[:, :8], 4), pixels)
        assert found.carriers.value == pytest.approx(4, abs=0.02)
        assert found.count_P[:8] == pytest.approx(np.full(8, 4), abs=0.1)
        shares.append(found.uncarried.value)
    assert 0.44 <= np.mean(shares) <= 0.5


@pytest.mark.parametrize("permutations", [1, 5])
def test_few_draws_of_the_null_do_not_make_carriers(permutations: int) -> None:
    pixels = white(600, 16, 4)
    found = carriers(copies(pixels[:, :8], 2), pixels, Protocol(permutations=permutations))
    assert found.carriers.value == pytest.approx(2, abs=0.05)
    assert found.uncarried.value >= 0.25


def test_independent_tokens_carry_nothing() -> None:
    each = [carriers(white(400, 16, 4, 100 + seed), white(400, 16, 4, seed)) for seed in range(6)]
    for found in each:
        assert found.carriers.value is None
        assert "low_information" in found.carriers.flags
        assert found.uncarried.value is None
        assert abs(found.map_mP.mean()) < 3 * found.noise / 16
    assert np.mean([(found.count_P == 0).mean() for found in each]) >= 0.85  # 5 % of patches are carried by chance


def test_the_map_has_its_closed_form() -> None:
    """I(Z_i ; X̃_j) from covariances; an estimate of r canonical correlations has a variance of at most r / n."""
    n, patches, r = 4000, 4, 3
    model = GaussianModel.draw(seed=2, m=5, r=r, q=patches * 2, noise=0.4)
    tokens, pixels = model.sample(n, 3)
    scale = 1 / np.sqrt(np.diag(model.pixels_qq))
    cov_x = model.pixels_qq * np.outer(scale, scale) + FLOOR * np.eye(len(scale))
    cov_z = model.map_Mq @ model.pixels_qq @ model.map_Mq.T + model.noise**2 * np.eye(5 * r)
    cross = model.map_Mq @ model.pixels_qq * scale
    truth = np.empty((5, patches))
    for i in range(5):
        for j in range(patches):
            z, x = slice(i * r, (i + 1) * r), slice(2 * j, 2 * j + 2)
            explained = np.linalg.solve(cov_z[z, z], cross[z, x])
            truth[i, j] = (
                -0.5 * np.linalg.slogdet(np.eye(2) - np.linalg.solve(cov_x[x, x], cross[z, x].T @ explained))[1]
            )
    found = carriers(tokens, pixels.reshape(n, patches, 2)).map_mP
    assert truth.max() > 0.5
    assert found == pytest.approx(truth, abs=4 * (2 / n) ** 0.5)
    assert (found - truth).mean() == pytest.approx(0, abs=0.01)


def test_unequal_carriers_count_by_what_they_carry() -> None:
    """One clear and one noisy view of each patch: C = (a + b)² / (a² + b²). The interval covers that in 40 cases."""
    clear, noisy = nats(0.5), nats(2.0)
    truth, inside, values = (clear + noisy) ** 2 / (clear**2 + noisy**2), 0, []
    for seed in range(40):
        pixels, noise = white(300, 4, 2, seed), white(300, 8, 2, 1000 + seed)
        tokens = copies(pixels, 2) + noise * np.repeat([0.5, 2.0], 4)[:, None]
        found = carriers(tokens.astype(np.float32), pixels).carriers
        inside += found.interval[0] <= truth <= found.interval[1]
        values.append(found.value)
    assert truth == pytest.approx(1.2756, abs=1e-4)
    assert np.mean(values) == pytest.approx(truth, abs=0.01)
    assert inside >= 36


def test_order_and_scale_do_not_matter() -> None:
    pixels = white(400, 8, 4)
    tokens = copies(pixels, 2) + 0.5 * white(400, 16, 4, 1)
    plain = carriers(tokens, pixels)
    order = np.random.default_rng(0).permutation(16)
    moved = carriers(tokens[:, order] * 1e4, pixels)
    assert moved.map_mP == pytest.approx(plain.map_mP[order], abs=1e-6)
    assert moved.carriers.value == pytest.approx(plain.carriers.value, abs=1e-3)


def test_too_few_images_and_constants_have_no_value() -> None:
    pixels = white(400, 4, 2)
    for tokens, patches, flag in [
        (pixels[:49], pixels[:49], "few_images"),
        (np.full_like(pixels, 0.1), pixels, "constant_tokens"),
        (pixels, np.full_like(pixels, 7), "constant_images"),
    ]:
        found = carriers(tokens, patches)
        assert {name: score.value for name, score in found.scores().items()} == {"carriers": None, "uncarried": None}
        assert all(flag in score.flags for score in found.scores().values())
        assert np.isnan(found.map_mP).all()
    assert carriers(pixels[:50], pixels[:50]).carriers.value == pytest.approx(1, abs=0.1)
    assert "few_images" in carriers(pixels[:299], pixels[:299]).carriers.flags
    assert carriers(pixels[:300], pixels[:300]).carriers.flags == ()


def test_the_details_are_what_a_report_draws() -> None:
    pixels = white(300, 6, 2)
    found = carriers(copies(pixels, 2), pixels, detail={"layer": "connector"})
    detail = found.carriers.detail
    assert np.shape(detail["map"]) == (12, 6)
    assert detail["map"] == pytest.approx(found.map_mP, abs=1e-4)
    assert detail["count"] == pytest.approx(found.count_P, abs=1e-4)
    facts = {key: detail[key] for key in ("layer", "m", "n", "patches", "protocol")}
    assert facts == {"layer": "connector", "m": 12, "n": 300, "patches": 6, "protocol": "rs-v2"}


def test_scenes_of_unequal_sizes_do_not_make_carriers() -> None:
    """Tokens and images of a scene know nothing of each other, and all images of a scene are nearly one observation."""
    sizes = np.random.default_rng(9).permutation(np.arange(10, 70))
    scene = np.repeat(np.arange(len(sizes)), sizes)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        tokens, pixels = (
            (rng.standard_normal((len(sizes), 4, 3))[scene] + 0.05 * rng.standard_normal((len(scene), 4, 3))).astype(
                np.float32
            )
            for _ in range(2)
        )
        found = carriers(tokens, pixels, clusters=[str(i) for i in scene])
        assert found.carriers.value is None
        assert "low_information" in found.uncarried.flags
