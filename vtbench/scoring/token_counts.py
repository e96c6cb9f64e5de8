"""Scores whose value depends on m, the number of visual tokens that are measured together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

UNEQUAL_M = (
    "m is the number of tokens that are measured together. These scores depend on it: at unequal m they do not compare"
)
"""What a reader must know where such scores stand side by side."""
_BY_M = ("rs", "cue_information")
"""How the names of scores begin that depend on m under every protocol; all of `rs-v1` do."""


def measured_m(name: str, score: Mapping[str, Any] | None) -> int | None:
    """Return the m that a stored score depends on; None if it depends on none.

    >>> measured_m("rs", {"detail": {"protocol": "rs-v2", "m": 44}})
    44
    >>> measured_m("redundancy:m=8.rs", {"detail": {"protocol": "rs-v2 m=8", "m": 8}})
    8
    >>> measured_m("n_eff_16", {"detail": {"protocol": "rs-v2", "m": 44}})
    """
    detail = (score or {}).get("detail") or {}
    own = name.rpartition(".")[2]  # without its metric's, which is before it where two metrics have one of this name
    depends = detail.get("protocol", "rs-v1") == "rs-v1" or own.startswith(_BY_M)
    m = detail.get("m") if depends else None
    return m if isinstance(m, int) else None


def unequal_m(scores: Iterable[tuple[str, Mapping[str, Any] | None]]) -> bool:
    """Return whether scores that stand side by side, by name, depend on unequal m.

    >>> rs = [("rs", {"detail": {"protocol": "rs-v2", "m": m}}) for m in (16, 8)]
    >>> unequal_m(rs), unequal_m(rs[:1])
    (True, False)
    """
    return len({m for name, score in scores if (m := measured_m(name, score)) is not None}) > 1
