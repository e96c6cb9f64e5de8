"""The files of a checkpoint: its weights, their fingerprint, and the small checkpoints of the package `vtbench-zoo`.

Importing this imports no backend.
"""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

from vtbench.errors import AdapterError

ZOO = "vtbench_zoo"
_WEIGHTS = ("*.safetensors", "*.bin")
_BLOCK = 1 << 22
"""Bytes read at a time."""


def weight_files(checkpoint: Path) -> list[Path]:
    """Return the weights files of a directory, sorted by name: the safetensors files where it has any; or the file."""
    if checkpoint.is_file():
        return [checkpoint]
    return next((files for pattern in _WEIGHTS if (files := sorted(checkpoint.glob(pattern)))), [])


def fingerprint(checkpoint: Path) -> str | None:
    """Return the sha256 over the contents of the weights files, in the order of their names; None without any."""
    files = weight_files(checkpoint)
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def check_weights(directory: Path) -> None:
    """Read the header of every safetensors file, and check that every shard of the index is there.

    Raises:
        AdapterError: a file is broken or missing; names it.
    """
    from safetensors import SafetensorError, safe_open

    from vtbench_hf.errors import first_line

    for path in directory.glob("*.safetensors"):
        try:
            with safe_open(path, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise AdapterError(
                f"{path} is not a whole safetensors file ({first_line(error)}); copy or download it again"
            ) from error
    index = directory / "model.safetensors.index.json"
    if index.exists():
        try:
            shards = set(json.loads(index.read_text())["weight_map"].values())
        except (ValueError, KeyError, AttributeError) as error:
            raise AdapterError(f"{index} is not an index of weights; copy or download it again") from error
        if missing := sorted(shard for shard in shards if not (directory / shard).exists()):
            raise AdapterError(f"{directory} lacks {missing[0]}, which its index names; copy or download it")


def zoo_checkpoint(adapter: str) -> Path | None:
    """Return the directory of the small trained model of an adapter; None where vtbench-zoo is missing or has none."""
    found = find_spec(ZOO)
    if found is None or found.origin is None:
        return None
    directory = Path(found.origin).parent / adapter
    return directory if (directory / "config.json").is_file() else None
