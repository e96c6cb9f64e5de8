"""Bad input to `redundancy_score`: a clear error or a flag, never a silent number."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from redundancy_fakes import copies, white

from vtbench.errors import VtbenchError
from vtbench_redundancy import redundancy_score

torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("tokens", "kwargs", "message"),
    [
        (white(60), {}, "either images"),
        (white(60), {"images": np.zeros((60, 8, 8, 3)), "patches": white(60)}, "either images"),
        (white(60)[0], {"patches": white(60)}, r"tokens have shape \(4, 6\); wanted \(n, N, d\)"),
        (white(60), {"images": white(60)}, r"images have shape \(60, 4, 6\); wanted \(n, H, W, C\)"),
        (white(60), {"patches": white(61)}, "tokens are of 60 images but patches of 61"),
        (white(49), {"patches": white(49)}, "49 images are too few"),
        (white(60), {"patches": white(60), "boxes": np.zeros((3, 4))}, r"boxes have shape \(3, 4\); wanted \(4, 4\)"),
        (white(60), {"patches": white(60), "clusters": ["a"]}, "60 images but 1 cluster names"),
        (
            white(60),
            {"patches": white(60), "boxes": np.tile([0, 0.5, 1, 0.5], (4, 1))},
            "boxes: 4 have their right edge",
        ),
        (white(60), {"images": np.zeros((60, 3, 8, 8))}, r"images have shape \(60, 3, 8, 8\), channels first; wanted"),
        (white(60).astype(str), {"patches": white(60)}, "tokens hold <U32; wanted real numbers"),
    ],
)
def test_what_does_not_fit(tokens, kwargs, message: str) -> None:
    with pytest.raises(VtbenchError, match=message):
        redundancy_score(tokens, **kwargs)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_and_placed(bad: float) -> None:
    tokens = white(200)
    tokens[130, 2, 3] = tokens[150, 0, :2] = bad
    with pytest.raises(ValueError, match=r"tokens hold 3 values .* the first at \[130, 2, 3\]"):
        redundancy_score(tokens, patches=white(200))


def test_constant_tokens_and_images_are_flagged() -> None:
    found = redundancy_score(np.full((200, 4, 6), 0.1, np.float32), patches=white(200))
    assert (found.rs.value, found.rs.flags) == (None, ("constant_tokens",))
    found = redundancy_score(white(200), np.full((200, 8, 8, 3), 7, np.uint8))
    assert (found.rs.value, found.rs.flags) == (None, ("constant_images",))


def test_few_images_are_flagged() -> None:
    pixels = white(200)
    found = redundancy_score(copies(pixels, 2), patches=pixels)
    assert found.rs.value == pytest.approx(0.5, abs=0.02)
    assert "few_images" in found.rs.flags


def test_half_precision_does_not_overflow() -> None:
    pixels = white(400)
    tokens = copies(pixels, 2)
    loud = (tokens * 1e4).astype(np.float16)
    assert np.isfinite(loud).all()
    found = redundancy_score(loud, patches=pixels).rs.value
    assert found == pytest.approx(redundancy_score(tokens, patches=pixels).rs.value, abs=0.01)


@pytest.mark.filterwarnings("error")
def test_images_and_memory_mapped_tokens(tmp_path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (400, 8, 8, 3), dtype=np.uint8)
    cells = images.reshape(400, 2, 4, 2, 4, 3).mean(axis=(2, 4)).reshape(400, 4, 3).astype(np.float32)
    np.save(tmp_path / "tokens.npy", copies(cells, 2))
    mapped = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    boxes = np.tile([[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]], (2, 1))
    found = redundancy_score(mapped, images, boxes=boxes)
    assert found.rs.value == pytest.approx(0.5, abs=0.02)


def test_grey_images_of_one_channel_are_those_of_three() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 1), dtype=np.uint8)
    tokens = grey[:, ::2, ::2, 0].reshape(300, 8, 2) / 255.0
    one, three = (redundancy_score(tokens, np.repeat(grey, channels, axis=3)) for channels in (1, 3))
    assert one.rs.value == three.rs.value
    assert one.discarded.value == three.discarded.value


def test_importing_the_plugin_is_free() -> None:
    code = "import sys, vtbench_redundancy as v; v.vtbench_metrics(); assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
