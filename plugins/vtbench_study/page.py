"""A study's document as one HTML file in the looks of the report: no network, everything escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import vtbench
from vtbench.report import environment


def study_page(document: Mapping[str, Any]) -> str:
    """Return the page."""
    return (
        environment("vtbench_study")
        .get_template("study.html.jinja")
        .render(study=document, version=vtbench.__version__)
    )
