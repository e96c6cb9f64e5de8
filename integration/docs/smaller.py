"""What makes a documented command small: flags that are appended, as the last one of a name counts."""

from __future__ import annotations

from dataclasses import replace

from documented import Command

_FLAGS = {
    "run": ("--limit", "2", "--max-new-tokens", "4"),
    "export": ("--limit", "3"),
    "train": ("--steps", "2", "--batch-size", "4", "--check-images", "20"),
    "pretrain": ("--scale", "0.0001", "--no-evaluate"),
    "study": ("--seeds", "0"),
}
_IN_PLACE = {
    "http://localhost:8000/v1": "{endpoint}",
    "/usr/share/tuxpaint/stamps": "stamps",
    "image_size=1024": "image_size=56",  # the tiles of the stand-in have 28 pixels
}
"""Words of a line, and others for them that small stand-ins take."""


def smaller(command: Command, endpoint: str) -> Command:
    """Return a command with flags that make it small, and the address of an endpoint that answers."""
    words = list(command.words)
    for written, other in _IN_PLACE.items():
        words = [word.replace(written, other.format(endpoint=endpoint)) for word in words]
    return replace(command, words=(*words, *_FLAGS.get(words[1], ())))
