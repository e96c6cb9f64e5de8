"""`vtbench score`: what it prints of arrays in every kind of file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from redundancy_fakes import copies, white
from safetensors.numpy import save_file

from vtbench.cli import status
from vtbench.console.formatting import interval_text
from vtbench_redundancy import Protocol, score_arrays
from vtbench_redundancy.scores.token_pairs import pair_redundancy
from vtbench_redundancy.suite import redundancy_score

torch.set_num_threads(1)
N = 400
SCORES = [
    *("rs", "n_eff_16", "discarded", "carriers", "uncarried", "unique", "dead", "sink"),
    *("effective_rank_rel", "participation_rel", "stable_rank_rel", "cosine_excess", "norm_gini_excess"),
]
PIXELS = white(N, 8, 4, seed=1)
TOKENS = copies(PIXELS, 2)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    np.save(tmp_path / "tokens.npy", TOKENS)
    np.save(tmp_path / "patches.npy", PIXELS)
    np.savez(tmp_path / "both.npz", tokens=TOKENS, patches=PIXELS)
    save_file({"tokens": TOKENS}, tmp_path / "tokens.safetensors")
    return tmp_path


@pytest.fixture
def scored(capsys: pytest.CaptureFixture[str]):
    """A function that returns the JSON document of a command."""

    def command(*arguments: object) -> dict:
        given = [*map(str, arguments), *["--patches"] * ("patches" in str(arguments[1]))]
        code = status(["score", *given, "--device", "cpu", "--json"])
        out, err = capsys.readouterr()
        assert (code, err, out.count("\n")) == (0, "", 1)
        return json.loads(out)

    return command


def test_the_table(files: Path, capsys) -> None:
    assert status(["score", str(files / "tokens.npy"), str(files / "patches.npy"), "--patches"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    assert [name for name in lines if name in SCORES] == SCORES
    rs = score_arrays(TOKENS, patches=PIXELS).redundancy.rs
    interval = interval_text(rs.interval, percent=False).split()
    assert lines["rs"] == [f"{rs.value:.3f}" + "*" * bool(rs.flags), *interval, "400"]
    flagged = {flag for score in score_arrays(TOKENS, patches=PIXELS).scores().values() for flag in score.flags}
    assert all(f"* {flag}" in out for flag in flagged)
    assert lines["dead"][0] == "0.000"
    assert lines["score"] == ["value", "95", "%", "images"]


def test_the_document(files: Path, scored) -> None:
    found = scored(files / "tokens.npy", files / "patches.npy")
    assert set(found) == {*SCORES, *(f"{name}_ci" for name in SCORES), "flags", "protocol", "scores"}
    assert found["rs"] == pytest.approx(0.5, abs=0.01)
    assert found["rs_ci"][0] <= found["rs"] <= found["rs_ci"][1]
    more = found["scores"]["rs"]["detail"]
    assert more["r_pix"]["value"] == pytest.approx(0, abs=0.01)
    assert more["delta_rs"]["value"] == pytest.approx(found["rs"] - more["r_pix"]["value"])
    assert more["n_eff"]["value"] == found["n_eff_16"] == pytest.approx(8, abs=0.1)  # there are 16 tokens
    assert found["discarded"] == pytest.approx(0, abs=0.01)
    assert found["carriers"] == pytest.approx(2, abs=0.05)
    assert [found[name] for name in ("uncarried", "dead", "sink")] == [0, 0, 0]
    assert found["unique"] == pytest.approx(0, abs=0.02)  # of two copies, each read at the token floor
    assert 0 < found["effective_rank_rel"] < 1.2
    assert {key: found["protocol"][key] for key in ("name", "m", "r", "r_x", "floor", "permutations", "seed")} == {
        **{"name": "rs-v2", "m": 64, "r": None, "r_x": 192, "floor": 0.01, "permutations": 5, "seed": 0},
    }
    detail = found["scores"]["rs"]["detail"]
    assert {key: detail[key] for key in ("N", "d", "m", "n", "protocol")} == {
        **{"N": 16, "d": 4, "m": 16, "n": N, "protocol": "rs-v2"},
    }


@pytest.mark.parametrize("tokens", ["tokens.npy", "both.npz:tokens", "tokens.safetensors", "tokens.safetensors:tokens"])
@pytest.mark.parametrize("patches", ["patches.npy", "both.npz:patches"])
def test_every_kind_of_file_says_the_same_as_the_python_function(files, scored, tokens: str, patches: str) -> None:
    found = scored(files / tokens, files / patches)
    for name, score in score_arrays(TOKENS, patches=PIXELS).scores().items():
        assert found[name] == score.value
        assert found["scores"][name]["stderr"] == score.stderr


def test_settings_reach_the_protocol_and_its_name(files: Path, scored) -> None:
    settings = {"m": 12, "r": 2, "r_x": 8, "floor": 0.05, "permutations": 3, "seed": 5}
    flags = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", value)]
    found = scored(files / "tokens.npy", files / "patches.npy", *flags)
    assert {name: found["protocol"][name] for name in settings} == settings
    assert found["protocol"]["name"] == "rs-v2 m=12 r=2 r_x=8 floor=0.05 permutations=3"
    assert found["scores"]["rs"]["detail"]["protocol"] == found["protocol"]["name"]
    protocol = Protocol(**settings)
    assert found["rs"] == redundancy_score(TOKENS, patches=PIXELS, protocol=protocol).rs.value
    backwards = [part for i in range(len(flags), 0, -2) for part in flags[i - 2 : i]]
    assert scored(files / "tokens.npy", files / "patches.npy", *backwards) == found
    assert scored(files / "tokens.npy", files / "patches.npy", "--m", 64)["protocol"]["name"] == "rs-v2"


def test_neighbours(files: Path, scored) -> None:
    found = scored(files / "tokens.npy", files / "patches.npy", "--estimator", "ksg", "--m", 2)
    assert set(found) == {"rs", "rs_gaussian", "rs_difference", "flags", "protocol", "scores"} | {
        f"{name}_ci" for name in ("rs", "rs_gaussian", "rs_difference")
    }
    protocol = Protocol(m=2, r=1, name="rs-v2 m=2 r=1")
    assert found["protocol"]["name"] == protocol.name
    assert found["rs"] == pair_redundancy(TOKENS, patches=PIXELS, protocol=protocol).rs.value


def image_files(directory: Path) -> np.ndarray:
    """900 images of 2 x 2 cells, and their cells as tokens, twice."""
    cells = np.random.default_rng(0).integers(0, 256, (900, 2, 2, 3), dtype=np.uint8)
    directory.mkdir()
    for i, cell in enumerate(cells):
        Image.fromarray(cell).resize((8, 8), Image.Resampling.NEAREST).save(directory / f"{i:04}.png")
    return copies(cells.reshape(900, 4, 3), 2)


def test_a_directory_of_images_with_boxes(tmp_path: Path, scored) -> None:
    """Without boxes, eight tokens are taken for three rows, which are not theirs: more tokens carry a part."""
    tokens, half = image_files(tmp_path / "images"), np.array([[0, 0], [0.5, 0], [0, 0.5], [0.5, 0.5]])
    boxes = np.tile(np.hstack([half, half + 0.5]), (2, 1))
    np.save(tmp_path / "tokens.npy", tokens)
    np.save(tmp_path / "boxes.npy", boxes)
    boxed, few = ("--boxes", tmp_path / "boxes.npy"), ("--permutations", 2)  # of so many images two draws are enough
    found = scored(tmp_path / "tokens.npy", tmp_path / "images", *boxed, *few)
    # each of the four colours is in 16 of the 64 cells of X, whose noise averages; copies average the tokens' floor
    once, twice = (-np.log(Protocol().floor / 16 + Protocol().token_floor / views) for views in (1, 2))
    assert found["rs"] == pytest.approx(1 - twice / (2 * once), abs=0.02)
    assert found["scores"]["rs"]["detail"]["r_pix"]["value"] == pytest.approx(1 - twice / (2 * once), abs=0.02)
    images = np.stack([np.asarray(Image.open(path)) for path in sorted((tmp_path / "images").iterdir())])
    np.save(tmp_path / "images.npy", images)
    assert scored(tmp_path / "tokens.npy", tmp_path / "images.npy", *boxed, *few) == found
    assert found["rs"] == redundancy_score(tokens, images, boxes=boxes, protocol=Protocol(permutations=2)).rs.value
    carried = [
        scored(tmp_path / "tokens.npy", tmp_path / "images.npy", *more, *few)["scores"]["carriers"]["value"]
        for more in (boxed, ())
    ]
    assert carried[0] == pytest.approx(2, abs=0.1)
    assert carried[1] > 2.5  # parts that lie across two cells


def test_clusters(files: Path, scored) -> None:
    names = [f"scene {i // 2}" for i in range(N)]
    (files / "clusters.txt").write_text("\n".join(names) + "\n")
    found = scored(files / "tokens.npy", files / "patches.npy", "--clusters", files / "clusters.txt")
    wanted = score_arrays(TOKENS, patches=PIXELS, clusters=names).scores()
    assert {name: found[name] for name in SCORES} == {name: wanted[name].value for name in SCORES}
    (files / "clusters.txt").write_text("one\n" * N)
    assert (
        "few_clusters"
        in scored(files / "tokens.npy", files / "patches.npy", "--clusters", files / "clusters.txt")["flags"]
    )


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [("float16", 1e4), ("float32", 1e30), ("float64", 1e150), ("int16", 5e3), (">f4", 25), ("longdouble", 1e100)],
)
def test_numbers_of_any_kind_and_size(files: Path, scored, dtype: str, scale: float) -> None:
    """Squares of the first two are more than such a number holds."""
    loud = (TOKENS.astype(np.float64) * scale).astype(dtype)
    np.save(files / "loud.npy", loud)
    found = scored(files / "loud.npy", files / "patches.npy")
    for name, score in score_arrays(TOKENS, patches=PIXELS).scores().items():
        assert found[name] == pytest.approx(score.value, abs=0.01), name


def test_bytes(files: Path, scored) -> None:
    """With an offset, which is another geometry, but no other information."""
    np.save(files / "bytes.npy", (TOKENS * 25 + 127).clip(0, 255).astype(np.uint8))
    found, plain = scored(files / "bytes.npy", files / "patches.npy"), score_arrays(TOKENS, patches=PIXELS).scores()
    for name in ("rs", "n_eff_16", "discarded", "carriers", "unique", "dead"):
        assert found[name] == pytest.approx(plain[name].value, abs=0.01), name
