"""`export_run`: writes a finished run as logs of another tool to a new directory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vtbench.errors import install_command, nearest
from vtbench.runs.reader import read_answers, read_results, read_run
from vtbench.types import Record
from vtbench_export.atomic_directory import atomic_directory
from vtbench_export.defaults import RUN_FORMATS
from vtbench_export.errors import ExportError
from vtbench_export.exporter import FORMATS, ExportResult

RunWriter = Callable[
    [Mapping[str, Any], Mapping[str, Any], Mapping[str, Sequence[Record]], Path, Callable[[int], None]], list[str]
]
"""Writes run.json, results.json and the records by task into an empty directory, and returns notes for the user."""


def _inspect() -> RunWriter:
    from vtbench_export.inspect_log import write_inspect_logs

    return write_inspect_logs


_WRITERS: Mapping[str, Callable[[], RunWriter]] = {"inspect": _inspect}
"""Imported when asked for; the extra that a format needs has its name."""


def export_run(
    run: str | Path,
    format: str,
    output: str | Path,
    *,
    tasks: str | Sequence[str] = (),
    on_start: Callable[[int], Callable[[int], None]] = lambda total: lambda written: None,
) -> ExportResult:
    """Write a finished run for another tool, e.g. `export_run("results/RUN", "inspect", "logs")`.

    Args:
        run: the run's directory.
        format: `inspect`, logs of Inspect, one for each task.
        output: the directory to make; it must not be there, or be empty.
        tasks: names of tasks of the run, a list or with commas; all by default.
        on_start: is called with the number of samples; returns a function that is called with the number of samples
            written since its last call.

    Raises:
        VtbenchError: no finished run, an unknown format or task, or an output directory that is not empty; nothing is
            left behind then.
    """
    write = find_run_writer(format)
    path = Path(run)
    about, results = read_run(path), read_results(path)
    names = tasks.split(",") if isinstance(tasks, str) else tasks
    wanted = [name.strip() for name in names if name.strip()] or list(about["tasks"])
    for name in wanted:
        if name not in about["tasks"]:
            raise ExportError(f"{path}: the run has no task {name!r}.{nearest(name, list(about['tasks']))}")
    answers = read_answers(path)
    records = {name: answers.get(name, ()) for name in dict.fromkeys(wanted)}
    for name, these in records.items():
        missing = about["tasks"][name]["samples"] - len({record.index for record in these})
        if missing:
            raise ExportError(
                f"{path}: {missing} samples of {name} are missing; the run's command with --resume {path} asks them"
            )
    samples = {name: len(these) for name, these in records.items()}
    with atomic_directory(Path(output)) as directory:
        advance = on_start(sum(samples.values()))
        start = time.perf_counter()
        notes = write(about, results, records, directory, advance)
        seconds = time.perf_counter() - start
        sizes = [file.stat().st_size for file in directory.rglob("*") if file.is_file()]
    return ExportResult(Path(output), format, samples, len(sizes), sum(sizes), seconds, tuple(notes))


def find_run_writer(name: str) -> RunWriter:
    """Return the writer of a format of runs.

    Raises:
        ExportError: there is no such format, or a package that it needs is not installed.
    """
    if name in FORMATS:
        raise ExportError(f"--format {name} takes --tasks, not a run; formats of a run: {', '.join(RUN_FORMATS)}")
    if name not in _WRITERS:
        raise ExportError(f"unknown format {name!r}.{nearest(name, [*RUN_FORMATS, *FORMATS])}")
    try:
        return _WRITERS[name]()
    except ImportError as error:
        raise ExportError(f"--format {name} needs {error.name}: {install_command(name)}") from error
