"""A checkpoint of `--model-args pretrained=`: is it there, and which one is it? Needs no torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vtbench.errors import AdapterError


def found(pretrained: str) -> str:
    """Return a directory with `~` expanded, and anything that may be a hub name as it is.

    Raises:
        AdapterError: it can only be a directory, and is none.
    """
    path = Path(pretrained).expanduser()
    if path.is_dir():
        return str(path)
    if pretrained.startswith(("/", ".", "~")) or pretrained.count("/") > 1:
        raise AdapterError(f"--model lmms: pretrained={pretrained} is not a directory")
    return pretrained


def fingerprint(pretrained: str) -> str | None:
    """Return the sha256 over the weights files of a directory, in the order of their names, as `hf` has it."""
    for pattern in ("*.safetensors", "*.bin"):
        if files := sorted(Path(pretrained).glob(pattern)):
            digest = hashlib.sha256()
            for path in files:
                with path.open("rb") as file:
                    while block := file.read(1 << 22):
                        digest.update(block)
            return digest.hexdigest()
    return None
