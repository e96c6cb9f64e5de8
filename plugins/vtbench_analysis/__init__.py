"""What stored runs say beside one another (`vtbench compare`), and where one goes wrong (`vtbench diagnose`).

In: directories of finished runs; no model is asked. Out: tables, JSON documents, self-contained pages.
Importing this package imports neither numpy nor torch; using it does.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vtbench

if TYPE_CHECKING:
    import click

    from vtbench_analysis.comparing import compare
    from vtbench_analysis.diagnosing import diagnose

__all__ = ["compare", "diagnose", "vtbench_commands", "vtbench_report_sections"]

_HOMES = {"compare": "comparing", "diagnose": "diagnosing"}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


@vtbench.hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench compare` and `vtbench diagnose`."""
    from vtbench_analysis import command

    app.add_command(command.compare)
    app.add_command(command.diagnose)


@vtbench.hookimpl
def vtbench_report_sections() -> dict[str, Callable[[Path], str | None]]:
    """The diagnosis, as a part of a run's report."""
    return {"diagnosis": _diagnosis}


def _diagnosis(path: Path) -> str:
    from vtbench_analysis.diagnosing import diagnose
    from vtbench_analysis.pages import diagnosis_section

    return diagnosis_section(diagnose(path))
