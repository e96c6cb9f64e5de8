"""Images: whatever a viewer shows is what a model sees, and what cannot be opened is one line."""

from __future__ import annotations

import base64
import io
import os
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from mutated_images import mutated_images
from PIL import Image, ImageDraw, ImageOps

from vtbench.errors import SampleError
from vtbench.task.images import open_image


def stored(image: Image.Image, kind: str = "PNG", **settings: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def pixels(source: object, folder: Path = Path()) -> np.ndarray:
    opened = open_image(source, folder)
    assert opened.image.mode == "RGB"
    return np.asarray(opened.image)


def refused(source: object, folder: Path = Path()) -> str:
    with pytest.raises(SampleError) as caught:
        open_image(source, folder)
    line = str(caught.value)
    assert "\n" not in line
    assert " at 0x" not in line, "an address of this process says nothing to a user"
    assert len(line) < 600
    return line


def noise(width: int = 30, height: int = 20) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_exif_orientation_is_undone(orientation: int, kind: str) -> None:
    image, exif = noise(), Image.Exif()
    exif[0x0112] = orientation
    content = stored(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    turns = [
        lambda p: p,
        np.fliplr,
        lambda p: np.rot90(p, 2),
        np.flipud,
        lambda p: p.transpose(1, 0, 2),
        lambda p: np.rot90(p, -1),
        lambda p: np.rot90(p, 2).transpose(1, 0, 2),
        lambda p: np.rot90(p, 1),
    ]
    np.testing.assert_array_equal(pixels(content), turns[orientation - 1](np.asarray(image)))


def test_a_phone_photo_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    content = stored(noise(), "JPEG", exif=exif)
    wanted = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(pixels(content), np.asarray(wanted))


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_there_is_not_turns_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(pixels(stored(noise(), exif=exif)), np.asarray(noise()))


def drawing(mode: str, ink: int, ground: int = 0) -> Image.Image:
    """A disc of a grey on a transparent ground."""
    image = Image.new("RGBA", (40, 40), (ground,) * 3 + (0,))
    ImageDraw.Draw(image).ellipse((8, 8, 32, 32), fill=(ink, ink, ink, 255))
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
@pytest.mark.parametrize("ink", [0, 20, 100, 128, 160, 235, 255])
@pytest.mark.parametrize("ground", [0, 255])
def test_ink_of_any_grey_is_visible_on_a_transparent_ground(mode: str, ink: int, ground: int) -> None:
    image = drawing("LA" if mode == "PA" else mode, ink, ground)
    if mode == "PA":
        alpha = image.getchannel("A")
        image = image.getchannel("L").convert("P")
        image.putalpha(alpha)
        assert image.mode == "PA"
    shown = pixels(image if mode == "PA" else stored(image)).astype(int)
    assert abs(shown[20, 20] - ink).max() <= 1
    assert abs(shown[0, 0] - ink).min() >= 32
    assert len(np.unique(shown[0])) == 1, "the ground is plain"


def test_the_ground_is_white_where_nothing_speaks_against_it() -> None:
    assert (pixels(stored(drawing("RGBA", 0)))[0, 0] == 255).all()
    assert (pixels(stored(drawing("RGBA", 255)))[0, 0] == 0).all()


def test_black_and_white_ink_are_both_visible() -> None:
    image = drawing("RGBA", 255)
    ImageDraw.Draw(image).rectangle((14, 14, 26, 26), fill=(0, 0, 0, 255))
    shown = pixels(stored(image)).astype(int)
    assert 32 < shown[0, 0, 0] < 223


def test_transparency_of_a_palette_and_of_a_colour() -> None:
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0] * 256)
    palette.paste(1, (2, 2, 6, 6))
    shown = pixels(stored(palette, transparency=0))
    assert shown[0, 0, 0] == 255
    assert shown[4, 4, 0] == 0
    for mode, clear in (("RGB", (10, 20, 30)), ("L", 77)):
        image = Image.new(mode, (8, 8), clear)
        image.paste(0, (2, 2, 6, 6))
        shown = pixels(stored(image, transparency=clear))
        assert (shown[0, 0] == 255).all()
        assert (shown[4, 4] == 0).all()


def test_half_transparent_ink_is_mixed_with_the_ground() -> None:
    assert abs(int(pixels(stored(Image.new("RGBA", (4, 4), (0, 0, 0, 128))))[0, 0, 0]) - 127) <= 1


def test_opaque_alpha_changes_nothing_and_full_transparency_is_refused() -> None:
    image = noise().convert("RGBA")
    np.testing.assert_array_equal(pixels(stored(image)), np.asarray(noise()))
    image.putalpha(0)
    assert "wholly transparent" in refused(stored(image))


RAMP = np.linspace(0, 65535, 64 * 64).reshape(64, 64)


def ramp_of(source: object) -> None:
    shown = pixels(source).astype(int)
    assert (shown[..., 0] == shown[..., 1]).all()
    assert abs(shown[..., 0] - np.rint(RAMP / 257)).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_by_their_range(kind: str) -> None:
    ramp_of(stored(Image.fromarray(RAMP.astype(np.uint16)), kind))
    dim = pixels(stored(Image.fromarray((RAMP / 16).astype(np.uint16)), kind))
    assert dim.max() == 16, "the range is the mode's, not the image's own"


def test_floats_are_scaled_by_one_or_by_the_images_own_range() -> None:
    ramp_of(stored(Image.fromarray((RAMP / 65535).astype(np.float32)), "TIFF"))
    ramp_of(stored(Image.fromarray((RAMP * 3 - 500).astype(np.float32)), "TIFF"))
    half = np.full((4, 4), 0.5, np.float32)
    assert (pixels(Image.fromarray(half)) == 128).all()


def test_values_that_are_no_numbers_take_the_ends_of_the_range() -> None:
    values = (RAMP / 65535).astype(np.float32)
    values[0, :4] = [np.nan, np.inf, -np.inf, 0.2]
    shown = pixels(Image.fromarray(values))[0, :4, 0]
    assert shown.tolist() == [0, 255, 0, 51]
    assert "none of its values is a number" in refused(Image.fromarray(np.full((4, 4), np.nan, np.float32)))


def test_integers_of_32_bits() -> None:
    small = np.arange(256, dtype=np.int32).reshape(16, 16)
    np.testing.assert_array_equal(pixels(stored(Image.fromarray(small), "TIFF"))[..., 0], small)
    ramp_of(stored(Image.fromarray((RAMP * 10).astype(np.int32)), "TIFF"))
    ramp_of(stored(Image.fromarray((RAMP - 30000).astype(np.int32)), "TIFF"))


def test_an_x_ray_whose_white_is_zero() -> None:
    content = stored(Image.fromarray((65535 - RAMP).astype(np.uint16)), "TIFF", tiffinfo={262: 0})
    assert Image.open(io.BytesIO(content)).tag_v2[262] == 0
    ramp_of(content)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGB"])
def test_other_modes_keep_their_colours(mode: str) -> None:
    red = Image.new("RGB", (8, 8), (250, 10, 10))
    if mode == "LAB":
        from PIL import ImageCms

        to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        image = ImageCms.applyTransform(red, to_lab)
    else:
        image = red.quantize(4) if mode == "P" else red.convert(mode)
    opened = open_image(image, Path())
    assert opened.mode == mode
    wanted = np.asarray(red if mode not in ("1", "L") else red.convert(mode).convert("RGB")).astype(int)
    assert abs(np.asarray(opened.image).astype(int) - wanted).max() <= 12


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        content = stored(frames[0], kind, save_all=True, append_images=frames[1:])
        assert abs(pixels(content)[4, 4].astype(int) - (255, 0, 0)).max() < 6


def test_paths_bytes_uris_and_base64_are_the_same_image(tmp_path: Path) -> None:
    content = stored(noise())
    (tmp_path / "a b.png").write_bytes(content)
    coded = base64.b64encode(content).decode()
    sources = [
        "a b.png",
        tmp_path / "a b.png",
        str(tmp_path / "a b.png"),
        (tmp_path / "a b.png").as_uri(),
        content,
        bytearray(content),
        {"bytes": content, "path": "gone.png"},
        {"bytes": None, "path": "a b.png"},
        {"bytes": coded, "path": None},
        f"data:image/png;base64,{coded}",
        f"DATA:image/png;charset=x;base64,{coded}",
        "data:image/png," + "".join(f"%{byte:02x}" for byte in content),
        coded,
        coded.rstrip("="),
        coded.replace("+", "-").replace("/", "_"),
        base64.encodebytes(content).decode(),
    ]
    for source in sources:
        np.testing.assert_array_equal(pixels(source, tmp_path), np.asarray(noise()))


def test_a_jpegs_base64_is_no_absolute_path() -> None:
    coded = base64.b64encode(stored(noise(), "JPEG")).decode()
    assert coded.startswith("/9j/")
    assert pixels(coded).shape == (20, 30, 3)


def test_nothing_long_is_shown() -> None:
    coded = base64.b64encode(os.urandom(300_000)).decode()
    for source in (f"data:image/png;base64,{coded}", coded, f"data:{coded}", f"{coded}.png", f"http://{coded}"):
        assert len(refused(source)) < 300
        assert coded[1000:1020] not in refused(source)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("https://example.org/a.png", "download it"),
        ("s3://bucket/a.png", "download it"),
        ("gone.png", "the image gone.png: No such file or directory"),
        ("x" * 300 + ".png", "File name too long"),
        ("a\0.png", "embedded null "),  # byte; character in path, since Python 3.13
        ("half\ud83d.png", "half\\ud83d.png"),
        ("", "there is no path"),
        (b"", "no bytes"),
        ({"url": "http://example.org"}, "`bytes` or `path`, but this one 'url'"),
        ({"bytes": None, "path": None}, "but this one"),
        (7, "of type int"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "it is EPS"),
        (b"\xc5\xd0\xd3\xc6" + bytes(60), "it is EPS"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it is SVG"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "it is HEIC"),
        (b"%PDF-1.7", "it is PDF"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"not an image", "of a format that Pillow does not know"),
        ("data:image/png;base64", "no comma"),
        ("data:image/png;base64,@@@", "not whole base64"),
    ],
)
def test_what_is_no_image_is_one_line(source: object, wanted: str) -> None:
    assert wanted in refused(source)


def test_what_could_block_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "link.png").symlink_to("pipe.png")
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.relpath(tmp_path / "s.png"))
    wanted = {
        "pipe.png": "a pipe",
        "link.png": "a pipe",
        "folder.png": "a directory",
        "empty.png": "the file is empty",
        "s.png": "a socket",
        "/dev/zero": "a device",
    }
    lines: dict[str, str] = {}
    reader = threading.Thread(target=lambda: lines.update({n: refused(n, tmp_path) for n in wanted}), daemon=True)
    reader.start()
    reader.join(30)
    server.close()
    for name, reason in wanted.items():
        assert reason in lines[name]


def test_image_bombs_are_refused_below_and_above_pillows_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.warns(Image.DecompressionBombWarning):
        assert "pixels are more than" in refused(stored(Image.new("L", (40, 40))))
    assert "exceeds limit" in refused(stored(Image.new("L", (100, 100))))
    assert "pixels are more than" in refused(Image.new("L", (40, 40)))
    assert pixels(stored(Image.new("L", (30, 30)))).shape == (30, 30, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_file_that_was_cut_or_filled_with_zeros_is_refused(kind: str) -> None:
    content = stored(noise(200, 200), kind)
    half = len(content) // 2
    refused(content[:half])
    refused(content[:half] + bytes(len(content) - half))
    pixels(stored(Image.new("RGB", (900, 900), "white"), kind))


@pytest.mark.filterwarnings("ignore")  # of Pillow, about what it then refuses or can do without
def test_a_mutated_image_opens_or_is_refused() -> None:
    outcomes = [outcome(content) for _, content in mutated_images(600, seed=14)]
    assert not any("\n" in line for line in outcomes)
    assert 60 < outcomes.count("RGB") < 540, "the mutations are neither all fatal nor all harmless"


def outcome(content: bytes) -> str:
    """Return the mode of an image, or why it cannot be read. Any other exception is the test's failure."""
    try:
        return open_image(content, Path()).image.mode
    except SampleError as error:
        return str(error)
