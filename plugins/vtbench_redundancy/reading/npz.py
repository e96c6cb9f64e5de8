"""The arrays of a .npz file, which is a zip of .npy files.

In: a file and the name of an array in it. Out: `Rows`, read in place, or from a temporary file if it is compressed.
"""

from __future__ import annotations

import shutil
import struct
import zipfile
from pathlib import Path

from vtbench_redundancy.errors import reading
from vtbench_redundancy.reading.npy import npy_rows, temporary
from vtbench_redundancy.reading.rows import Rows

_LOCAL_HEADER = 30
"""Bytes before a member's name; the last four are the lengths of the name and of the extra field after it."""


def npz_keys(path: Path) -> list[str]:
    """Return the names of the arrays in the file."""
    with reading(path), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def npz_rows(path: Path, key: str) -> Rows:
    """Open one array: in place as numpy.savez wrote it, unpacked once to a temporary file if it is compressed.

    Raises:
        InputError: a broken file, or what `npy_rows` finds.
    """
    place = f"{path}:{key}"
    with reading(path), zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{key}.npy")
        with archive.open(member) as packed:  # also checks the local header, and that the member is not encrypted
            if member.compress_type != zipfile.ZIP_STORED:
                unpacked = temporary(place, member.file_size, lambda file: shutil.copyfileobj(packed, file, 1 << 20))
                return npy_rows(unpacked, place, 0, member.file_size)
        with path.open("rb") as file:
            file.seek(member.header_offset)
            name, extra = struct.unpack(f"<{_LOCAL_HEADER - 4}xHH", file.read(_LOCAL_HEADER))
        start = member.header_offset + _LOCAL_HEADER + name + extra
        return npy_rows(path.open("rb"), place, start, member.file_size)
