"""What a crash of the machine leaves of a run: each file loses its own end, or has zeros there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from random import Random

DURABLE = ("run.json",)
"""Written to the disk before the run goes on, so that a crash leaves them as they are."""


def sizes(run: Path) -> dict[str, int]:
    """Return the size of every file of a run: what is on the disk at this moment."""
    return {str(file.relative_to(run)): file.stat().st_size for file in sorted(run.rglob("*")) if file.is_file()}


def crash(run: Path, rng: Random, synced: Mapping[str, int] | None = None) -> list[str]:
    """Damage the files of a run as a crash of its machine may, each on its own.

    A file keeps a part of its bytes, at least those that were on the disk. What follows is lost, reads as zeros, or was
    written after all. A file of which nothing was on the disk may be gone.

    Args:
        run: the run's directory; nothing writes to it.
        rng: decides.
        synced: `sizes` of the run at some earlier moment; by default nothing was on the disk but `DURABLE` files.

    Returns:
        What happened, a line a file.
    """
    happened = []
    for name, size in sizes(run).items():
        kept = (synced or {}).get(name, 0)
        if name in DURABLE or kept >= size:
            continue
        file = run / name
        keep = rng.randint(kept, size)
        what = rng.choice(("whole", "cut", "cut", "zeros", "zeros", "gone"))
        if what == "cut":
            os.truncate(file, keep)
        elif what == "zeros":  # the file's new size was written, its data was not
            os.truncate(file, keep)
            os.truncate(file, rng.randint(keep, size))
        elif what == "gone" and not kept:
            file.unlink()
        happened.append(f"{name}: {what}, {keep} of {size} bytes")
    return happened
