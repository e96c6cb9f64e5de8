"""Pictures of stored samples, made again from their task by index, as small data URIs."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtbench.batching import make
from vtbench.errors import VtbenchError
from vtbench.types import Record, Sample, Task

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE, LARGEST_PNG = 160, 24_000


class Pictures:
    """The pictures of one task of a run; none, with a note that says why, where the task cannot be loaded any more."""

    def __init__(self, run: dict[str, Any], name: str) -> None:
        from vtbench.task import load_task

        self.note = ""
        self._task: Task | None = None
        self._size = run["model"].get("image_size")
        file, config = Path(run["tasks"][name]["file"]), run["config"]
        try:
            self._task = load_task(file, [file.parent], split=config["split"], seed=config["seed"])
        except VtbenchError as error:
            self.note = f"Without pictures, as the task cannot be loaded: {error}"

    def of(self, record: Record) -> list[str]:
        """Return a sample's pictures as data URIs; none if they are no longer those that the model saw."""
        if self._task is None or record.error or record.index >= len(self._task):
            return []
        made = make(self._task, record.index, self._size)
        if not isinstance(made.sample, Sample) or made.image_sha256 != record.image_sha256:
            self.note = "Some pictures are not shown: the task's pictures have changed since the run."
            return []
        return [data_uri(image) for image in made.sample.images]


def data_uri(image: Image) -> str:
    """Return a picture of at most `SIDE` pixels a side: PNG, or JPEG where that would be large."""
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    for kind in ("png", "jpeg"):
        buffer = io.BytesIO()
        small.save(buffer, kind, **({"optimize": True} if kind == "png" else {"quality": 82}))
        if buffer.tell() <= LARGEST_PNG:
            break
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
