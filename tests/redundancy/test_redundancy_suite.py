"""The whole suite on arrays: what changes nothing, what goes together, and tokens of half precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from redundancy_fakes import copies, white

from vtbench_redundancy import Protocol, score_arrays
from vtbench_redundancy.suite import Suite, redundancy_score

torch.set_num_threads(1)
N = 500
BY_INFORMATION = ("rs", "n_eff_16", "discarded", "carriers", "uncarried", "unique", "dead", "sink")


@pytest.fixture(scope="module")
def mixed() -> tuple[np.ndarray, np.ndarray]:
    """Of 9 places 3 are told twice, 3 once, 3 not at all; 2 tokens know nothing; in 24 dimensions, with noise."""
    generator, pixels = np.random.default_rng(0), white(N, 9, 4)
    tokens = np.concatenate([pixels[:, :6], pixels[:, :3], white(N, 2, 4, 1)], axis=1)
    code = np.linalg.qr(generator.standard_normal((24, 4)))[0].T
    return (tokens @ code + 0.05 * generator.standard_normal((N, 11, 24))).astype(np.float32), pixels


@pytest.fixture(scope="module")
def plain(mixed) -> Suite:
    tokens, pixels = mixed
    return score_arrays(tokens, patches=pixels)


def close(found: Suite, wanted: Suite, *, but: tuple[str, ...] = ()) -> None:
    """Every score differs by less than 0.01, N_eff by less than 0.01 of a token for each token."""
    values = {name: score.value for name, score in found.scores().items()}
    for name, score in wanted.scores().items():
        if name not in but and score.value is not None:
            assert values[name] == pytest.approx(score.value, abs=0.11 if name == "n_eff" else 0.01), name


def test_it_says_what_is_there(plain: Suite) -> None:
    found = {name: score.value for name, score in plain.scores().items()}
    floor, noise = Protocol().floor, Protocol().token_floor + 0.05**2  # of a coordinate of a token: what X lacks
    once, twice = (np.log((1 + floor) / (floor + noise / views)) for views in (1, 2))
    known = 1 - (3 * once + 3 * twice) / (9 * once)  # tokens that know nothing do not count
    assert found["rs"] == pytest.approx(known, abs=0.02)
    told = 6 / 9 * np.log((1 + floor) / (floor + noise)) / np.log((1 + floor) / (floor + Protocol().token_floor))
    assert found["discarded"] == pytest.approx(1 - told, abs=0.03)
    assert found["carriers"] == pytest.approx((3 * 2 + 3) / 6, abs=0.1)
    assert found["uncarried"] == pytest.approx(3 / 9, abs=0.12)
    assert found["dead"] == pytest.approx(2 / 11, abs=0.01)
    assert found["sink"] == 0
    assert 3 < plain.geometry["effective_rank_rel"].detail["raw"] < 6  # of 4 dimensions, and some noise
    scored = N - plain.redundancy.rs.detail["basis_n"]
    assert scored == 334
    assert all(score.n == scored for name, score in plain.scores().items() if name in BY_INFORMATION)
    assert plain.geometry["effective_rank_rel"].n == 256


def test_order_of_the_tokens_changes_nothing(mixed, plain: Suite) -> None:
    tokens, pixels = mixed
    order = np.random.default_rng(0).permutation(11)
    found = score_arrays(tokens[:, order], patches=pixels)
    close(found, plain)
    assert found.carriers.map_mP == pytest.approx(plain.carriers.map_mP[order], abs=0.01)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_scale_changes_nothing(mixed, plain: Suite, scale: float) -> None:
    tokens, pixels = mixed
    close(score_arrays(tokens * np.float32(scale), patches=pixels / np.float32(scale)), plain)


@pytest.mark.parametrize(
    "offset",
    [
        10,
        1000,
    ],
)
def test_an_offset_of_every_token_changes_no_information(mixed, plain: Suite, offset: float) -> None:
    """As of a few loud dimensions, the same for every token and image."""
    tokens, pixels = mixed
    loud = offset * np.random.default_rng(1).standard_normal(24).astype(np.float32)
    found = score_arrays(tokens + loud, patches=pixels).scores()
    for name in ("rs", "discarded", "carriers", "uncarried", "unique", "dead"):
        assert found[name].value == pytest.approx(plain.scores()[name].value, abs=0.01), name


def test_it_is_its_parts(mixed, plain: Suite) -> None:
    tokens, pixels = mixed
    assert redundancy_score(tokens, patches=pixels) == plain.redundancy
    names = [str(i // 2) for i in range(N)]
    clustered = score_arrays(tokens, patches=pixels, clusters=names)
    assert clustered.redundancy == redundancy_score(tokens, patches=pixels, clusters=names)
    assert {s.stderr for s in clustered.geometry.values()} != {s.stderr for s in plain.geometry.values()}


def test_what_is_given_is_left_as_it_is(mixed) -> None:
    tokens, pixels = (array.copy() for array in mixed)
    score_arrays(tokens, patches=pixels)
    np.testing.assert_array_equal(tokens, mixed[0])
    np.testing.assert_array_equal(pixels, mixed[1])


def test_copies_and_dead_tokens_of_half_precision() -> None:
    pixels = white(N, 4)
    tokens = np.concatenate([copies(pixels, 2), np.zeros((N, 2, 6), np.float32)], axis=1)
    found = score_arrays((tokens * 8e3).astype(np.float16), patches=pixels).scores()
    assert found["rs"].value == pytest.approx(0.5, abs=0.01)
    assert found["dead"].value == pytest.approx(2 / 10)
    assert found["unique"].value == pytest.approx(0, abs=0.02)
    few = ("n_eff_16",)  # under 16 tokens
    assert all(np.isfinite(score.value) for name, score in found.items() if name not in few)


@pytest.mark.parametrize("thin", [1e-2, 1e-3, 1e-4])
def test_a_nearly_singular_map_of_tokens_that_are_kept_whole_changes_no_score(thin: float) -> None:
    """Tokens of no more dimensions than are kept are not reduced, and a next linear layer undoes the map."""
    rng = np.random.default_rng(0)
    pixels = rng.standard_normal((900, 8, 4))
    tokens = np.stack([pixels[:, i] + 0.5 * pixels[:, (i + 1) % 8] @ rng.standard_normal((4, 4)) for i in range(8)], 1)
    shear = np.array([[1, 1, 0, 0], [0, thin, 0, 0], [0, 0, 1, 1], [0, 0, 0, thin]])
    protocol = Protocol(m=8, permutations=2)
    plain, sheared = (redundancy_score(z, patches=pixels, protocol=protocol) for z in (tokens, tokens @ shear))
    assert sheared.rs.value == pytest.approx(plain.rs.value, abs=0.002)
    assert sheared.discarded.value == pytest.approx(plain.discarded.value, abs=0.002)
