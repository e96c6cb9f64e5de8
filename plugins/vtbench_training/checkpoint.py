"""The state of a training on disk, `<name>.pt`: written atomically, so that a killed run resumes from the last."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from vtbench.errors import ResultsError


class Checkpoint:
    """The file of the newest state."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, modules: nn.Module, optimizer: torch.optim.Optimizer, step: int, monitor: dict[str, Any]) -> None:
        """Write the state after `step` steps: the trained parameters, the optimiser's state and the loss monitor's.

        Raises:
            ResultsError: it cannot be written, the disk being full say; the checkpoint before is intact.
        """
        part = self.path.with_suffix(".part")
        state = {
            "modules": {name: p.detach() for name, p in modules.named_parameters() if p.requires_grad},
            "optimizer": optimizer.state_dict(),
            "step": step,
            "course": monitor,
        }
        with writing(self.path, f"the checkpoint after step {step}", part):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.path)

    def load(self, modules: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, dict[str, Any]]:
        """Restore the state, if there is one; return the number of steps done and the loss monitor's state."""
        if not self.path.exists():
            return 0, {}
        state = torch.load(self.path, weights_only=True, map_location="cpu")
        modules.load_state_dict(state["modules"], strict=False)  # frozen parameters are not stored
        optimizer.load_state_dict(state["optimizer"])
        return int(state["step"]), state.get("course", {})  # vtbench 0.1.0 wrote none


@contextmanager
def writing(path: Path, what: str, unfinished: Path | None = None) -> Iterator[None]:
    """Turn a failed write of `what` to `path` into a one-line error, and remove the unfinished file or directory.

    Raises:
        ResultsError: the disk is full, or there is no permission.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        number = _errno(error)
        if number is None:
            raise
        if unfinished is not None:
            shutil.rmtree(unfinished) if unfinished.is_dir() else unfinished.unlink(missing_ok=True)
        why = "the disk is full" if number in (errno.ENOSPC, errno.EDQUOT) else os.strerror(number).lower()
        raise ResultsError(
            f"{path}: {what} cannot be written: {why}; earlier states are intact, and the same command continues"
        ) from error


def _errno(error: BaseException | None) -> int | None:
    """Return the errno behind an error of torch (in its cause) or of safetensors (in its message)."""
    while error is not None and not isinstance(error, OSError):
        if said := re.search(r"\(os error (\d+)\)", str(error)):
            return int(said[1])
        error = error.__cause__ or error.__context__
    return error.errno if error is not None else None
