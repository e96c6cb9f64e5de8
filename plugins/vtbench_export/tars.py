"""Rows in, WebDataset shards out: NNNNNN.tar with KEY.png and KEY.json a sample, the same bytes every time."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from vtbench_export.card import write_card
from vtbench_export.rows import Row, Source


def write_webdataset(sources: Sequence[Source], directory: Path, shard_bytes: int) -> None:
    """Write `directory/TASK/NNNNNN.tar` and a card.

    The key is the sample's index. A sample of several pictures has KEY.0.png, KEY.1.png and so on.
    """
    for source in sources:
        _write_shards(source, directory / source.task.name, shard_bytes)
    write_card(directory, sources, {source.task.name: f"{source.task.name}/*.tar" for source in sources}, "webdataset")


def _write_shards(source: Source, directory: Path, shard_bytes: int) -> None:
    directory.mkdir(parents=True)
    tar: tarfile.TarFile | None = None
    number = left = 0
    try:
        for row in source.rows():
            if tar is None or left <= 0:
                if tar is not None:
                    tar.close()
                tar = tarfile.open(directory / f"{number:06}.tar", "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
                number, left = number + 1, shard_bytes
            for name, content in _members(row):
                member = tarfile.TarInfo(name)  # of 1970, owned by root: nothing of here and now
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
                left -= len(content)
    finally:
        if tar is not None:
            tar.close()


def _members(row: Row) -> list[tuple[str, bytes]]:
    key = f"{row.fields['index']:06}"
    several = len(row.pictures) != 1
    pictures = [(f"{key}.{k}.png" if several else f"{key}.png", png) for k, png in enumerate(row.pictures)]
    return [*pictures, (f"{key}.json", json.dumps(row.fields, ensure_ascii=False).encode())]
