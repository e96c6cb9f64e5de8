"""Features of arrays as the target of RS: `redundancy_score`, `score_arrays` and `vtbench score`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from redundancy_fakes import white

from vtbench.cli import status
from vtbench.errors import VtbenchError
from vtbench_redundancy import redundancy_score, score_arrays
from vtbench_redundancy.protocol import custom_protocol

torch.set_num_threads(1)


def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens that are the features twice over, and patches that have nothing to do with them."""
    features = white(600, 4, 2, seed=1)
    return np.concatenate([features, features], axis=1), white(600, 4, 6, seed=2), features.reshape(600, 8)


def test_features_of_arrays() -> None:
    tokens, patches, features = arrays()
    assert redundancy_score(tokens, patches=patches).rs.value is None
    assert redundancy_score(tokens, patches=patches, target=features).rs.value == pytest.approx(0.5, abs=0.01)
    found = score_arrays(tokens[:, :4], patches=patches, target=features).scores()
    assert "carriers" not in found
    assert found["discarded"].value == pytest.approx(0, abs=0.01)
    with pytest.raises(VtbenchError, match="tokens are of 600 images but the target has 599 rows"):
        redundancy_score(tokens, patches=patches, target=features[:599])


def test_features_of_many_dimensions_are_reduced() -> None:
    """Of 400 features 192 principal components are kept: all that there is, as they have rank 8."""
    tokens, patches, features = arrays()
    wide = features @ np.random.default_rng(0).standard_normal((8, 400)).astype(np.float32)
    assert redundancy_score(tokens, patches=patches, target=wide).rs.value == pytest.approx(0.5, abs=0.02)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, array in zip(("tokens", "patches", "features"), arrays(), strict=True):
        np.save(tmp_path / f"{name}.npy", array)
    given = [str(tmp_path / "tokens.npy"), str(tmp_path / "patches.npy"), "--patches"]
    assert status(["score", *given, "--target", str(tmp_path / "features.npy"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rs"] == pytest.approx(0.5, abs=0.01)
    assert found["protocol"]["name"] == "rs-v2 target=features.npy"
    assert status(["score", *given, "--target", "cues"]) == 2
    assert "--target cues needs scenes, which arrays have not" in capsys.readouterr().err
    assert status(["score", *given, "--target", str(tmp_path / "features.npy"), "--estimator", "ksg"]) == 2
    assert "goes with --estimator gaussian" in capsys.readouterr().err


def test_a_target_of_the_protocol_is_not_taken_for_pixels() -> None:
    """Pixels would be scored under the name of the target."""
    tokens, patches, _ = arrays()
    for target in ("cues", "clip.npy"):
        with pytest.raises(VtbenchError, match=f"the protocol has target={target}, which arrays do not bring"):
            redundancy_score(tokens, patches=patches, protocol=custom_protocol({"target": target}))


def test_rows_with_ids_belong_to_the_images_of_these_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In whatever order the rows stand, and whether the ids have the files' suffix or not."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((300, 8)).astype(np.float32)
    np.save(tmp_path / "tokens.npy", np.tile(features.reshape(300, 4, 2), (1, 2, 1)))
    (tmp_path / "images").mkdir()
    for i, image in enumerate(rng.integers(0, 256, (300, 4, 4, 3), dtype=np.uint8)):
        Image.fromarray(image).save(tmp_path / "images" / f"{i:03}.png")
    np.save(tmp_path / "images.npy", np.zeros((300, 4, 4, 3), np.uint8))
    found, order = [], rng.permutation(300)
    for rows, suffix in ((np.arange(300), ""), (order, ".png")):
        np.savez(tmp_path / "f.npz", features=features[rows], ids=np.array([f"{i:03}{suffix}" for i in rows]))
        given = ["score", str(tmp_path / "tokens.npy"), str(tmp_path / "images"), "--target", str(tmp_path / "f.npz")]
        assert status([*given, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["rs"])
    assert found[0] == found[1] == pytest.approx(0.5, abs=0.02)
    assert status([*given[:2], str(tmp_path / "images.npy"), *given[3:]]) == 2
    assert "has ids, but the images of an array have no names" in capsys.readouterr().err
    np.savez(tmp_path / "f.npz", features=features, ids=np.array([f"{i:03}" for i in range(1, 301)]))
    assert status(given) == 2
    assert "no row with the id 000.png or 000" in capsys.readouterr().err


def widened(features: np.ndarray, how: str) -> np.ndarray:
    """The same facts in more columns."""
    n = len(features)
    ones = np.ones((n, 150), np.float32)
    return {
        "constants": np.concatenate([features, ones], axis=1),
        "rounding": np.concatenate([features, ones * 1e6 + white(n, 1, 150, seed=3)[:, 0] * 0.05], axis=1),
        "tiny": features * 1e-18,
        "huge": features * 1e18,
    }[how].astype(np.float32)


@pytest.mark.parametrize("how", ["constants", "rounding", "tiny", "huge"])
def test_columns_that_say_nothing_change_nothing(how: str) -> None:
    """Neither values nor flags, with as few images as the columns that vary ask for; nor does a column's unit."""
    tokens, patches, features = (array[:120] for array in arrays())
    plain = score_arrays(tokens, patches=patches, target=features).scores()
    wide = score_arrays(tokens, patches=patches, target=widened(features, how)).scores()
    for name, score in plain.items():
        assert wide[name].value == pytest.approx(score.value, abs=1e-4), name
        assert wide[name].flags == score.flags, name


@pytest.mark.parametrize("how", ["copies", "combinations"])
def test_columns_that_others_determine_do_not_count_as_images_needed(how: str) -> None:
    """120 images are as good for 160 columns of rank 8 as for 8, and RS is what it is with many images."""
    tokens, patches, features = arrays()
    wide = {
        "copies": np.tile(features, 20),
        "combinations": features @ np.random.default_rng(4).standard_normal((8, 160)).astype(np.float32),
    }[how]
    many = redundancy_score(tokens, patches=patches, target=wide).rs
    few = score_arrays(tokens[:120], patches=patches[:120], target=wide[:120])
    assert few.redundancy.rs.flags == ("few_images",)
    assert few.redundancy.rs.value == pytest.approx(many.value, abs=0.01)
    assert few.redundancy.rs.detail["r_x"] == 8
    assert few.token_use.unique.value is not None
