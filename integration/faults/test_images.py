"""Images that disks, downloads and tools have damaged: each fails alone, and no run ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mutated_images import mutated_images

import vtbench
from vtbench.runs.reader import read_records

COUNT, FILES = 2000, 250


@pytest.mark.filterwarnings("ignore")  # of Pillow
def test_two_thousand_damaged_images_end_no_run(tmp_path: Path) -> None:
    answered = failed = 0
    for start in range(0, COUNT, FILES):
        folder = tmp_path / str(start)
        folder.mkdir()
        rows = []
        for number, (name, content) in enumerate(mutated_images(FILES, seed=start)):
            file = folder / f"{number}-{name}"
            file.write_bytes(content)
            rows.append({"image": file.name, "prompt": "yes", "target": "yes"})
        (folder / "damaged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "damaged.yaml").write_text("task: damaged\ndata: {path: damaged.jsonl}\n")
        result = vtbench.run(
            model="echo", tasks=[str(folder / "damaged.yaml")], output=str(folder / "runs"), report=start == 0
        )
        records = list(read_records(result.path, "damaged"))
        assert [record.index for record in records] == list(range(FILES))
        for record in records:
            assert (record.output is None) == (record.error is not None), record
            assert record.error is None or "damaged.jsonl, row" in record.error
        failed += sum(record.error is not None for record in records)
        answered += sum(record.error is None for record in records)
    assert answered + failed == COUNT
    assert min(answered, failed) > COUNT // 10  # both kinds are there
