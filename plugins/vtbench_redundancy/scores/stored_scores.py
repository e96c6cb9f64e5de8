"""Stored scores of redundancy under one set of names, whichever protocol they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DETAILED = ("n_eff", "r_pix", "delta_rs", "rs_given_colour")
"""Scores that `rs-v2` keeps in the details of `rs`."""


def with_details(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task's stored scores, with those in the details of `rs` beside them.

    >>> sorted(with_details({"rs": {"value": 0.5, "detail": {"n_eff": {"value": 8.0}}}}))
    ['n_eff', 'rs']
    """
    details = scores["rs"].get("detail", {}) if "rs" in scores else {}
    return {name: details[name] for name in DETAILED if name in details} | dict(scores)
