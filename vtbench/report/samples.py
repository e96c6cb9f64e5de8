"""The samples of a run as one table: what was asked, what the model said, what is true, and what came of it.

In: a run's records and the pictures of its tasks. Out: rows for the page's script (JSON) and for the template, those
to look at first before the others. Texts are as they were said; the template and the script escape them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vtbench.report.charts import short
from vtbench.report.pictures import Album, Pictures
from vtbench.types import Record, Task

SHOWN = 2000
"""Samples in one page; of more, as many of each task as its share."""
PLAIN = 20
"""Rows that stand in the page itself, for readers without a script."""
SCORES = 4
"""Columns of per-sample scores."""
RESULTS = ("failed", "wrong", "right")
_VERDICTS = ("correct", "exact")
"""What metrics call an answer that is right as a whole."""


@dataclass(frozen=True, slots=True)
class Table:
    """The table of samples of a run."""

    data: dict[str, Any]
    """For the script: `rows`, and the names that they point to."""
    counts: dict[str, int]
    """All samples of the run by result, shown or not."""
    total: int
    notes: tuple[str, ...]

    @property
    def plain(self) -> list[dict[str, Any]]:
        """The first rows, in words."""
        names = ("task", "id", "prompt", "said", "target", "result", "kind", "cues", "scores", "pictures", "error")
        rows = [dict(zip(names, row, strict=True)) for row in self.data["rows"][:PLAIN]]
        for row in rows:
            row["result"], row["kind"] = RESULTS[row["result"]], self.data["kinds"][row["kind"]]
            row["pictures"] = [self.data["pictures"][place] for place in row["pictures"]]
        return rows


def table(
    records: Mapping[str, Sequence[Record]],
    run: dict[str, Any],
    shown: int = SHOWN,
    loaded: Mapping[str, Task] | None = None,
) -> Table:
    """Return the table of a run's samples.

    Args:
        records: by task.
        run: run.json.
        shown: how many rows at most; of more samples, every so-manieth.
        loaded: tasks that are at hand, by name, to make pictures from.
    """
    total = sum(map(len, records.values()))
    chosen = {
        task: spread(sorted(of, key=lambda record: record.index), max(1, shown * len(of) // max(shown, total)))
        for task, of in records.items()
    }
    everyone = [record for of in chosen.values() for record in of]
    album = Album(len({sha256 for record in everyone for sha256 in record.image_sha256}))
    columns = score_columns(everyone)
    tasks, kinds, words = list(records), _Names(), _Names()
    rows, notes = [], []
    for task, of in chosen.items():
        pictures = Pictures(run, task, album, (loaded or {}).get(task))
        for record in of:
            seen = pictures.of(record)
            scores = [short(_scalar(record, *column)) for column in columns]
            asked = [tasks.index(task), record.id, record.prompt, record.output, record.target, _result(record)]
            shows = [kinds.place(record.kind), [words.place(cue) for cue in seen.cues]]
            rows.append([*asked, *shows, [short(truth(record)), *scores], list(seen.pictures), record.error])
        if pictures.note:
            notes.append(f"{task}: {pictures.note}" if len(records) > 1 else pictures.note)
    rows.sort(key=lambda row: (row[5], row[0]))
    data = {
        "tasks": tasks,
        "kinds": kinds.names,
        "cues": words.names,
        "scores": ["p(true)", *(metric if key in _VERDICTS else f"{metric} {key}" for metric, key in columns)],
        "pictures": album.uris,
        "rows": rows,
    }
    results = [_result(record) for of in records.values() for record in of]
    counts = {name: results.count(place) for place, name in enumerate(RESULTS)}
    if len(rows) < total:
        notes.insert(0, f"{len(rows):,} of {total:,} samples, evenly spread; samples.jsonl has all.")
    return Table(data, counts, total, tuple(notes))


def right(record: Record) -> bool:
    """Whether the sample counts as right: by the first metric that says so, else by the text itself."""
    for observation in record.scores.values():
        for verdict in _VERDICTS:
            if verdict in observation:
                return bool(observation[verdict] == 1)
    return record.output is not None and record.output.strip() == record.target


def truth(record: Record) -> float | None:
    """Return the probability of the true answer among the choices, where the model ranked them.

    >>> record = Record("t", "t/0", 0, "?", "yes", choices=("yes", "no"), logprobs=(-1.0, -1.0))
    >>> truth(record)
    0.5
    """
    if not record.logprobs or record.target not in record.choices or len(record.logprobs) != len(record.choices):
        return None
    top = max(record.logprobs)
    if not math.isfinite(top):
        return None
    weights = [math.exp(value - top) for value in record.logprobs]
    return weights[record.choices.index(record.target)] / sum(weights)


def score_columns(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return which numbers of the observations tell samples apart, as (metric, key): verdicts first, none twice."""
    found: dict[tuple[str, str], tuple[float | None, ...]] = {}
    seen = {tuple(float(_result(record) == RESULTS.index("right")) if not record.error else None for record in records)}
    keys = dict.fromkeys((m, key) for record in records for m, o in record.scores.items() for key in o)
    for column in sorted(keys, key=lambda column: column[1] not in _VERDICTS):
        values = tuple(_scalar(record, *column) for record in records)
        if values not in seen and len({value for value in values if value is not None}) > 1:
            found[column] = values
            seen.add(values)
    return list(found)[:SCORES]


def spread(records: Sequence[Record], count: int) -> list[Record]:
    """Return `count` of the records, evenly spread; all if there are no more.

    >>> spread([0, 1, 2, 3, 4, 5], 3)
    [0, 2, 4]
    """
    if count >= len(records):
        return list(records)
    return [records[i * len(records) // count] for i in range(count)]


def _result(record: Record) -> int:
    return RESULTS.index("failed" if record.error else "right" if right(record) else "wrong")


def _scalar(record: Record, metric: str, key: str) -> float | None:
    value = record.scores.get(metric, {}).get(key)
    return float(value) if isinstance(value, (bool, int, float)) else None


class _Names:
    """Names that rows point to, in the order of their first use."""

    def __init__(self) -> None:
        self.names: list[Any] = []
        self._places: dict[Any, int] = {}

    def place(self, name: Any) -> int:
        if name not in self._places:
            self._places[name] = len(self.names)
            self.names.append(name)
        return self._places[name]
