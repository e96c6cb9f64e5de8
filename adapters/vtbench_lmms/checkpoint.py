"""A checkpoint of `--model-args pretrained=`: is it there?"""

from __future__ import annotations

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
