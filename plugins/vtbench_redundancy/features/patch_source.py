"""The patches of images or of arrays of patches, and the map from them to the image's coordinates X."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.features.colour_axes import OHTA, colour_axes
from vtbench_redundancy.features.feature_encoder import pixel_components
from vtbench_redundancy.features.patch_layout import average_cells, choose_layout, cut_token_and_grid_patches
from vtbench_redundancy.features.principal_components import PrincipalAxes
from vtbench_redundancy.inputs.array_stream import Array
from vtbench_redundancy.protocol import Protocol

_STEP = 64
"""Images read at once."""


@dataclass(frozen=True, slots=True)
class PatchCutter:
    """Cuts images into the patches that the measured tokens stand for, and those that X is made of."""

    cells_m4: np.ndarray
    protocol: Protocol
    chosen: np.ndarray | None
    """Patches that are taken of an array of patches; None for images."""
    cell_of_P: np.ndarray | None
    """The cell that each patch is averaged into, where there are more patches than cells."""

    @classmethod
    def of(cls, shape: Sequence[int], cells_m4: np.ndarray, protocol: Protocol) -> PatchCutter:
        """Return the cutter for images (n, H, W, C) or patches (n, P, p).

        Args:
            shape: of the array.
            cells_m4: the parts that the measured tokens stand for.
            protocol: its settings.
        """
        if len(shape) == 4:
            return cls(cells_m4, protocol, None, None)
        layout = choose_layout(shape[1], None, protocol.cells, 1, protocol.seed)
        if shape[1] <= protocol.cells or not protocol.held_out:  # rs-v1 took one patch of each cell
            return cls(cells_m4, protocol, layout.chosen_Sm[0], None)
        runs = np.array_split(np.arange(shape[1]), protocol.cells)
        in_order = np.repeat(np.arange(protocol.cells), [len(run) for run in runs])
        return cls(cells_m4, protocol, None, in_order if layout.cell_of_N is None else layout.cell_of_N)

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return patches of the tokens (b, m, p) and of the whole image (b, P, p)."""
        if images.ndim == 4:
            images = images.expand(*images.shape[:3], len(OHTA)) if images.shape[3] == 1 else images  # grey
            return cut_token_and_grid_patches(images, self.cells_m4, self.protocol)
        patches = images[:, self.chosen] if self.cell_of_P is None else average_cells(images, self.cell_of_P)
        return patches, patches


def pixel_axes(images: Array, cut: PatchCutter, protocol: Protocol, device: str | torch.device) -> PrincipalAxes:
    """Return the map from a patch to the image's coordinates of one cell.

    RGB and grey images have mean colours; anything else has principal components of its patches, fitted on the first
    images.
    """
    fit = None
    n = min(len(images), protocol.basis_images)
    for start in range(0, n, _STEP):
        part = torch.from_numpy(np.ascontiguousarray(images[start : min(start + _STEP, n)], dtype=np.float32))
        part = part[part.isfinite().flatten(1).all(dim=1)]  # the others end the score, with a message
        if len(part):
            pixels = cut(part.to(device))[1]
            fit = fit or pixel_components(protocol, pixels.shape[1])
            fit.update(pixels)
    if fit is None:
        return PrincipalAxes(np.zeros(1), np.ones((1, 1)))
    if protocol.colour and images.ndim == 4 and images.shape[3] in (1, len(OHTA)):
        return colour_axes(protocol.patch_pixels, fit.spectrum().scale, max(1, protocol.r_x // protocol.cells))
    return fit.result()
