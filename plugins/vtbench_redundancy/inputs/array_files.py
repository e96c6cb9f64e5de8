"""Open an array of a .npy, .npz or .safetensors file as `Rows`; `file:key` names one array of several."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from vtbench.errors import install_command, nearest
from vtbench_redundancy.errors import InputError, file_errors
from vtbench_redundancy.inputs.numpy_arrays import npy_rows, npz_keys, npz_rows
from vtbench_redundancy.inputs.rows import Rows, check_numbers

if TYPE_CHECKING:
    from safetensors import safe_open

_TORCH_SUFFIXES = (".pt", ".pth", ".ckpt")
_LISTED = 20
"""Number of arrays of a file that an error lists."""
_SAFETENSORS_DTYPES = {
    **{"F16": "float16", "BF16": "float32", "F32": "float32", "F64": "float64", "BOOL": "bool"},
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
}


def open_array(place: str | Path) -> Rows:
    """Open an array in a file; its rows are read when they are asked for, and memory holds one slice at a time.

    | file | how |
    |---|---|
    | .npy | rows are read in place; an array in Fortran order is first copied to a temporary file in C order |
    | .npz | of numpy.savez: read in place; of numpy.savez_compressed: first unpacked to a temporary file |
    | .safetensors | rows are read in place, by the `safetensors` library |

    Temporary files lie where TMPDIR says; they are gone when the rows are dropped or the process ends.

    Args:
        place: the file, or `file:key` for the array of that name in a .npz or .safetensors file; without a key, the
            only one.

    Returns:
        The array, as it is stored; bfloat16 comes as float32.

    Raises:
        InputError: one line with the file and what to do: not there, of another kind, broken or cut short, no such
            array or several without a key, an array that is empty or not of real numbers (pickles are never loaded).
    """
    path, key = _split_key(str(place))
    suffix = path.suffix.lower()
    if os.path.isdir(path):
        raise InputError(f"{path}: is a directory; name a .npy, .npz or .safetensors file in it")
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file; check the name and the directory")
    if suffix in _TORCH_SUFFIXES:
        raise InputError(
            f"{path}: loading a PyTorch file can run code that it carries; if you trust it, convert it once with "
            "safetensors.torch.save_file({'tokens': torch.load(file)}, 'tokens.safetensors')"
        )
    if suffix == ".npz":
        return npz_rows(path, _choose_key(path, key, npz_keys(path)))
    if suffix == ".safetensors":
        return _safetensors_rows(path, key)
    if suffix != ".npy":
        raise InputError(f"{path}: unknown kind of file {suffix!r}; wanted .npy, .npz or .safetensors")
    if key is not None:
        raise InputError(f"{path}: a .npy file holds one array, without a name; leave out ':{key}'")
    return npy_rows(path)


def _split_key(place: str) -> tuple[Path, str | None]:
    """Split `file:key`; a file whose own name looks like that is taken as it is."""
    found = re.fullmatch(r"(.+?\.(?:npy|npz|safetensors|pth?|ckpt)):(.+)", place, re.IGNORECASE | re.DOTALL)
    if found is None or os.path.exists(place):
        return Path(place), None
    return Path(found[1]), found[2]


def _choose_key(path: Path, key: str | None, names: Sequence[str]) -> str:
    """Return `key` if it names an array of the file, or the only array there is."""
    if not names:
        raise InputError(f"{path}: no arrays in it; save them again")
    if key is not None:
        if key not in names:
            raise InputError(f"{path}: no array {key!r} in it.{nearest(key, list(names))}")
        return key
    if len(names) > 1:
        listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
        raise InputError(f"{path}: {len(names)} arrays in it, {listed}; name one, as in {path.name}:{names[0]}")
    return names[0]


def _safetensors_rows(path: Path, key: str | None) -> Rows:
    """Open one tensor of a .safetensors file.

    Raises:
        InputError: a broken file, or a tensor that is empty or of a dtype that numpy lacks (float8, say).
    """
    with _safetensors(path) as file:
        key = _choose_key(path, key, list(file.keys()))
        stored = file.get_slice(key)
        shape, stored_dtype = tuple(stored.get_shape()), stored.get_dtype()
    if stored_dtype not in _SAFETENSORS_DTYPES:
        raise InputError(f"{path}:{key}: holds {stored_dtype}; wanted real numbers, so save it as F32, say")
    dtype = np.dtype(_SAFETENSORS_DTYPES[stored_dtype])
    check_numbers(f"{path}:{key}", shape, dtype)

    def read(start: int, stop: int) -> np.ndarray:
        with _safetensors(path) as file:  # opened anew: pages of a map that stays open count as memory of the process
            rows = file.get_slice(key)[start:stop]
            return rows.to(torch.float32 if rows.dtype == torch.bfloat16 else rows.dtype, copy=True).numpy()

    return Rows(shape, dtype, read)


@contextmanager
def _safetensors(path: Path) -> Iterator[safe_open]:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise InputError(f"{path}: reading it needs safetensors: {install_command('hf')}") from error
    with file_errors(path):
        path.open("rb").close()  # safe_open reports a file without read permission as missing
        with safe_open(path, framework="pt") as file:  # the numpy framework has no bfloat16
            yield file
