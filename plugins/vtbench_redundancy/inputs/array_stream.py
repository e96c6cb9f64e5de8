"""Tokens and images as a stream of slices: tensors of some images each, in reused buffers, checked to be finite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.errors import InputError
from vtbench_redundancy.inputs.rows import Rows

Array = np.ndarray | Rows

SLICE_BYTES = 1 << 26
"""Memory of a slice of tokens as float32; a slice has at least one image."""


@dataclass(frozen=True, slots=True)
class ArraySlice:
    """Some images. The tensors are views of one buffer: they are valid until the next slice is read."""

    rows: slice
    tokens_bNd: Tensor
    images: Tensor
    """(b, H, W, C), or (b, P, p)."""
    norms_bN: Tensor
    """Euclidean norms of the tokens, float64."""


class ArrayStream:
    """Reads tokens and images in parallel.

    Args:
        tokens: (n, N, d).
        images: (n, ...) images or patches.
        name: name of `images` in errors.
        device: where the tensors are.
    """

    def __init__(self, tokens: Array, images: Array, name: str, device: str | torch.device) -> None:
        self._arrays, self._device = {"tokens": tokens, name: images}, device
        n, count, width = tokens.shape
        step = min(n, max(1, SLICE_BYTES // (4 * count * width)))
        self._all = [slice(start, min(start + step, n)) for start in range(0, n, step)]
        self._buffers: dict[str, Tensor] = {}

    def read(self, limit: int | None = None) -> Iterator[ArraySlice]:
        """Yield the slices that begin before image `limit`, by default all.

        Raises:
            InputError: values that are not finite: how many, and where.
        """
        for rows in self._all:
            if limit is not None and rows.start >= limit:
                return
            tokens, images = (self._load(name, array[rows]) for name, array in self._arrays.items())
            norms = torch.linalg.vector_norm(tokens, dim=2)
            if not norms.isfinite().all():  # squares of large values overflow float32
                norms = torch.linalg.vector_norm(tokens, dim=2, dtype=torch.float64)
            if not (norms.isfinite().all() and images.isfinite().all()):
                raise _not_finite(self._arrays, self._all)
            yield ArraySlice(rows, tokens, images, norms.double())

    def _load(self, name: str, values: np.ndarray) -> Tensor:
        """Copy values into the buffer, as float64 if they are that, else as float32."""
        native = np.float64 if values.dtype.itemsize > 8 else values.dtype.newbyteorder("=")
        found = torch.from_numpy(np.require(values, native, ["C", "W"]))  # a copy only of what torch does not take
        if name not in self._buffers:
            dtype = torch.float64 if found.dtype == torch.float64 else torch.float32
            self._buffers[name] = torch.empty(found.shape, dtype=dtype, device=self._device)
        return self._buffers[name][: len(found)].copy_(found)


def _not_finite(arrays: Mapping[str, Array], slices: list[slice]) -> InputError:
    """Count the values that are not finite in the first array that has any."""
    for name, array in arrays.items():
        count, first = 0, ""
        for rows in slices:
            bad = ~np.isfinite(array[rows])
            if bad.any() and not count:
                where = np.argwhere(bad)[0] + [rows.start, *[0] * (array.ndim - 1)]
                first = ", ".join(map(str, where.tolist()))
            count += int(bad.sum())
        if count:
            return InputError(
                f"{name} hold {count} values that are NaN or infinite, the first at [{first}]; leave those images out"
            )
    raise AssertionError("a value was not finite in a slice, and is now")
