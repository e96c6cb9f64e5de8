"""A row of the matrix from a fresh probe.

In: a model type. Out: a `Row`. Whatever goes wrong is a "no" with its reason, and no exception: the matrix is to say
what a type lacks.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny_checkpoints
import torch
import transformers
from checkpoint_probe import Probe, Wrong

from vtbench_hf.checkpoint.model_types import adapter_for
from vtbench_hf.matrix import NO, REFUSED, Row


def fresh_row(model_type: str) -> Row:
    """Return the row of a model type, from a checkpoint that is thrown away."""
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as directory:
        return row(model_type, Path(directory))


def row(model_type: str, directory: Path) -> Row:
    """Return the row of a model type, whose checkpoint is written to `directory`."""
    if model_type not in tiny_checkpoints.MODEL_TYPES:
        return Row(model_type, "", why=f"no checkpoint: {tiny_checkpoints.NOT_BUILT[model_type]}")
    reasons: dict[str, str] = {}

    def tried(column: str, check: Callable[[], Any]) -> Any:
        try:
            return check()
        except Exception as error:  # whatever an architecture raises is what the matrix reports
            reasons[column] = _reason(error, directory)
            return None

    tiny_checkpoints.save(model_type, directory)
    made = tried("loads", lambda: Probe(model_type, directory))
    if made is None:
        return Row(model_type, adapter_for(model_type), REFUSED, why=f"loads: {reasons['loads']}")
    columns = ("generates", "ranks", "tokens", "layers", "boxes", "budgets", "trains")
    values = {column: tried(column, getattr(made, column)) or NO for column in columns}
    why = "; ".join(f"{column}: {reasons[column]}" for column in columns if column in reasons)
    return Row(model_type, made.name, made.served(), loads="yes", why=why, **values)


def _reason(error: Exception, directory: Path) -> str:
    """Return the first line of an error, the same on every machine."""
    text = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    text = text.replace(str(directory), "the checkpoint")
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    kind = "" if isinstance(error, Wrong) or "vtbench" in type(error).__module__ else f"{type(error).__name__}: "
    return f"{kind}{text}"[:160].replace(";", ",")
