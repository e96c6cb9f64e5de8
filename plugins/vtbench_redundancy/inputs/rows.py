"""`Rows`: an array in a file, whose rows are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vtbench_redundancy.errors import InputError


@dataclass(frozen=True, eq=False)
class Rows:
    """The first axis of an array, by slices: `rows[a:b]` equals the slice of a numpy array, and reads nothing else.

    Nothing is cached between slices. Rows of a slice with a step other than 1 are read one by one.

    >>> squares = Rows((4,), np.dtype(float), lambda start, stop: np.arange(start, stop) ** 2.0)
    >>> squares[1:3].tolist(), squares[::-2].tolist()
    ([1.0, 4.0], [9.0, 1.0])
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    """Dtype of a slice; float32 for stored bfloat16, which numpy lacks."""
    read: Callable[[int, int], np.ndarray]
    """Reads rows start to stop, at least one; the array returned belongs to the caller."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        if not isinstance(rows, slice):  # also keeps np.asarray() from silently reading the whole file
            raise TypeError(f"rows are read in slices, as in rows[0:64], not by {rows!r}")
        wanted = range(len(self))[rows]
        if not wanted:
            return np.empty((0, *self.shape[1:]), self.dtype)
        if wanted.step == 1:
            return self.read(wanted.start, wanted.stop)
        return np.concatenate([self.read(row, row + 1) for row in wanted], dtype=self.dtype)


def check_numbers(name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Check that an array holds at least one row of real numbers.

    Raises:
        InputError: a single number, no values at all, or a dtype that is not floating, integer or boolean.
    """
    if dtype.hasobject:
        raise InputError(f"{name}: holds pickled Python objects, which are never loaded; save an array of numbers")
    if dtype.kind not in "fiub":
        raise InputError(f"{name}: holds {dtype}; wanted real numbers, so save it as float32, say")
    if not shape:
        raise InputError(f"{name}: is a single number; wanted an array with one row an image")
    if min(shape) < 1:
        raise InputError(f"{name}: is empty, of shape {shape}; save it again with its values")
