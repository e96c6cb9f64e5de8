"""Which weights a directory holds: a checkpoint in, its files and one sha256 over them out. Needs no torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

_WEIGHTS = ("*.safetensors", "*.bin")
_BLOCK = 1 << 22
"""Bytes read at a time."""


def weight_files(directory: Path) -> list[Path]:
    """Return the weights files of a checkpoint, by name: safetensors where it has any."""
    return next((files for pattern in _WEIGHTS if (files := sorted(directory.glob(pattern)))), [])


def fingerprint(directory: Path) -> str | None:
    """Return the sha256 over the contents of the weights files, in the order of their names; None without any."""
    files = weight_files(directory)
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()
