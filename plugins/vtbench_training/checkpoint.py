"""Where a training stands, on disk: written whole or not at all, so that a killed run goes on from the last one.

In: modules, optimiser, and what else a resumed run must know. Out: `<name>.pt`, and the same things taken up again.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from vtbench.errors import ResultsError


class Checkpoint:
    """One file that holds the newest state."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, modules: nn.Module, optimizer: torch.optim.Optimizer, step: int, course: dict[str, Any]) -> None:
        """Write the state after `step` steps: the parameters that learn, the optimiser's, and the loss's course.

        Raises:
            ResultsError: it cannot be written, for want of room say; the checkpoint before is as it was.
        """
        part = self.path.with_suffix(".part")
        state = {
            "modules": {name: p.detach() for name, p in modules.named_parameters() if p.requires_grad},
            "optimizer": optimizer.state_dict(),
            "step": step,
            "course": course,
        }
        with writing(self.path, f"the checkpoint after step {step}", part):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.path)

    def load(self, modules: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, dict[str, Any]]:
        """Take up the state, if there is one, and return how many steps were done, and the loss's course."""
        if not self.path.exists():
            return 0, {}
        state = torch.load(self.path, weights_only=True, map_location="cpu")
        modules.load_state_dict(state["modules"], strict=False)  # what does not learn is as it was
        optimizer.load_state_dict(state["optimizer"])
        return int(state["step"]), state.get("course", {})  # vtbench 0.1.0 wrote none


@contextmanager
def writing(path: Path, what: str, unfinished: Path | None = None) -> Iterator[None]:
    """Say in one line why `what` cannot be written to `path`, and remove what there is of it.

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
            unfinished.unlink(missing_ok=True)
        why = "the disk is full" if number in (errno.ENOSPC, errno.EDQUOT) else os.strerror(number).lower()
        raise ResultsError(
            f"{path}: {what} cannot be written: {why}; what was written before is intact, and the same command goes on"
        ) from error


def _errno(error: BaseException | None) -> int | None:
    """Return what the operating system said, wherever torch (behind its own error) or safetensors (in words) put it."""
    while error is not None and not isinstance(error, OSError):
        if said := re.search(r"\(os error (\d+)\)", str(error)):
            return int(said[1])
        error = error.__cause__ or error.__context__
    return error.errno if error is not None else None
