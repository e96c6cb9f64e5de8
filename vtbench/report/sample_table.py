"""The table of samples: question, answer, truth, result, and the numbers that tell samples apart.

The rows go to the page's script as JSON, and the first ones also to the template. Texts are passed on verbatim; the
template and the script escape them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vtbench.report.charts import short
from vtbench.report.page import LONGEST, LONGEST_NAME, cut
from vtbench.report.previews import SHOWN, PreviewSource, evenly_spaced, share_of
from vtbench.report.thumbnails import Album, byte_limit
from vtbench.scoring.reasoning import split_reasoning
from vtbench.types import Record, Task

_REST = " in samples.jsonl"
STATIC_ROWS = 20
"""Rows in the page itself, for readers without JavaScript."""
SCORES = 4
"""Columns of per-sample scores."""
CHOICES = 8
"""Choices of a sample whose probabilities the page shows, the most likely first; the right ones always."""
FOLDED_ALLOWANCE = 3_000_000
"""Characters of all folded texts of a page, reasoning and sent prompts; samples.jsonl has them whole."""
RESULTS = ("failed", "wrong", "right")
_VERDICTS = ("correct", "exact")
"""Keys under which metrics store whether an answer is right as a whole."""


@dataclass(frozen=True, slots=True)
class Table:
    """The table of samples of a run."""

    data: dict[str, Any]
    """For the script: `rows`, and the names that they refer to by position."""
    counts: dict[str, int]
    """All samples of the run by result, shown or not."""
    total: int
    notes: tuple[str, ...]

    @property
    def static_rows(self) -> list[dict[str, Any]]:
        """The first rows, with names instead of positions."""
        names = (
            *("task", "id", "prompt", "output", "target", "result", "kind", "cues", "scores", "images", "choices"),
            *("error", "reasoning", "reasoning_tokens", "sent"),
        )
        rows = [dict(zip(names, row, strict=True)) for row in self.data["rows"][:STATIC_ROWS]]
        for row in rows:
            row["result"], row["kind"] = RESULTS[row["result"]], self.data["kinds"][row["kind"]]
            row["images"] = [self.data["images"][position] for position in row["images"]]
            row["choices"] = [(self.data["choices"][at], share, right) for at, share, right in row["choices"]]
        return rows


def sample_table(
    records: Mapping[str, Sequence[Record]],
    run: Mapping[str, Any],
    shown: int = SHOWN,
    loaded: Mapping[str, Task] | None = None,
) -> Table:
    """Return the table of a run's samples.

    Args:
        records: by task.
        run: run.json, with `path`.
        shown: maximal number of rows; of more samples, an evenly spaced subset.
        loaded: tasks that are loaded already, by name, to make images from.
    """
    total = sum(map(len, records.values()))
    chosen: dict[str, list[Record]] = {}
    for task, of_task in records.items():
        ordered = sorted(of_task, key=lambda record: record.index)
        chosen[task] = [ordered[i] for i in evenly_spaced(len(ordered), share_of(len(ordered), total, shown))]
    flat = [record for of_task in chosen.values() for record in of_task]
    limit = byte_limit(len({sha256 for record in flat for sha256 in record.image_sha256}))
    folded = min(LONGEST, FOLDED_ALLOWANCE // max(1, 2 * len(flat)))
    columns = score_columns(flat)
    album, tasks, kinds, cues, choices = Album(), _Positions(), _Positions(), _Positions(), _Positions()
    rows, notes = [], []
    for task, of_task in chosen.items():
        previews = PreviewSource(run, task, (loaded or {}).get(task), limit)
        for record in of_task:
            seen = previews.of(record)
            scores = [short(_scalar(record, *column)) for column in columns]
            reasoning, answer = parts_of_answer(record)
            rows.append(
                [
                    tasks.of(task),
                    cut(record.id, LONGEST_NAME, _REST),
                    cut(_question(record), rest=_REST),
                    None if answer is None else cut(answer, rest=_REST),
                    cut(" or ".join((record.target, *record.references)), rest=_REST),
                    _result(record),
                    kinds.of(record.kind),
                    [cues.of(cue) for cue in seen.cues],
                    [short(target_probability(record)), *scores],
                    [album.add(sha256, uri) for sha256, uri in seen.images],
                    [(choices.of(name), short(share), int(right)) for name, share, right in ranked_choices(record)],
                    None if record.error is None else cut(record.error, rest=_REST),
                    cut(reasoning, folded, _REST) or None,
                    record.reasoning_tokens,
                    _sent(record, folded),
                ]
            )
        if previews.note:
            notes.append(f"{task}: {previews.note}" if len(records) > 1 else previews.note)
    rows.sort(key=lambda row: (row[5], row[0]))
    data = {
        "tasks": [cut(name, LONGEST_NAME) for name in tasks.names],
        "kinds": [cut(name, LONGEST_NAME) for name in kinds.names],
        "cues": [[cut(str(part), LONGEST_NAME) for part in cue] for cue in cues.names],
        "scores": ["p(true)", *(metric if key in _VERDICTS else f"{metric} {key}" for metric, key in columns)],
        "images": album.uris,
        "choices": [cut(name, LONGEST_NAME) for name in choices.names],
        "rows": rows,
    }
    results = [_result(record) for of_task in records.values() for record in of_task]
    counts = {name: results.count(position) for position, name in enumerate(RESULTS)}
    if len(rows) < total:
        notes.insert(0, f"{len(rows):,} of {total:,} samples, evenly spread; samples.jsonl has all.")
    return Table(data, counts, total, tuple(notes))


def parts_of_answer(record: Record) -> tuple[str, str | None]:
    """Return a record's reasoning, wherever it stands, and the answer; None without an output.

    An answer that was cut while the model still reasoned is empty.

    >>> parts_of_answer(Record("t", "t/0", 0, "?", "yes", output="<think>So it is.</think>yes"))
    ('<think>So it is.</think>', 'yes')
    """
    if record.output is None:
        return record.reasoning or "", None
    inside, answer = split_reasoning(record.output)
    return "\n".join(filter(None, (record.reasoning, inside))), answer or ""


def _question(record: Record) -> str:
    return record.question or record.prompt


def _sent(record: Record, most: int) -> str | None:
    """Return the prompt that was sent, where it says more than the question: its beginning and its end.

    Of a model that does not tell it, it is the question in its prompt format.
    """
    sent = record.prompt if record.rendered_prompt is None else record.rendered_prompt
    if sent.strip() == _question(record).strip():
        return None
    if len(sent) <= most:
        return sent
    half = most // 2
    return f"{sent[:half]} … [{len(sent) - 2 * half:,} more characters{_REST}] … {sent[len(sent) - half :]}"


def is_right(record: Record) -> bool:
    """Return whether the sample counts as right: by the first metric with a verdict, else by its text."""
    for observation in record.scores.values():
        for verdict in _VERDICTS:
            if verdict in observation:
                return bool(observation[verdict] == 1)
    return record.output is not None and record.output.strip() in (record.target, *record.references)


def choice_probabilities(record: Record) -> list[float] | None:
    """Return the probability of each choice: the softmax of the log-likelihoods; None if the model ranked none.

    >>> choice_probabilities(Record("t", "t/0", 0, "?", "yes", choices=("yes", "no"), logprobs=(-1.0, -1.0)))
    [0.5, 0.5]
    """
    if not record.logprobs or len(record.logprobs) != len(record.choices):
        return None
    top = max(record.logprobs)
    if not math.isfinite(top):
        return None
    weights = [math.exp(value - top) for value in record.logprobs]
    total = sum(weights)
    return [weight / total for weight in weights]


def ranked_choices(record: Record) -> list[tuple[str, float, bool]]:
    """Return choices with their probabilities and whether they are right, the most likely first; none if not ranked."""
    right = {record.target, *record.references}
    found = zip(record.choices, choice_probabilities(record) or (), strict=False)
    ordered = sorted(((name, share, name in right) for name, share in found), key=lambda one: -one[1])
    return [one for place, one in enumerate(ordered) if place < CHOICES or one[2]]


def target_probability(record: Record) -> float | None:
    """Return the probability of the true answers among the choices; None if the model did not rank them.

    >>> record = Record("t", "t/0", 0, "?", "yes", choices=("yes", "no"), logprobs=(-1.0, -1.0))
    >>> target_probability(record)
    0.5
    """
    shares = choice_probabilities(record)
    if shares is None or record.target not in record.choices:
        return None
    right = {record.target, *record.references}
    return sum(share for share, choice in zip(shares, record.choices, strict=True) if choice in right)


def score_columns(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return the numbers in observations that differ between samples, as (metric, key): verdicts first, no repeats."""
    found: dict[tuple[str, str], tuple[float | None, ...]] = {}
    seen = {tuple(float(_result(record) == RESULTS.index("right")) if not record.error else None for record in records)}
    keys = dict.fromkeys((m, key) for record in records for m, o in record.scores.items() for key in o)
    for column in sorted(keys, key=lambda column: column[1] not in _VERDICTS):
        values = tuple(_scalar(record, *column) for record in records)
        if values not in seen and len({value for value in values if value is not None}) > 1:
            found[column] = values
            seen.add(values)
    return list(found)[:SCORES]


def _result(record: Record) -> int:
    return RESULTS.index("failed" if record.error else "right" if is_right(record) else "wrong")


def _scalar(record: Record, metric: str, key: str) -> float | None:
    value = record.scores.get(metric, {}).get(key)
    return float(value) if isinstance(value, (bool, int, float)) else None


class _Positions:
    """Names that rows refer to by position, in the order of their first use."""

    def __init__(self) -> None:
        self._positions: dict[Any, int] = {}

    @property
    def names(self) -> list[Any]:
        return list(self._positions)

    def of(self, name: Any) -> int:
        return self._positions.setdefault(name, len(self._positions))
