"""Cue information against known truth: closed forms, the null, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from redundancy_fakes import copies, white

from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.scores.cue_information import cue_information

torch.set_num_threads(1)
N, CUES = 1000, 8
FLOOR, TOKEN_FLOOR = Protocol().floor, Protocol().token_floor


def nats(noise: float) -> float:
    """I(Z;Ỹ) of a token that is one cue with noise of that variance: −½ log(1 − ρ²)."""
    return -0.5 * float(np.log(1 - 1 / ((1 + noise) * (1 + FLOOR) * (1 + TOKEN_FLOOR))))


@pytest.fixture(scope="module")
def cues() -> np.ndarray:
    """Independent Gaussian columns of unequal scales, (N, CUES)."""
    return white(N, 1, CUES, seed=1)[:, 0] * np.arange(1, CUES + 1, dtype=np.float32)


def tokens_of(cues: np.ndarray, noise: float, seed: int = 2) -> np.ndarray:
    """A token for each cue, (N, 1, CUES, 1)."""
    scaled = cues / cues.std(axis=0)
    return (scaled + noise**0.5 * white(len(cues), 1, CUES, seed)[:, 0])[:, None, :, None]


@pytest.mark.parametrize("noise", [0.01, 0.3, 3.0])
def test_closed_form(cues: np.ndarray, noise: float) -> None:
    found = cue_information(tokens_of(cues, noise), cues)
    known = CUES * nats(noise)
    low, high = found.interval
    assert low - 0.02 * known < known < high + 0.02 * known
    assert found.value == pytest.approx(known, rel=0.05)
    assert found.flags == ("few_tokens",) or not found.flags


def test_what_a_linear_reader_explains_of_each_property(cues: np.ndarray) -> None:
    """Tokens with noise on half of the columns, and of the others nothing: ρ² of the first and 0."""
    known = tokens_of(cues, 0.3)
    known[:, :, 4:] = white(N, 1, 4, seed=7)[:, :, :, None]
    found = cue_information(known, cues, properties={"seen": range(4), "hidden": range(4, 8), "mixed": [3, 4]})
    share = 1 - float(np.exp(-2 * nats(0.3)))
    expected = {"seen": share, "hidden": 0.0, "mixed": 1 - (1 - share) ** 0.5}
    for name, value in expected.items():
        row = found.detail["explained"][name]
        assert row["share"] == pytest.approx(value, abs=0.03), name
        assert row["interval"][0] - 0.01 < value < row["interval"][1] + 0.01, name


def test_what_is_explained_is_of_all_tokens_where_they_are_averaged(cues: np.ndarray) -> None:
    """Four noisy copies a cell: their averages have a quarter of the noise of the measured one."""
    noisy = [tokens_of(cues, 1.2, seed) for seed in range(20, 24)]
    cells = np.mean([each[:, 0] for each in noisy], axis=0)
    found = cue_information(noisy[0], cues, detail={"N": 4 * CUES}, cells=cells, properties={"all": range(CUES)})
    share = 1 - float(np.exp(-2 * nats(0.3)))
    assert found.detail["explained"]["all"]["share"] == pytest.approx(share, abs=0.03)


def test_tokens_beside_the_images_own_cells(cues: np.ndarray) -> None:
    """The tokens are one cue, the cells two others and the same one: a third of what the cells tell."""
    cells = cues[:, :3, None] / cues.std(axis=0)[None, :3, None]
    found = cue_information(cells[:, None, :1], cues, pixels=cells).detail["of_pixels"]
    assert found["ratio"] == pytest.approx(1 / 3, abs=0.03)
    assert found["nats"] == pytest.approx(3 * nats(0), rel=0.03)


def test_a_token_that_copies_one_cue(cues: np.ndarray) -> None:
    tokens = white(N, 1, CUES, seed=5)[:, :, :, None]
    tokens[:, 0, 3, 0] = cues[:, 2]
    found = cue_information(tokens, cues)
    assert found.value == pytest.approx(nats(0), abs=0.06)
    assert found.interval[0] < nats(0) < found.interval[1]


@pytest.mark.parametrize("seed", range(4))
def test_tokens_that_know_nothing(cues: np.ndarray, seed: int) -> None:
    found = cue_information(white(N, 1, 64, seed=10 + seed).reshape(N, 1, 16, 4), cues)
    assert found.value == pytest.approx(0, abs=0.05)
    assert "low_information" in found.flags
    assert "curve" not in found.detail
    assert "available" not in found.detail


def test_tokens_that_only_together_know_a_cue(cues: np.ndarray) -> None:
    """Each says nothing, as the noise of one is the other: the sum is near 0, the information is not."""
    noise = 3 * white(N, 1, 1, seed=6)
    found = cue_information(np.concatenate([cues[:, None, :1] + noise, noise], axis=1)[:, None], cues)
    assert found.value > 1.3
    assert curve(found)[1] < 0.05


def test_invertible_maps_leave_it(cues: np.ndarray) -> None:
    tokens = tokens_of(cues, 0.3).reshape(N, 1, 2, 4)
    maps = np.random.default_rng(3).standard_normal((2, 4, 4))
    mapped = np.einsum("nsmr,mrq->nsmq", tokens, maps)
    assert cue_information(mapped, cues).value == pytest.approx(cue_information(tokens, cues).value, abs=1e-3)


def test_scales_of_the_cues_leave_it(cues: np.ndarray) -> None:
    tokens = tokens_of(cues, 0.3)
    assert cue_information(tokens, 100 * cues + 7).value == pytest.approx(cue_information(tokens, cues).value, abs=1e-4)


def test_duplication_leaves_it_and_shortens_the_curve(cues: np.ndarray) -> None:
    once = cue_information(tokens_of(cues, 0.3), cues)
    twice = cue_information(np.concatenate([tokens_of(cues, 0.3)] * 2, axis=2), cues)
    assert twice.value == pytest.approx(once.value, abs=0.01)
    assert curve(once)[4] == pytest.approx(0.5, abs=0.02)  # each token knows its own cue
    assert curve(twice)[8] > 0.65  # of 8 of 16 two may be one: 0.77 are expected of the 8 cues


def curve(score) -> dict[int, float]:
    return {row["tokens"]: row["value"] for row in score.detail["curve"]}


def test_copies_keep_everything_in_one_token(cues: np.ndarray) -> None:
    one = tokens_of(cues, 0.3).reshape(N, 1, CUES)
    found = cue_information(copies(one, 8)[:, None], cues)
    assert list(curve(found).values()) == pytest.approx([1] * len(curve(found)), abs=0.01)


def test_curve_has_intervals_and_ends_at_all_tokens(cues: np.ndarray) -> None:
    rows = cue_information(tokens_of(cues, 0.3), cues).detail["curve"]
    assert [row["tokens"] for row in rows] == [1, 2, 4, 6, 8]
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)


def test_what_is_available_is_a_share_of_all_that_could_be_known(cues: np.ndarray) -> None:
    available = cue_information(tokens_of(cues, 0.3), cues).detail["available"]
    assert available["of"] == pytest.approx(CUES * nats(0), rel=0.01)
    assert available["share"] == pytest.approx(nats(0.3) / nats(0), abs=0.02)
    assert available["interval"][0] < available["share"] < available["interval"][1]
    exact = cue_information(cues[:, None, :, None], cues).detail["available"]["share"]
    assert exact == pytest.approx(1, abs=1e-6)


def test_columns_that_never_vary_are_left_out(cues: np.ndarray) -> None:
    tokens = tokens_of(cues, 0.3)
    more = np.concatenate([cues, np.full((N, 3), 0.5, np.float32)], axis=1)
    found = cue_information(tokens, more)
    assert (found.value, found.detail["columns"]) == (cue_information(tokens, cues).value, CUES)
    assert cue_information(tokens, more[:, CUES:]).flags == ("constant_cues",)


def test_images_without_cues_are_left_out(cues: np.ndarray) -> None:
    some = cues.copy()
    some[::2] = np.nan
    found = cue_information(tokens_of(cues, 0.3), some)
    assert found.n == N // 2
    assert found.value == pytest.approx(CUES * nats(0.3), rel=0.1)
    some[60:] = np.nan
    assert (cue_information(tokens_of(cues, 0.3), some).value, cue_information(tokens_of(cues, 0.3), some).n) == (
        None,
        30,
    )


def test_of_more_tokens_than_are_measured_together_all_are_read(cues: np.ndarray) -> None:
    tokens, whole = tokens_of(cues, 0.3)[:, :, ::2], tokens_of(cues, 0.3)[:, 0]
    found = cue_information(tokens, cues, detail={"N": CUES}, cells=whole)
    assert found.value == pytest.approx(CUES * nats(0.3), rel=0.05)
    assert "subset" in cue_information(tokens, cues, detail={"N": CUES}).flags
