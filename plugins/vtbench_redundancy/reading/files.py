"""Anyone's own arrays, from the files that people keep them in, never loaded whole.

In: the name of a .npy, .npz or .safetensors file; `file:key` for one array of several. Out: `Rows`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from vtbench.errors import nearest
from vtbench_redundancy.errors import InputError, reading
from vtbench_redundancy.reading.npy import npy_rows
from vtbench_redundancy.reading.npz import npz_keys, npz_rows
from vtbench_redundancy.reading.rows import Rows
from vtbench_redundancy.reading.tensors import tensor_keys, tensor_rows

_CONTAINERS = {".npz": (npz_keys, npz_rows), ".safetensors": (tensor_keys, tensor_rows)}
_TORCH = (".pt", ".pth", ".ckpt")
_LISTED = 20
"""An error lists at most so many arrays of a file."""


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
    path, key = _split(str(place))
    suffix = path.suffix.lower()
    if os.path.isdir(path):
        raise InputError(f"{path}: is a directory; name a .npy, .npz or .safetensors file in it")
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file; check the name and the directory")
    if suffix in _TORCH:
        raise InputError(
            f"{path}: loading a PyTorch file can run code that it carries; if you trust it, convert it once with "
            "safetensors.torch.save_file({'tokens': torch.load(file)}, 'tokens.safetensors')"
        )
    if suffix != ".npy" and suffix not in _CONTAINERS:
        raise InputError(f"{path}: unknown kind of file {suffix!r}; wanted .npy, .npz or .safetensors")
    if suffix in _CONTAINERS:
        keys, rows = _CONTAINERS[suffix]
        return rows(path, _choose(path, key, keys(path)))
    if key is not None:
        raise InputError(f"{path}: a .npy file holds one array, without a name; leave out ':{key}'")
    with reading(path):
        return npy_rows(path.open("rb"), str(path), 0, path.stat().st_size)


def _split(place: str) -> tuple[Path, str | None]:
    """Tell the file from the key; a file whose own name looks like both is taken as it is."""
    found = re.fullmatch(r"(.+?\.(?:npy|npz|safetensors|pth?|ckpt)):(.+)", place, re.IGNORECASE | re.DOTALL)
    if found is None or os.path.exists(place):
        return Path(place), None
    return Path(found[1]), found[2]


def _choose(path: Path, key: str | None, names: Sequence[str]) -> str:
    """The array meant by `key`, or the only one there is."""
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
