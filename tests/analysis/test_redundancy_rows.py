"""Differences of RS: none between equal tokens, of the right sign and size between known ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vtbench.types import Record
from vtbench_analysis.comparison.redundancy_rows import (
    patch_replicates,
    redundancy_rows,
    stored_protocol,
    token_replicates,
)
from vtbench_analysis.comparison.shared_samples import SharedSamples
from vtbench_redundancy.protocol import PROTOCOLS, Protocol, custom_protocol
from vtbench_redundancy.scores.cue_information import cue_information
from vtbench_redundancy.scores.estimates import ReferenceImages
from vtbench_redundancy.scores.redundancy_score import score_coordinates

torch.set_num_threads(1)
N, M = 400, 8
V1 = PROTOCOLS["rs-v1"]


def rows(shared: SharedSamples, metric: str, protocol: Protocol = V1):
    return redundancy_rows(shared, metric, [protocol] * len(shared.records))


def images(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((N, M, 2)).astype(np.float32)


def tokens(x: np.ndarray, copies: int, noise: float, seed: int = 1) -> np.ndarray:
    """Each token is a patch, every `copies` of them the same one, with noise of its own."""
    own = np.random.default_rng(seed).standard_normal(x.shape)
    return (x[:, np.arange(M) // copies * copies] + noise * own).astype(np.float32)[:, None]


def shared(*runs: np.ndarray, layers: bool = False) -> SharedSamples:
    x = images()
    metric = "redundancy_layers" if layers else "redundancy"

    def record(i: int, z: np.ndarray) -> Record:
        seen = {"tokens/connector": z[i], "patches": x[i], "pixels": x[i]}
        seen |= {"tokens/encoder": z[i]} if layers else {}
        pair = f"pair{i // 2}"
        return Record("t", f"t/{i}", i, "?", "yes", cluster=pair, image_sha256=(f"{i}",), scores={metric: seen})

    records = tuple(tuple(record(i, z) for i in range(N)) for z in runs)
    return SharedSamples("t", records, (N,) * len(runs), (0,) * len(runs), 0)


def by_score(found):
    return {row.score: row for row in found}


@pytest.mark.parametrize("subsets", [1, 3])
def test_replicates_are_those_behind_the_score(subsets):
    x, names = images(), [f"pair{i // 2}" for i in range(N)]
    z = np.concatenate([tokens(x, 2, 0.3, seed) for seed in range(subsets)], axis=1)
    expected = score_coordinates(z, x, x, V1, names)
    by = ReferenceImages(x, M, 2, names, V1, parts=False)
    found = {**token_replicates(z, by).values, **patch_replicates(x, by).values}
    for name, values in found.items():
        score = expected.scores()[name]
        assert float(values[0]) == pytest.approx(score.value, abs=1e-9)
        row = next(row for row in rows(_with(z, x, names), "redundancy") if row.score == name)
        assert row.values[0].interval == pytest.approx(score.interval, abs=1e-9)
    assert found.keys() == {"rs", "r_pix", "discarded"}


def _with(z, x, names) -> SharedSamples:
    records = tuple(
        Record("t", f"t/{i}", i, "?", "yes", cluster=names[i], image_sha256=(str(i),),
               scores={"redundancy": {"tokens/connector": z[i], "patches": x[i], "pixels": x[i]}})
        for i in range(N)
    )  # fmt: skip
    return SharedSamples("t", (records, records), (N, N), (0, 0), 0)


def test_equal_runs_do_not_differ():
    z = tokens(images(), 2, 0.3)
    for row in rows(shared(z, z), "redundancy"):
        (difference,) = row.differences
        assert (difference.value, difference.interval, difference.p) == (0, None, None)
        assert "identical" in difference.flags
        assert row.n == N


def test_copies_raise_rs_and_leave_r_pix():
    x = images()
    found = by_score(rows(shared(tokens(x, 1, 0.1), tokens(x, 2, 0.1)), "redundancy"))
    (difference,) = found["rs"].differences
    assert found["rs"].values[0].value == pytest.approx(0, abs=0.05)
    assert difference.interval[0] > 0.3
    assert difference.value == pytest.approx(found["rs"].values[1].value - found["rs"].values[0].value)
    assert difference.p < 1e-6
    assert found["discarded"].differences[0].interval[0] > 0.2  # half of the patches are not shown
    assert found["r_pix"].differences[0].flags == ("identical",)


def test_shared_images_make_the_difference_more_precise_than_the_values():
    x = images()
    found = by_score(rows(shared(tokens(x, 2, 0.3), tokens(x, 2, 0.32)), "redundancy"))["rs"]
    low, high = found.differences[0].interval
    own = [v.interval[1] - v.interval[0] for v in found.values]
    assert high - low < 0.8 * min(own) * 2**0.5


def test_noise_of_the_draw_alone_is_rarely_a_difference():
    x = images()
    first = tokens(x, 2, 0.5, seed=100)
    ps = [
        by_score(rows(shared(first, tokens(x, 2, 0.5, seed=seed)), "redundancy"))["rs"].differences[0].p
        for seed in range(20)
    ]
    assert sum(p < 0.05 for p in ps) <= 4  # 20 tests at 5 %: five or more happen in 3 of 1,000


def test_what_has_no_score_has_no_difference():
    x = images()
    row = by_score(rows(shared(tokens(x, 1, 0.1), np.zeros((N, 1, M, 2), np.float32)), "redundancy"))["rs"]
    assert row.values[1].flags[-1] == "constant_tokens"
    assert (row.differences[0].value, row.differences[0].p) == (None, None)


def test_other_numbers_of_tokens_do_not_compare():
    x = images()
    few = tokens(x, 1, 0.1)[:, :, :4]
    for row in rows(shared(tokens(x, 1, 0.1), few), "redundancy"):
        assert row.differences[0].flags == ("other_m",)


def test_a_run_of_other_tokens_leaves_those_that_compare():
    x = images()
    first, second = tokens(x, 1, 0.1), tokens(x, 2, 0.1)
    with_few = by_score(rows(shared(first, first[:, :, :4], second), "redundancy"))
    alone = by_score(rows(shared(first, second), "redundancy"))
    for score, row in with_few.items():
        assert row.differences[0].flags == ("other_m",)
        assert row.differences[1] == alone[score].differences[0]


def test_every_layer_is_compared():
    x = images()
    found = by_score(rows(shared(tokens(x, 1, 0.1), tokens(x, 2, 0.1), layers=True), "redundancy_layers"))
    assert found.keys() == {"rs_connector", "discarded_connector", "rs_encoder", "discarded_encoder"}
    assert found["rs_encoder"].differences[0].interval[0] > 0.3


def test_each_protocol_has_its_own_rows():
    x = images()
    of = shared(tokens(x, 1, 0.3), tokens(x, 2, 0.3))
    found = by_score(rows(of, "redundancy", Protocol()))
    assert found.keys() == {"rs", "n_eff_16", "discarded"}
    assert found["rs"].differences[0].interval[0] > 0.2


@pytest.mark.parametrize("other", [V1, custom_protocol({"floor": 0.1})])
def test_two_protocols_are_never_compared(other: Protocol):
    x = images()
    (row,) = [
        row
        for row in redundancy_rows(shared(tokens(x, 1, 0.3), tokens(x, 2, 0.3)), "redundancy", [Protocol(), other])
        if row.score == "rs"
    ]
    assert all(value.value is not None for value in row.values)
    assert (row.differences[0].value, row.differences[0].flags) == (None, ("other_protocol",))


def test_a_stored_score_says_its_protocol():
    stored = {"rs": {"metric": "redundancy:m=16", "detail": {"protocol": "rs-v2 m=16", "seed": 2}}}
    assert stored_protocol(stored, "redundancy:m=16") == custom_protocol({"m": 16, "seed": 2})


CUES = np.random.default_rng(5).standard_normal((N, 6)).astype(np.float32)


def told(noise: float, seed: int) -> np.ndarray:
    """A token for each cue, (N, 1, 6, 1)."""
    return (CUES + noise * np.random.default_rng(seed).standard_normal(CUES.shape))[:, None, :, None]


def with_cues(*runs: np.ndarray | None) -> SharedSamples:
    """Runs whose tokens are about pixels, with coordinates about the cues beside them; None: a run of before."""
    plain = shared(*[tokens(images(), 1, 0.3, seed) for seed in range(len(runs))])
    records = []
    for of_run, about in zip(plain.records, runs, strict=True):
        more = [{} if about is None else {"cues": CUES[i], "cue_tokens/connector": about[i]} for i in range(N)]
        records.append(
            tuple(
                replace(r, scores={"redundancy": {**r.scores["redundancy"], **more[i]}}) for i, r in enumerate(of_run)
            )
        )
    return replace(plain, records=tuple(records))


def test_cue_information_of_two_runs():
    runs = told(0.3, 1), told(0.8, 2)
    row = by_score(rows(with_cues(*runs), "redundancy", Protocol()))["cue_information"]
    names = [f"pair{i // 2}" for i in range(N)]
    alone = [cue_information(about, CUES, clusters=names) for about in runs]
    assert [value.value for value in row.values] == pytest.approx([score.value for score in alone])
    assert [value.interval for value in row.values] == [pytest.approx(score.interval) for score in alone]
    (difference,) = row.differences
    assert difference.value == pytest.approx(alone[1].value - alone[0].value)
    assert difference.interval[1] < 0


def test_equal_tokens_have_equal_cue_information():
    (difference,) = by_score(rows(with_cues(told(0.3, 1), told(0.3, 1)), "redundancy", Protocol()))[
        "cue_information"
    ].differences
    assert difference.value == 0


def test_a_run_of_before_has_no_row_of_cue_information():
    found = by_score(rows(with_cues(told(0.3, 1), None), "redundancy", Protocol()))
    assert "cue_information" not in found
    assert "rs" in found


def test_cue_information_of_other_numbers_of_tokens_does_not_compare():
    """Fewer tokens have more directions each."""
    row = by_score(rows(with_cues(told(0.3, 1), told(0.3, 2)[:, :, :4]), "redundancy", Protocol()))["cue_information"]
    assert row.differences[0].flags == ("other_m",)


def test_features_of_two_files_of_one_name_do_not_compare():
    found = shared(*[tokens(images(), 1, 0.3)] * 2)
    other = np.random.default_rng(3).standard_normal(CUES.shape)
    records = [
        tuple(
            replace(r, scores={"redundancy": {**r.scores["redundancy"], "target": target[i]}})
            for i, r in enumerate(of_run)
        )
        for of_run, target in zip(found.records, (CUES, other), strict=True)
    ]
    protocol = Protocol(target="features.npy")
    for row in rows(replace(found, records=tuple(records)), "redundancy", protocol):
        assert row.differences[0].flags == ("other_protocol",)
