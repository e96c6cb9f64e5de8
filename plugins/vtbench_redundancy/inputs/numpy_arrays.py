"""Arrays in .npy and .npz files as `Rows`.

Rows are read with `np.fromfile`, not from a memory map: the pages of a map count as memory of the process, and a file
that another process truncates during the read would end this one with SIGBUS instead of an error.
"""

from __future__ import annotations

import math
import shutil
import struct
import tempfile
import weakref
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np

from vtbench_redundancy.errors import InputError, file_errors
from vtbench_redundancy.inputs.rows import Rows, check_numbers

BLOCK_BYTES = 1 << 25
"""Bytes of a Fortran-order array that are reordered at once; the peak is three times as many."""
_ZIP_HEADER_BYTES = 30
"""Fixed part of a zip member's local header; its last four bytes are the lengths of the name and of the extra field."""
_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def npy_rows(path: Path) -> Rows:
    """Open a .npy file.

    Raises:
        InputError: see `_open_npy`.
    """
    with file_errors(path):
        return _open_npy(path.open("rb"), str(path), 0, path.stat().st_size)


def npz_keys(path: Path) -> list[str]:
    """Return the names of the arrays in a .npz file, which is a zip of .npy files."""
    with file_errors(path), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def npz_rows(path: Path, key: str) -> Rows:
    """Open one array of a .npz file: in place if it is stored, from a temporary file if it is compressed.

    Raises:
        InputError: a broken archive, or what `_open_npy` raises.
    """
    name = f"{path}:{key}"
    with file_errors(path), zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{key}.npy")
        with archive.open(member) as packed:  # also checks the local header, and that the member is not encrypted
            if member.compress_type != zipfile.ZIP_STORED:
                unpacked = _temporary(name, member.file_size, lambda file: shutil.copyfileobj(packed, file, 1 << 20))
                return _open_npy(unpacked, name, 0, member.file_size)
        with path.open("rb") as file:
            file.seek(member.header_offset)
            lengths = struct.unpack(f"<{_ZIP_HEADER_BYTES - 4}xHH", file.read(_ZIP_HEADER_BYTES))
        start = member.header_offset + _ZIP_HEADER_BYTES + sum(lengths)
        return _open_npy(path.open("rb"), name, start, member.file_size)


def _open_npy(file: IO[bytes], name: str, start: int, size: int) -> Rows:
    """Open the array in .npy format in bytes `start` to `start + size` of a file.

    The rows own the file: it is closed when they are dropped, and at the end of the process. An array in Fortran order
    has the values of one row scattered over the whole file, so it is copied once, in blocks, to a temporary file.

    Raises:
        InputError: a broken header, fewer values than it announces, or not real numbers.
    """
    with ExitStack() as on_error:
        on_error.enter_context(file)
        file.seek(start)
        shape, fortran, dtype = _read_header(file, name)
        check_numbers(name, shape, dtype)
        first, row_values = file.tell(), math.prod(shape[1:])
        wanted = shape[0] * row_values * dtype.itemsize
        if (found := start + size - first) < wanted:
            raise InputError(f"{name}: cut short: {found} of {wanted} bytes of values are there; copy it again")
        if fortran:
            unordered = file
            file, first = _temporary(name, wanted, lambda out: _gather_rows(unordered, shape, dtype, out)), 0
        else:
            on_error.pop_all()

    def read(begin: int, end: int) -> np.ndarray:
        file.seek(first + begin * row_values * dtype.itemsize)
        values = np.fromfile(file, dtype, (end - begin) * row_values)
        if len(values) < (end - begin) * row_values:
            raise InputError(f"{name}: became shorter while it was read; leave it alone until the score is there")
        if not fortran:
            return values.reshape(end - begin, *shape[1:])
        reversed_axes = values.reshape(end - begin, *shape[:0:-1])  # within a row the order is still Fortran's
        return reversed_axes.transpose(0, *range(len(shape) - 1, 0, -1))

    rows = Rows(shape, dtype, read)
    weakref.finalize(rows, file.close)
    return rows


def _read_header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(file)
        if version not in _HEADER_READERS:
            raise ValueError(f"version {version} of the format")
        return _HEADER_READERS[version](file)
    except Exception as error:  # numpy parses the header as Python, which fails in more ways than ValueError
        what = str(error).partition("\n")[0]
        raise InputError(f"{name}: not a .npy array, or its header is broken ({what}); save it again") from error


def _gather_rows(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype, out: IO[bytes]) -> None:
    """Copy a Fortran-order array so that the values of each row are contiguous, in Fortran order within the row."""
    n, columns = shape[0], math.prod(shape[1:])
    step = max(1, BLOCK_BYTES // (n * dtype.itemsize))
    for column in range(0, columns, step):
        block = np.fromfile(file, dtype, n * min(step, columns - column)).reshape(-1, n)
        for row, values in enumerate(np.ascontiguousarray(block.T)):
            out.seek((row * columns + column) * dtype.itemsize)
            out.write(values.data)


def _temporary(name: str, size: int, write: Callable[[IO[bytes]], object]) -> IO[bytes]:
    """Return a temporary file of `size` bytes, deleted when it is closed or the process ends, even if killed.

    Raises:
        InputError: the disk has no room for it.
    """
    directory = tempfile.gettempdir()
    if shutil.disk_usage(directory).free < size:
        raise InputError(
            f"{name}: unpacking it takes {size / 1e9:.1f} GB, more than is free in {directory}; "
            "set TMPDIR to a larger disk, or save it uncompressed and in C order, with numpy.save"
        )
    with ExitStack() as on_error:
        file = on_error.enter_context(tempfile.TemporaryFile())
        write(file)
        file.flush()
        on_error.pop_all()
    return file
