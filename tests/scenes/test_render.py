"""Images: sub-pixel exact, the same scene at any size, colours and textures that can be told apart."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from coloraide import Color
from hypothesis import given, settings
from hypothesis import strategies as st

from vtbench.scenes.corruption import KINDS, Corruption, corrupt
from vtbench.scenes.render import id_mask, render, silhouette
from vtbench.scenes.scene import CANVAS, Background, Scene, SceneObject
from vtbench.scenes.scene_settings import COLOURS, SHAPES, SIZES, TEXTURES, SceneSettings, colour_difference
from vtbench.scenes.shapes import CORNERS, PERIODS, SHAPE_DISTANCES

WHITE = Background("white", (255, 255, 255))


def make(
    shape: str = "circle", texture: str = "solid", cx: float = 0.5, cy: float = 0.5, size: float = 0.31, turn: int = 0
) -> SceneObject:
    return SceneObject(
        0,
        shape,
        "black",
        texture,
        "large",
        (0, 0, 0),
        round(size * CANVAS),
        round(cx * CANVAS),
        round(cy * CANVAS),
        turn,
        0,
    )


def darkness(scene: Scene, size: int) -> np.ndarray:
    return 1 - np.asarray(render(scene, size))[..., 0] / 255


@pytest.mark.parametrize("shape", ["circle", "square", "cross", "ring", "diamond"])
@given(dx=st.integers(0, 256), dy=st.integers(0, 256))
@settings(max_examples=15, deadline=None)
def test_a_shape_is_drawn_where_it_is_to_a_fiftieth_of_a_pixel(shape: str, dx: int, dy: int) -> None:
    item = replace(make(shape), cx=CANVAS // 2 + dx, cy=CANVAS // 2 + dy)
    dark = darkness(Scene(WHITE, (item,)), 224)
    middle = np.arange(224) + 0.5
    assert (dark.sum(0) * middle).sum() / dark.sum() == pytest.approx(item.cx / 256, abs=0.02)
    assert (dark.sum(1) * middle).sum() / dark.sum() == pytest.approx(item.cy / 256, abs=0.02)


def test_a_circle_has_the_area_of_a_circle_at_any_size() -> None:
    for size in (64, 112, 224, 336):
        area = darkness(Scene(WHITE, (make("circle"),)), size).sum()
        assert area == pytest.approx(np.pi * (0.31 * size / 2) ** 2, rel=0.01)


def test_every_shape_stays_inside_its_bounding_circle() -> None:
    y, x = np.mgrid[:224, :224] + 0.5
    outside = np.hypot(x - 112, y - 112) > 0.31 * 224 / 2 + 1
    for shape, turn in product(SHAPES, (-12, 0, 12)):
        assert not darkness(Scene(WHITE, (make(shape, turn=turn),)), 224)[outside].any(), shape


def full_mask(obj: SceneObject) -> np.ndarray:
    return id_mask(Scene(WHITE, (obj,)), 112) == obj.id


@pytest.mark.parametrize("shape", sorted(CORNERS))
@pytest.mark.parametrize("turn", [-20, -7, 0, 12])
def test_the_box_that_is_drawn_cuts_nothing_off(shape: str, turn: int) -> None:
    """The pixels that a shape covers in part, over the whole image, are those that `render` darkens."""
    obj = replace(make(shape, turn=turn), cx=CANVAS // 2 + 77, cy=CANVAS // 2 - 41)
    y, x = np.mgrid[:224, :224] + 0.5
    dx, dy, angle = x - obj.cx / 256, y - obj.cy / 256, np.radians(turn)
    u, v = np.cos(angle) * dx - np.sin(angle) * dy, np.sin(angle) * dx + np.cos(angle) * dy
    coverage = np.clip(0.5 - SHAPE_DISTANCES[shape](u, v, obj.diameter / 512), 0, 1)
    assert np.abs(darkness(Scene(WHITE, (obj,)), 224) - coverage).max() < 0.01


def test_no_two_shapes_are_alike_under_the_allowed_turns() -> None:
    limit = SceneSettings().rotation
    masks = {s: [full_mask(make(s, turn=t)) for t in (-limit, 0, limit)] for s in SHAPES}
    for a, b in combinations(SHAPES, 2):
        for first, second in product(masks[a], masks[b]):
            alike = (first & second).sum() / (first | second).sum()
            assert alike < 0.85, (a, b, alike)


@pytest.mark.parametrize("size", [112, 224])
def test_textures_are_coarse_enough_to_see(size: int) -> None:
    period = min(SIZES.values()) * (1 - SceneSettings().size_jitter) * size / PERIODS
    assert period >= 4
    assert PERIODS >= 3


def test_textures_differ_in_pixels() -> None:
    images = [darkness(Scene(WHITE, (make("square", t),)), 112) for t in TEXTURES]
    for a, b in combinations(images, 2):
        inside = images[0] > 0.5
        assert np.abs(a - b)[inside].mean() > 0.1


def test_colours_stay_twenty_ciede2000_apart_after_jitter() -> None:
    jitter = SceneSettings().colour_jitter
    corners = list(product((-jitter, jitter), repeat=3))

    def lab(rgb, shift):
        return Color("srgb", [min(255, max(0, c + s)) / 255 for c, s in zip(rgb, shift, strict=True)])

    for (one, a), (two, b) in combinations(COLOURS.items(), 2):
        least = min(lab(a, s).delta_e(lab(b, t), method="2000") for s in corners for t in corners)
        assert least >= 20, (one, two, least)


def test_the_front_object_hides_the_one_behind() -> None:
    behind, front = replace(make("square"), id=1, z=0), replace(make("circle", cx=0.55), id=2, z=1)
    scene = Scene(WHITE, (front, behind))
    mask = id_mask(scene, 224)
    assert mask[112, 112] == 2
    assert np.count_nonzero(mask == 2) == np.count_nonzero(silhouette(front, 224).mask)
    assert 0 < np.count_nonzero(mask == 1) < np.count_nonzero(silhouette(behind, 224).mask)


@pytest.mark.parametrize("kind", KINDS)
def test_corruption_grows_with_severity_and_is_repeatable(kind: str) -> None:
    image = render(Scene(WHITE, (make("star", "striped"),)), 112)
    worse = [corrupt(image, Corruption(kind, level, "k")) for level in range(1, 6)]
    harm = [np.abs(np.asarray(w, float) - np.asarray(image)).mean() for w in worse]
    assert harm == sorted(harm)
    assert harm[0] > 0
    assert all(corrupt(image, Corruption(kind, level, "k")) == w for level, w in enumerate(worse, 1))


@pytest.mark.parametrize("kind", ["gradient", "waves", "cells"])
def test_background_patterns_vary_with_their_seed_and_keep_their_colour_word_everywhere(kind: str) -> None:
    for word, rgb in COLOURS.items():
        a, b = (np.asarray(render(Scene(Background(word, rgb, kind, s), ()), 64)) for s in (1, 2))
        assert (a != b).any()
        tones = np.unique(a.reshape(-1, 3), axis=0)
        assert len(tones) > 4
        nearest = {
            min(COLOURS, key=lambda name: colour_difference(COLOURS[name], tuple(tone))) for tone in tones.astype(int)
        }
        assert nearest == {word}


def test_a_gradient_goes_one_way_from_its_colour_to_another_tone() -> None:
    image = np.asarray(render(Scene(Background("red", (230, 200, 150), "gradient", 5), ()), 64)).astype(int)
    red = image[..., 0]
    across, down = np.diff(red, axis=1), np.diff(red, axis=0)
    assert all((step >= 0).all() or (step <= 0).all() for step in (across, down))
    corners = sorted((red[0, 0], red[0, -1], red[-1, 0], red[-1, -1]))
    assert corners[-1] == pytest.approx(230, abs=2)
    assert corners[0] == pytest.approx(230 * 0.7, abs=2)
