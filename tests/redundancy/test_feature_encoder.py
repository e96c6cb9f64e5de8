"""From tokens and images to coordinates: where to measure, patches, principal components, and their file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from redundancy_fakes import white

from vtbench_redundancy.estimators.normal_scores import normal_scores
from vtbench_redundancy.features.feature_encoder import Encoder, EncoderFit
from vtbench_redundancy.features.patch_layout import (
    average_cells,
    choose_layout,
    cut_patches,
    cut_token_and_grid_patches,
    grid_boxes,
)
from vtbench_redundancy.protocol import Protocol

torch.set_num_threads(1)


def test_layout_of_many_tokens_is_stratified() -> None:
    layout = choose_layout(576, grid_boxes(576), 64, 8, 0)
    assert layout.chosen_Sm.shape == (8, 64)
    boxes = grid_boxes(576)[layout.chosen_Sm]
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    assert np.all((layout.cells_m4[:, :2] <= centre) & (centre < layout.cells_m4[:, 2:]))
    assert len(np.unique(layout.chosen_Sm[:, 0])) == 8
    assert choose_layout(100, None, 64, 8, 0).cells_m4.shape == (64, 4)
    queries = choose_layout(70, None, 64, 2, 0).chosen_Sm
    assert all(len(set(row)) == 64 for row in queries.tolist())
    assert choose_layout(32, None, 64, 8, 0).cells_m4.shape == (32, 4)


@pytest.mark.parametrize("side", [8, 16, 24, 9, 10, 14, 27])
def test_the_mean_of_a_cell_is_that_of_the_image_under_it(side: int) -> None:
    """Of tokens that are the image's own pixels, on grids that the cells divide and on others."""
    pixels = np.linspace(0, 1, side)[:, None] + np.linspace(0, 3, side)[None]
    values = torch.as_tensor(pixels.reshape(1, side * side, 1))
    layout = choose_layout(side * side, None, 64, 8, 0)
    wanted = np.interp((np.arange(8) + 0.5) / 8, (np.arange(side) + 0.5) / side, np.linspace(0, 1, side))
    wanted = wanted[:, None] + 3 * wanted[None]
    if side == 8:
        assert layout.cell_of_N is None
        return
    assert layout.cell_of_N is not None
    assert layout.cell_of_N.ndim == (1 if side % 8 == 0 else 2)
    found = average_cells(values, layout.cell_of_N).flatten().numpy()
    inner = np.s_[1:-1, 1:-1]  # of a plane, so that the mean is the value in the middle
    assert found.reshape(8, 8)[inner] == pytest.approx(wanted[inner], abs=0.05)


def test_a_token_on_the_far_edge_and_one_of_the_whole_image_have_a_cell() -> None:
    boxes = np.concatenate([grid_boxes(256), [[1, 1, 1, 1], [0, 0, 1, 1]]])
    cells = choose_layout(258, boxes, 64, 8, 0).cell_of_N
    assert cells is not None
    assert cells.shape == (258,)
    assert cells[-2] == 63
    assert 0 <= cells.min() <= cells.max() == 63


def test_cut_averages_each_cell() -> None:
    image = torch.arange(16.0).reshape(1, 4, 4, 1)
    assert cut_patches(image, grid_boxes(4), 1).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert cut_patches(image.to(torch.uint8), grid_boxes(64), 2).shape == (1, 64, 4)


def test_x_is_the_same_grid_whatever_the_tokens() -> None:
    images = torch.as_tensor(np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8))
    own, whole = cut_token_and_grid_patches(images, grid_boxes(9), Protocol())
    assert (own.shape, whole.shape) == ((2, 9, 192), (2, 64, 192))
    assert torch.equal(whole, cut_token_and_grid_patches(images, grid_boxes(64), Protocol())[0])


def wide() -> tuple[np.ndarray, np.ndarray]:
    """Tokens of 600 dimensions, two of which vary with the image; and what they vary by."""
    generator = np.random.default_rng(0)
    signal = generator.standard_normal((300, 4, 2)) @ generator.standard_normal((2, 600))
    return 100 + signal + 0.01 * generator.standard_normal(signal.shape), signal


def fitted(tokens: torch.Tensor, protocol: Protocol, parts: tuple[int, ...] = (100, 200)) -> Encoder:
    fit = EncoderFit(protocol, {"connector": choose_layout(tokens.shape[1], None, 64, 8, 0)})
    patches = torch.as_tensor(white(300, 4, 3))
    for part, own in zip(tokens.split(parts), patches.split(parts), strict=True):
        fit.update({"connector": part}, own, own)
    return fit.encoder()


def test_components_of_wide_tokens_find_the_signal() -> None:
    tokens, signal = wide()
    encoder, patches = fitted(torch.as_tensor(tokens), Protocol(r=2)), torch.as_tensor(white(300, 4, 3))
    found = encoder.encode({"connector": torch.as_tensor(tokens)}, patches, patches)
    assert {name: array.shape for name, array in found.items()} == {
        "tokens/connector": (300, 1, 4, 2),
        "patches": (300, 4, 2),
        "pixels": (300, 4, 3),
    }
    coordinates = found["tokens/connector"].reshape(-1, 2)
    coordinates = coordinates - coordinates.mean(axis=0)
    truth = signal.reshape(-1, 600)
    left = truth - coordinates @ np.linalg.lstsq(coordinates, truth, rcond=None)[0]
    assert np.square(left).sum() / np.square(truth).sum() < 0.01


def test_components_depend_neither_on_parts_nor_on_an_offset_of_each_place() -> None:
    tokens = torch.as_tensor(wide()[0])
    offset = 50 * torch.randn(1, 4, 600, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain = fitted(tokens, Protocol(r=2)).tokens["connector"].axes
    for other in (fitted(tokens, Protocol(r=2), (17, 283)), fitted(tokens + offset, Protocol(r=2))):
        axes = other.tokens["connector"].axes
        cosines = np.linalg.svd(np.linalg.qr(plain)[0].T @ np.linalg.qr(axes)[0])[1]
        assert cosines == pytest.approx(np.ones(2), abs=1e-3)


def test_an_encoder_survives_its_file(tmp_path) -> None:
    tokens, patches = torch.as_tensor(wide()[0]), torch.as_tensor(white(300, 4, 3))
    encoder = fitted(tokens, Protocol())
    np.savez(tmp_path / "basis.npz", **encoder.arrays())
    back = Encoder.of(np.load(tmp_path / "basis.npz"))
    for name, array in encoder.encode({"connector": tokens}, patches, patches).items():
        np.testing.assert_array_equal(back.encode({"connector": tokens}, patches, patches)[name], array)


def test_normal_scores_know_nothing_but_the_order() -> None:
    x = np.random.default_rng(0).gamma(1.0, size=(500, 3))
    plain, bent = (normal_scores(torch.as_tensor(values)) for values in (x, np.exp(x)))
    assert torch.equal(plain, bent)
    assert plain.mean(dim=0).tolist() == pytest.approx([0] * 3, abs=1e-9)
    assert plain.square().mean(dim=0).tolist() == pytest.approx([1] * 3)
    assert not normal_scores(torch.full((500, 2), 0.1)).any()
