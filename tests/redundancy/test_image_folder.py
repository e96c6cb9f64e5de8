"""A directory of images as an array: their order, their size, and what is no image."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from file_fakes import outcome
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vtbench_redundancy.errors import InputError
from vtbench_redundancy.inputs.image_folder import open_images


def image(seed: int, size: tuple[int, int] = (9, 7), channels: int = 3) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_images_are_sorted_by_name_and_brought_to_the_first_ones_size(tmp_path) -> None:
    image(0).save(tmp_path / "b.png")
    image(1).save(tmp_path / "a.PNG")
    image(2, (20, 11)).save(tmp_path / "c.webp", lossless=True)
    drawing = image(3).convert("RGBA")
    drawing.putalpha(Image.fromarray(np.eye(7, 9, dtype=np.uint8) * 255))
    drawing.save(tmp_path / "d.png")
    for other in ("._a.png", "notes.txt", "Thumbs.db"):
        (tmp_path / other).touch()
    (tmp_path / "e").mkdir()
    opened = open_images(tmp_path)
    wanted = [image(1), image(0), image(2, (20, 11)).resize((9, 7), Image.Resampling.BICUBIC)]
    wanted.append(Image.composite(image(3), Image.new("RGB", (9, 7), "white"), drawing.getchannel("A")))
    assert (opened.shape, opened.dtype) == ((4, 7, 9, 3), np.uint8)
    np.testing.assert_array_equal(opened[:], np.stack(wanted))
    np.testing.assert_array_equal(opened[1:3], np.stack(wanted[1:3]))


@pytest.mark.parametrize("place", ["images", "images/", "./images", "../here/images"])
def test_a_directory_may_be_relative(tmp_path, monkeypatch, place) -> None:
    (tmp_path / "here" / "images").mkdir(parents=True)
    image(0).save(tmp_path / "here" / "images" / "a.png")
    monkeypatch.chdir(tmp_path / "here")
    np.testing.assert_array_equal(open_images(place)[:], np.asarray(image(0))[None])


def test_images_may_also_be_an_array(tmp_path) -> None:
    images = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    np.savez(tmp_path / "i.npz", images=images)
    np.testing.assert_array_equal(open_images(f"{tmp_path}/i.npz:images")[:], images)
    with pytest.raises(InputError, match="no such file"):
        open_images(tmp_path / "images")


def test_only_the_images_asked_for_are_read(tmp_path) -> None:
    for index in range(3):
        image(index).save(tmp_path / f"{index}.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:80])
    opened = open_images(tmp_path)
    np.testing.assert_array_equal(opened[2:], np.asarray(image(2))[None])
    with pytest.raises(InputError, match=r"1\.png: not a whole image .*; save it again or take it out"):
        opened[:]


def test_directories_that_are_no_images(tmp_path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"no images in it; wanted files such as 0001\.png"):
        open_images(tmp_path)


def test_sixteen_bits_are_scaled(tmp_path) -> None:
    Image.fromarray(np.full((4, 4), 257 * 100, np.uint16)).save(tmp_path / "deep.png")
    assert (open_images(tmp_path)[:] == 100).all()


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow, about what it then refuses or can do without
@given(keep=st.floats(0, 1, exclude_max=True), kind=st.sampled_from(["png", "jpg", "webp", "bmp", "gif", "tif"]))
def test_a_broken_image_is_refused_or_read_as_it_stands(keep: float, kind: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"0.{kind}"
        image(0).save(path)
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
        refused = outcome(open_images, directory)
        assert refused is None or (refused.startswith(str(path)) and "\n" not in refused)
