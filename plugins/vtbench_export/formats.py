"""The formats by name. What one needs is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from vtbench.errors import nearest
from vtbench_export.errors import ExportError
from vtbench_export.rows import Source

Writer = Callable[[Sequence[Source], Path, int], None]
"""Writes tasks into an empty directory, in files of about so many bytes."""


def _lm_eval() -> Writer:
    from vtbench_export.trees import write_lm_eval

    return write_lm_eval


def _lmms_eval() -> Writer:
    from vtbench_export.trees import write_lmms_eval

    return write_lmms_eval


def _parquet() -> Writer:
    from vtbench_export.datasets_format import write_dataset

    return write_dataset


def _webdataset() -> Writer:
    from vtbench_export.tars import write_webdataset

    return write_webdataset


FORMATS: dict[str, Callable[[], Writer]] = {
    "lm-eval": _lm_eval,
    "lmms-eval": _lmms_eval,
    "parquet": _parquet,
    "webdataset": _webdataset,
}


def writer(name: str) -> Writer:
    """Return the writer of a format.

    Raises:
        ExportError: there is no such format, or what writes it is not installed.
    """
    if name not in FORMATS:
        raise ExportError(f"unknown format {name!r}.{nearest(name, list(FORMATS))}")
    try:
        return FORMATS[name]()
    except ImportError as error:
        raise ExportError(f"--format {name} needs {error.name}: pip install 'vtbench[parquet]'") from error
