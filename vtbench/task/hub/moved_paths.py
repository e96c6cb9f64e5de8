"""Names that data sets of the hub had before they moved, with their new ones."""

from __future__ import annotations

MOVED = {
    "lmms-lab/GQA": "lmms-lab-encoder/GQA",
    "lmms-lab/POPE": "lmms-lab-encoder/POPE",
    "lmms-lab/RefCOCO": "lmms-lab-encoder/RefCOCO",
    "lmms-lab/DocVQA": "lmms-lab-encoder/DocVQA",
    "lmms-lab/LMMs-Eval-Lite": "lmms-lab-encoder/LMMs-Eval-Lite",
}
"""Old names by which task files still call data sets. Read in public task files in 2026, not checked on the hub."""


def moved_to(name: str) -> str | None:
    """Return the new name of a data set that moved; None if it is not known to have moved.

    >>> moved_to("lmms-lab/POPE"), moved_to("nyu-visionx/CV-Bench")
    ('lmms-lab-encoder/POPE', None)
    """
    folded = {old.casefold(): new for old, new in MOVED.items()}
    new = folded.get(name.casefold())
    return new if new != name else None
