"""`vtbench score` on bad input: one line on standard error that says what to do and status 2, or a flag."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from redundancy_fakes import copies, white

from vtbench.cli import status

torch.set_num_threads(1)
N = 400


@pytest.fixture
def files(tmp_path: Path, monkeypatch) -> Path:
    """A directory that is the current one."""
    pixels = white(N)
    bad = copies(pixels, 2)
    bad[300, 3, 2], bad[301, 1, :2] = np.nan, np.inf
    arrays = {
        **{"tokens": copies(pixels, 2), "patches": pixels, "bad": bad, "flat": pixels[0], "one": pixels[:, :1]},
        **{"short": pixels[:390], "few": pixels[:49], "52": pixels[:52], "299": pixels[:299], "300": pixels[:300]},
        **{"constant": np.full((N, 4, 6), 0.1), "words": pixels.astype(str), "boxes": np.zeros((3, 4))},
        **{"pixel_boxes": np.full((8, 4), 7.0), "nan_boxes": np.full((8, 4), np.nan)},
        **{"turned_boxes": np.array([[0, 0, 1, 1]] * 7 + [[0.5, 0, 0.2, 1]]), "channels_first": np.ones((N, 3, 8, 8))},
        **{"grey": np.full((N, 8, 8, 3), 7, np.uint8), "overflown": np.where(pixels > 2, np.inf, pixels)},
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    whole = (tmp_path / "tokens.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


BAD: list[tuple[str, str]] = [
    ("tokens.npy short.npy --patches", "tokens are of 400 images but patches of 390"),
    ("flat.npy patches.npy --patches", r"tokens have shape \(4, 6\); wanted \(n, N, d\)"),
    ("grey.npy patches.npy --patches", r"tokens have shape \(400, 8, 8, 3\); wanted \(n, N, d\)"),
    ("one.npy patches.npy --patches", "there is one token an image"),
    (
        "bad.npy patches.npy --patches",
        r"tokens hold 3 values that are NaN or infinite, the first at \[300, 3, 2\]; leave",
    ),
    ("tokens.npy bad.npy --patches", r"patches hold 3 values that are NaN or infinite, the first at \[300, 3, 2\]"),
    ("overflown.npy patches.npy --patches", r"tokens hold 219 values that are NaN or infinite"),
    ("few.npy few.npy --patches", "49 images are too few for any score; give at least 50"),
    ("52.npy 52.npy --patches --estimator ksg", "52 images are too few for pairs of tokens; give at least 60"),
    ("cut.npy patches.npy --patches", r"cut\.npy: cut short: \d+ of \d+ bytes of values are there"),
    ("words.npy patches.npy --patches", "words.npy: holds <U.*wanted real numbers"),
    ("none.npy patches.npy --patches", "none.npy: no such file"),
    ("tokens.npy none.npy", "none.npy: no such file"),
    ("tokens.npy images", "images: no images in it"),
    ("tokens.csv patches.npy --patches", "tokens.csv: no such file"),
    ("names.txt patches.npy --patches", "unknown kind of file '.txt'; wanted .npy, .npz or .safetensors"),
    ("tokens.npy:key patches.npy --patches", "tokens.npy: a .npy file holds one array"),
    ("tokens.npy grey.npy --boxes boxes.npy", r"boxes have shape \(3, 4\); wanted \(8, 4\), one for each token"),
    ("tokens.npy grey.npy --boxes pixel_boxes.npy", "boxes hold values outside 0 to 1; wanted fractions"),
    ("tokens.npy grey.npy --boxes nan_boxes.npy", "boxes hold values outside 0 to 1"),
    ("tokens.npy grey.npy --boxes none.npy", "none.npy: no such file"),
    ("tokens.npy patches.npy", r"patches.npy: has the shape \(400, 4, 6\); --patches says that it holds patches"),
    ("tokens.npy channels_first.npy", r"images have shape \(400, 3, 8, 8\), channels first; wanted \(n, H, W, C\)"),
    ("tokens.npy grey.npy --boxes turned_boxes.npy", "boxes: 1 have their right edge not right of the left one, or"),
    ("tokens.npy patches.npy --patches --clusters names.txt", "there are 400 images but 3 cluster names"),
    ("tokens.npy patches.npy --patches --clusters none.txt", "none.txt: the clusters cannot be read"),
    ("tokens.npy patches.npy --patches --clusters tokens.npy", "tokens.npy: the clusters cannot be read"),
    ("tokens.npy patches.npy --patches --m 1", "--m must be a whole number of at least 2, not 1"),
    ("tokens.npy patches.npy --patches --r 0", "--r must be a whole number of at least 1, not 0"),
    ("tokens.npy patches.npy --patches --r two", "Invalid value for '--r': 'two' is not a valid integer"),
    ("tokens.npy patches.npy --patches --r-x 0", "--r-x must be a whole number of at least 1, not 0"),
    ("tokens.npy patches.npy --patches --floor 2", "--floor must lie above 0 and at most at 1, not 2.0"),
    ("tokens.npy patches.npy --patches --floor 0", "--floor must lie above 0"),
    ("tokens.npy patches.npy --patches --floor nan", "--floor must lie above 0"),
    ("tokens.npy patches.npy --patches --permutations 0", "--permutations must be a whole number of at least 1"),
    ("tokens.npy patches.npy --patches --seed -1", "--seed must be a whole number of at least 0, not -1"),
    ("tokens.npy patches.npy --patches --r 9 --estimator ksg", "r = 9 coordinates a token; nearest neighbours take at"),
    ("tokens.npy patches.npy --patches --estimator kraskov", "'kraskov' is not one of 'gaussian', 'ksg'"),
    ("tokens.npy patches.npy --patches --device tpu", "--device tpu cannot be used here; `cpu` can"),
    ("tokens.npy patches.npy --patches --neighbours 3", "No such option '--neighbours'"),
    ("tokens.npy", "Missing argument 'IMAGES'"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[arguments for arguments, _ in BAD])
def test_one_line_and_status_2(files: Path, capsys, arguments: str, message: str) -> None:
    assert status(["score", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("vtbench: ")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(err)


def scored(capsys, *arguments: str) -> dict:
    assert status(["score", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (("constant.npy", "patches.npy", "--patches"), "constant_tokens"),
        (("tokens.npy", "grey.npy"), "constant_images"),
    ],
)
def test_constants_are_flagged_and_have_no_value(files: Path, capsys, arguments: tuple[str, ...], flag: str) -> None:
    found = scored(capsys, *arguments)
    for name in ("rs", "n_eff_16", "discarded", "carriers", "uncarried", "unique", "dead"):
        assert (found[name], found[f"{name}_ci"]) == (None, None)
        assert found["scores"][name]["flags"] == [flag]
    assert found["flags"] == [flag]
    assert found["sink"] == 0
    assert status(["score", *arguments]) == 0
    assert flag in capsys.readouterr().out


def test_constants_have_no_neighbours_either(files: Path, capsys) -> None:
    found = scored(capsys, "constant.npy", "patches.npy", "--patches", "--estimator", "ksg")
    assert (found["rs"], found["rs_gaussian"], found["rs_difference"]) == (None, None, None)


def test_fewer_than_300_images_are_flagged(files: Path, capsys) -> None:
    few, enough = (scored(capsys, name, name, "--patches") for name in ("299.npy", "300.npy"))
    assert "few_images" in few["flags"]
    assert "few_images" not in enough["flags"]
    for name in ("rs", "carriers", "unique", "sink"):
        assert "few_images" in few["scores"][name]["flags"]
        assert "few_images" not in enough["scores"][name]["flags"]


def test_a_command_of_its_own_ends_with_status_2(files: Path) -> None:
    """Of the installed command, without a traceback."""
    command = [str(Path(sys.executable).with_name("vtbench")), "score", "few.npy", "few.npy", "--patches"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
