"""The image's coordinates: the mean colour of each of its cells, on three nearly independent axes."""

from __future__ import annotations

import numpy as np

from vtbench_redundancy.features.principal_components import PrincipalAxes

OHTA = np.array([[1 / 3, 1 / 2, -1 / 4], [1 / 3, 0, 1 / 2], [1 / 3, -1 / 2, -1 / 4]])
"""RGB to I1 = (R + G + B) / 3, I2 = (R − B) / 2, I3 = (2G − R − B) / 4, which are nearly the principal components of
colour in natural images (Ohta, Kanade and Sakai, "Color information for region segmentation", Computer Graphics and
Image Processing 13, 1980)."""


def colour_axes(side: int, scale: float, count: int = 3) -> PrincipalAxes:
    """Return the map from patches of side x side RGB pixels to their mean colour.

    These axes do not depend on the images: X is the same for every model and every set of images.

    Args:
        side: pixels a side of a patch.
        scale: of pixel values: their largest, or their root mean square.
        count: how many axes to keep, lightness first; at most 3.

    >>> axes = colour_axes(2, 255.0)
    >>> (np.full(12, 255.0) @ axes.axes).round(3).tolist()
    [1.0, 0.0, 0.0]
    """
    pixels, kept = side * side, OHTA[:, :count]
    mean = np.repeat(kept[:, None], pixels, axis=1).reshape(3 * pixels, -1) / pixels
    return PrincipalAxes(np.zeros(3 * pixels), mean / scale)
