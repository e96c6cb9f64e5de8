"""WebDataset shards: NNNNNN.tar with KEY.png and KEY.json per sample, reproducible to the byte."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from vtbench_export.dataset_card import write_card
from vtbench_export.sample_rows import Row, TaskExport


def write_webdataset(tasks: Sequence[TaskExport], directory: Path, shard_bytes: int) -> None:
    """Write `directory/TASK/NNNNNN.tar` and a card.

    The key is the sample's index. A sample of several images has KEY.0.png, KEY.1.png and so on.
    """
    for task in tasks:
        _write_shards(task, directory / task.name, shard_bytes)
    write_card(directory, tasks, {task.name: f"{task.name}/*.tar" for task in tasks}, "webdataset")


def _write_shards(task: TaskExport, directory: Path, shard_bytes: int) -> None:
    directory.mkdir(parents=True)
    tar: tarfile.TarFile | None = None
    number = left = 0
    try:
        for row in task.rows():
            if tar is None or left <= 0:
                if tar is not None:
                    tar.close()
                tar = tarfile.open(directory / f"{number:06}.tar", "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
                number, left = number + 1, shard_bytes
            for name, content in _members(row):
                member = tarfile.TarInfo(name)  # the defaults (year 1970, root) hold nothing of this machine
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
                left -= len(content)
    finally:
        if tar is not None:
            tar.close()


def _members(row: Row) -> list[tuple[str, bytes]]:
    key = f"{row.fields['index']:06}"
    several = len(row.images) != 1
    images = [(f"{key}.{k}.png" if several else f"{key}.png", png) for k, png in enumerate(row.images)]
    return [*images, (f"{key}.json", json.dumps(row.fields, ensure_ascii=False).encode())]
