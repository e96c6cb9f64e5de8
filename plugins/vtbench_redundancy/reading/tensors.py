"""The arrays of a .safetensors file.

In: a file and the name of a tensor in it. Out: `Rows`. Needs the `safetensors` library and torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from vtbench_redundancy.errors import InputError, reading
from vtbench_redundancy.reading.rows import Rows, check_numbers

if TYPE_CHECKING:
    from safetensors import safe_open

_DTYPES = {
    **{"F16": "float16", "BF16": "float32", "F32": "float32", "F64": "float64", "BOOL": "bool"},
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
}


def tensor_keys(path: Path) -> list[str]:
    """Return the names of the tensors in the file."""
    with _opened(path) as file:
        return list(file.keys())


def tensor_rows(path: Path, key: str) -> Rows:
    """Open one tensor; bfloat16 comes as float32.

    Raises:
        InputError: a broken file, or a tensor that is empty or of a dtype that numpy has no numbers for (float8, say).
    """
    with _opened(path) as file:
        stored = file.get_slice(key)
        shape, name = tuple(stored.get_shape()), stored.get_dtype()
    if name not in _DTYPES:
        raise InputError(f"{path}:{key}: holds {name}; wanted real numbers, so save it as F32, say")
    dtype = np.dtype(_DTYPES[name])
    check_numbers(f"{path}:{key}", shape, dtype)
    return Rows(shape, dtype, partial(_read, path, key))


def _read(path: Path, key: str, start: int, stop: int) -> np.ndarray:
    """Copy rows out of a map of the file, and drop it: kept open, it would grow into the process's memory."""
    with _opened(path) as file:
        rows = file.get_slice(key)[start:stop]
        return rows.to(torch.float32 if rows.dtype == torch.bfloat16 else rows.dtype, copy=True).numpy()


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise InputError(f"{path}: reading it needs safetensors: pip install 'vtbench[hf]'") from error
    with reading(path):
        path.open("rb").close()  # safe_open says of a file that may not be read that it is not there
        with safe_open(path, framework="pt") as file:  # numpy alone has no bfloat16
            yield file
