"""The rows of a .npy file, or of one that lies inside another file.

In: an open file and where in it the array lies. Out: `Rows` that read from it.
Rows are read, not mapped: pages of a memory map that were touched count as the process's own memory.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import IO

import numpy as np

from vtbench_redundancy.errors import InputError
from vtbench_redundancy.reading.rows import Rows, check_numbers

BLOCK = 1 << 25
"""Bytes of an array in Fortran order that are turned at once; three times as many are held."""


def npy_rows(file: IO[bytes], place: str, start: int, size: int) -> Rows:
    """Open the array in .npy format that takes up `size` bytes of `file` from `start` on.

    The file becomes the rows' own: it is closed when they are dropped, and at the end of the process.

    An array in Fortran order has the values of one row scattered over the whole file. It is copied once, in blocks,
    to a temporary file that has them together; that needs its size in free disk space, but no memory.

    Args:
        file: opened for reading bytes.
        place: what the file is called in messages.
        start: where the array's header begins.
        size: bytes of header and values together.

    Raises:
        InputError: a broken header, fewer values than it announces, or not real numbers.
    """
    with ExitStack() as held:
        held.enter_context(file)
        file.seek(start)
        shape, fortran, dtype = _header(file, place)
        check_numbers(place, shape, dtype)
        first, wanted = file.tell(), math.prod(shape) * dtype.itemsize
        if (there := start + size - first) < wanted:
            raise InputError(f"{place}: cut short: {there} of {wanted} bytes of values are there; copy it again")
        if fortran:
            file, first = temporary(place, wanted, partial(_turn, file, shape, dtype)), 0
        else:
            held.pop_all()
    rows = Rows(shape, dtype, _Values(file, place, first, shape, dtype, fortran).read)
    weakref.finalize(rows, file.close)
    return rows


def temporary(place: str, size: int, write: Callable[[IO[bytes]], object]) -> IO[bytes]:
    """Have `size` bytes written to a file that is gone once it is closed, or the process ends in whatever way.

    Raises:
        InputError: the disk has no room for it.
    """
    directory = tempfile.gettempdir()
    if shutil.disk_usage(directory).free < size:
        raise InputError(
            f"{place}: unpacking it takes {size / 1e9:.1f} GB, more than is free in {directory}; "
            "set TMPDIR to a larger disk, or save it uncompressed and in C order, with numpy.save"
        )
    with ExitStack() as held:
        file = held.enter_context(tempfile.TemporaryFile())
        write(file)
        file.flush()
        held.pop_all()
    return file


def _header(file: IO[bytes], place: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(file)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"version {version} of the format")
        return readers[version](file)
    except Exception as error:  # numpy parses the header as Python: a broken one fails in more ways than ValueError
        what = str(error).partition("\n")[0]
        raise InputError(f"{place}: not a .npy array, or its header is broken ({what}); save it again") from error


@dataclass(frozen=True, slots=True)
class _Values:
    """Where an array's values lie: row after row, each in C order, or in Fortran order where `fortran`."""

    file: IO[bytes]
    place: str
    first: int
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    def read(self, start: int, stop: int) -> np.ndarray:
        values = math.prod(self.shape[1:])
        self.file.seek(self.first + start * values * self.dtype.itemsize)
        found = np.fromfile(self.file, self.dtype, (stop - start) * values)
        if len(found) < (stop - start) * values:
            raise InputError(f"{self.place}: became shorter while it was read; leave it alone until the score is there")
        if not self.fortran:
            return found.reshape(stop - start, *self.shape[1:])
        backwards = found.reshape(stop - start, *self.shape[:0:-1])
        return backwards.transpose(0, *range(len(self.shape) - 1, 0, -1))


def _turn(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype, turned: IO[bytes]) -> None:
    """Copy values that lie first axis fastest so that each row is in one piece; a row keeps its own Fortran order."""
    n, columns = shape[0], math.prod(shape[1:])
    step = max(1, BLOCK // (n * dtype.itemsize))
    for column in range(0, columns, step):
        block = np.fromfile(file, dtype, n * min(step, columns - column)).reshape(-1, n)
        for row, values in enumerate(np.ascontiguousarray(block.T)):
            turned.seek((row * columns + column) * dtype.itemsize)
            turned.write(values.data)
