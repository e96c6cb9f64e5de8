"""Differences of RS: none between equal tokens, of the right sign and size between known ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vtbench.types import Record
from vtbench_analysis.drops import lines as drop_lines
from vtbench_analysis.redundancy import lines
from vtbench_analysis.replicates import of_patches, of_tokens
from vtbench_analysis.sharing import Shared
from vtbench_redundancy.drop import sure_area
from vtbench_redundancy.measuring import Pictures
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.score import score_coordinates

torch.set_num_threads(1)
N, M = 400, 8


def pictures(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((N, M, 2)).astype(np.float32)


def tokens(x: np.ndarray, copies: int, noise: float, seed: int = 1) -> np.ndarray:
    """Each token is a patch, every `copies` of them the same one, with noise of its own."""
    own = np.random.default_rng(seed).standard_normal(x.shape)
    return (x[:, np.arange(M) // copies * copies] + noise * own).astype(np.float32)[:, None]


def shared(*runs: np.ndarray, layers: bool = False) -> Shared:
    x = pictures()
    metric = "redundancy_layers" if layers else "redundancy"

    def record(i: int, z: np.ndarray) -> Record:
        seen = {"tokens/connector": z[i], "patches": x[i], "pixels": x[i]}
        seen |= {"tokens/encoder": z[i]} if layers else {}
        pair = f"pair{i // 2}"
        return Record("t", f"t/{i}", i, "?", "yes", cluster=pair, image_sha256=(f"{i}",), scores={metric: seen})

    records = tuple(tuple(record(i, z) for i in range(N)) for z in runs)
    return Shared("t", records, (N,) * len(runs), (0,) * len(runs), 0)


def by_score(found):
    return {line.score: line for line in found}


@pytest.mark.parametrize("subsets", [1, 3])
def test_replicates_are_those_behind_the_score(subsets):
    x, names = pictures(), [f"pair{i // 2}" for i in range(N)]
    z = np.concatenate([tokens(x, 2, 0.3, seed) for seed in range(subsets)], axis=1)
    expected = score_coordinates(z, x, x, Protocol(), names)
    by = Pictures(x, M * 2, names, Protocol(), halves=False)
    found = {**of_tokens(z, by).values, **of_patches(x, by).values}
    for name, values in found.items():
        score = expected.scores()[name]
        assert float(values[0]) == pytest.approx(score.value, abs=1e-9)
        line = next(line for line in lines(_with(z, x, names), "redundancy") if line.score == name)
        assert line.values[0].interval == pytest.approx(score.interval, abs=1e-9)
    assert found.keys() == {"rs", "r_pix", "discarded"}


def _with(z, x, names) -> Shared:
    records = tuple(
        Record("t", f"t/{i}", i, "?", "yes", cluster=names[i], image_sha256=(str(i),),
               scores={"redundancy": {"tokens/connector": z[i], "patches": x[i], "pixels": x[i]}})
        for i in range(N)
    )  # fmt: skip
    return Shared("t", (records, records), (N, N), (0, 0), 0)


def test_equal_runs_do_not_differ():
    z = tokens(pictures(), 2, 0.3)
    for line in lines(shared(z, z), "redundancy"):
        (apart,) = line.differences
        assert (apart.value, apart.interval, apart.p) == (0, None, None)
        assert "identical" in apart.flags
        assert line.n == N


def test_copies_raise_rs_and_pictures_stay_what_they_are():
    x = pictures()
    found = by_score(lines(shared(tokens(x, 1, 0.1), tokens(x, 2, 0.1)), "redundancy"))
    (apart,) = found["rs"].differences
    assert found["rs"].values[0].value == pytest.approx(0, abs=0.05)
    assert apart.interval[0] > 0.3
    assert apart.value == pytest.approx(found["rs"].values[1].value - found["rs"].values[0].value)
    assert apart.p < 1e-6
    assert found["discarded"].differences[0].interval[0] > 0.2  # half of the patches are not shown
    assert found["r_pix"].differences[0].flags == ("identical",)


def test_the_same_pictures_make_the_difference_surer_than_the_values():
    x = pictures()
    found = by_score(lines(shared(tokens(x, 2, 0.3), tokens(x, 2, 0.32)), "redundancy"))["rs"]
    low, high = found.differences[0].interval
    own = [v.interval[1] - v.interval[0] for v in found.values]
    assert high - low < 0.8 * min(own) * 2**0.5


def test_noise_of_the_draw_alone_is_rarely_a_difference():
    x = pictures()
    first = tokens(x, 2, 0.5, seed=100)
    ps = [
        by_score(lines(shared(first, tokens(x, 2, 0.5, seed=seed)), "redundancy"))["rs"].differences[0].p
        for seed in range(20)
    ]
    assert sum(p < 0.05 for p in ps) <= 4  # 20 tests at 5 %: five or more happen in 3 of 1,000


def test_what_has_no_score_has_no_difference():
    x = pictures()
    line = by_score(lines(shared(tokens(x, 1, 0.1), np.zeros((N, 1, M, 2), np.float32)), "redundancy"))["rs"]
    assert line.values[1].flags[-1] == "constant_tokens"
    assert (line.differences[0].value, line.differences[0].p) == (None, None)


def test_other_numbers_of_tokens_do_not_compare():
    x = pictures()
    few = tokens(x, 1, 0.1)[:, :, :4]
    for line in lines(shared(tokens(x, 1, 0.1), few), "redundancy"):
        assert line.differences[0].flags == ("other_m",)


def test_a_run_of_other_tokens_leaves_those_that_compare():
    x = pictures()
    first, second = tokens(x, 1, 0.1), tokens(x, 2, 0.1)
    with_few = by_score(lines(shared(first, first[:, :, :4], second), "redundancy"))
    alone = by_score(lines(shared(first, second), "redundancy"))
    for score, line in with_few.items():
        assert line.differences[0].flags == ("other_m",)
        assert line.differences[1] == alone[score].differences[0]


def test_every_layer_is_compared():
    x = pictures()
    found = by_score(lines(shared(tokens(x, 1, 0.1), tokens(x, 2, 0.1), layers=True), "redundancy_layers"))
    assert found.keys() == {"rs_connector", "discarded_connector", "rs_encoder", "discarded_encoder"}
    assert found["rs_encoder"].differences[0].interval[0] > 0.3


def drops(keep: float, seed: int) -> tuple[Record, ...]:
    """Answers that survive the loss of half of the tokens with probability `keep`, and any other loss not."""
    rng = np.random.default_rng(seed)

    def one(i: int) -> Record:
        curve = [0.0, 0.0, 0.0, 0.0, float(rng.random() < keep)]
        seen = {"none": 0.0, **dict.fromkeys(("random", "grid", "downsample"), curve), "all": 1.0, "tokens": [0] * 7}
        return Record("t", f"t/{i}", i, "?", "yes", image_sha256=(str(i),), scores={"drop_curve": seen})

    return tuple(one(i) for i in range(300))


def test_areas_of_drop_curves_are_paired():
    both = (drops(0.3, 0), drops(0.6, 1))
    found = by_score(drop_lines(Shared("t", both, (300, 300), (0, 0), 0), "drop_curve"))
    assert found.keys() == {"drop_area", "drop_area_grid", "drop_area_downsample"}
    (apart,) = found["drop_area"].differences
    credits = [
        np.array([[o["none"], *o["random"], o["all"]] for o in (r.scores["drop_curve"] for r in run)]) for run in both
    ]
    first, other = (sure_area(c, [""] * 300) for c in credits)
    assert apart.value == pytest.approx(other.value - first.value)
    assert apart.interval[0] > 0
    unpaired = 1.96 * (first.stderr**2 + other.stderr**2) ** 0.5
    assert (apart.interval[1] - apart.interval[0]) / 2 == pytest.approx(
        unpaired, rel=0.1
    )  # these draws are independent
    blind = tuple(replace(r, scores={"drop_curve": {**r.scores["drop_curve"], "none": 1.0}}) for r in both[0])
    none = by_score(drop_lines(Shared("t", (both[1], blind), (300, 300), (0, 0), 0), "drop_curve"))["drop_area"]
    assert none.differences[0].flags == none.values[1].flags == ("no_signal",)
