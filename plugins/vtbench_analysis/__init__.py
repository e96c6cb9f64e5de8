"""Analysis of stored runs: paired comparison (`vtbench compare`) and failure diagnosis (`vtbench diagnose`).

Both read the directories of finished runs; no model is queried. Each produces a table or text for the terminal, a JSON
document and a self-contained HTML page. Importing this package imports neither numpy nor torch; using it does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import vtbench
from vtbench.plugin import lazy_exports

if TYPE_CHECKING:
    import click

    from vtbench_analysis.comparison.gate import gate
    from vtbench_analysis.comparison.run_comparison import compare
    from vtbench_analysis.diagnosis.run_diagnosis import diagnose

__all__ = [
    "compare",
    "diagnose",
    "gate",
    "vtbench_commands",
    "vtbench_flags",
    "vtbench_report_sections",
    "vtbench_scores",
]

_HOMES = {
    "compare": "comparison.run_comparison",
    "diagnose": "diagnosis.run_diagnosis",
    "gate": "comparison.gate",
}
__getattr__ = lazy_exports(__name__, _HOMES)


@vtbench.hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench compare` and `vtbench diagnose`."""
    from vtbench_analysis import cli

    app.add_command(cli.compare)
    app.add_command(cli.diagnose)


@vtbench.hookimpl
def vtbench_flags() -> dict[str, str]:
    """What the flags of a comparison mean."""
    return {
        "no_test": "the score has no paired test",
        "other_m": "RS was measured at another number of tokens, so the two do not compare",
        "other_protocol": "RS was measured by another protocol or with other settings, so the two do not compare",
        "own_samples": "the value is over all samples of its run, which are more than the shared ones",
        "unknown": "the cost is not known of every sample",
    }


@vtbench.hookimpl
def vtbench_scores() -> dict[str, str]:
    """What a comparison measures beside the scores of the runs."""
    return {
        "visual_tokens": "Visual tokens of a sample.",
        "ms_per_sample": "Wall time of a sample in milliseconds, all metrics included; not tested.",
    }


@vtbench.hookimpl
def vtbench_report_sections() -> dict[str, Callable[[Path], str | None]]:
    """Add the diagnosis to a run's report."""
    return {"diagnosis": _diagnosis}


def _diagnosis(path: Path) -> str:
    from vtbench_analysis.diagnosis.report import diagnosis_section
    from vtbench_analysis.diagnosis.run_diagnosis import diagnose

    return diagnosis_section(diagnose(path))
