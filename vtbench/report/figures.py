"""What scores carry beside their value, as charts.

Which key of a score's `detail` becomes which chart is written in docs/plugins.md; what does not have the form described
there is not drawn.

In: the scores of a task as stored, and a picture for maps to lie on. Out: markup.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from vtbench.report.charts import Series, line_chart, matrix, token_map

Scores = Mapping[str, Mapping[str, Any]]

_ENDS = ("value", "low", "high", "n")
SHARED = "any"
"""The name of a curve's points that belong to each of its lines."""
_EARLY = ("pixels", "untrained", "encoder", "connector")
"""Stages before the decoder's, in the order in which data passes them."""


def figures(scores: Scores, picture: str = "") -> list[Markup]:
    """Return the charts of a task's scores: layers, curves, maps, what is retained.

    Args:
        scores: as results.json has them.
        picture: a data URI for maps to lie on; empty for none.
    """
    curves = [chart for name, score in scores.items() for chart in _curve(name, score["detail"].get("curve"))]
    maps = [chart for name, score in scores.items() for chart in _map(name, score["detail"].get("map"), picture)]
    return [*_layers(scores), *curves, *maps, *_retained(scores)]


def depth(layer: str) -> tuple[int, int]:
    """Return a key that sorts layers by how far into the model they lie.

    >>> sorted(["decoder_100", "connector", "decoder_25", "encoder"], key=depth)
    ['encoder', 'connector', 'decoder_25', 'decoder_100']
    """
    if layer in _EARLY:
        return _EARLY.index(layer), 0
    digits = "".join(character for character in layer if character.isdecimal())
    return len(_EARLY), int(digits or 0)


def _layers(scores: Scores) -> Iterator[Markup]:
    """Scores `<stem>_<layer>` of one metric: a line a stem."""
    stems: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {}
    for name, score in scores.items():
        layer = score["detail"].get("layer")
        if isinstance(layer, str) and name.endswith(f"_{layer}"):
            stems.setdefault(score["metric"], {}).setdefault(name.removesuffix(f"_{layer}"), {})[layer] = score
    for metric, lines in stems.items():
        layers = sorted({layer for line in lines.values() for layer in line}, key=depth)
        if len(layers) > 1:
            series = [_across(stem, line, layers) for stem, line in lines.items()]
            percent = all(score["percent"] for line in lines.values() for score in line.values())
            yield line_chart(f"Through the model: {metric}", "layer", "score", series, x_names=layers, percent=percent)


def _across(stem: str, line: Mapping[str, Mapping[str, Any]], layers: Sequence[str]) -> Series:
    values = [line[layer]["value"] if layer in line else None for layer in layers]
    ends = [line[layer]["interval"] or (None, None) if layer in line else (None, None) for layer in layers]
    return Series(stem, list(range(len(layers))), values, [low for low, _ in ends], [high for _, high in ends])


def _retained(scores: Scores) -> Iterator[Markup]:
    """Scores with `retention`, shares by stage: one matrix, a row a score."""
    by_metric: dict[str, dict[str, Mapping[str, float]]] = {}
    for name, score in scores.items():
        shares = score["detail"].get("retention")
        if isinstance(shares, Mapping) and shares:
            by_metric.setdefault(score["metric"], {})[name] = shares
    for metric, rows in by_metric.items():
        stages = sorted({stage for shares in rows.values() for stage in shares}, key=depth)
        values = [[shares.get(stage) for stage in stages] for shares in rows.values()]
        title = f"What is retained, stage by stage: {metric}"
        yield matrix(title, list(rows), stages, values, low=0, high=1, digits=0, percent=True)


def _curve(name: str, rows: Any) -> Iterator[Markup]:
    """Rows with the same keys: a line for every word, over the first number."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) for row in rows):
        return
    word = next((key for key, value in rows[0].items() if isinstance(value, str)), None)
    numbers = [key for key in rows[0] if key not in _ENDS and all(_number(row.get(key)) for row in rows)]
    if not numbers:
        return
    x, y = numbers[0], "value" if "value" in rows[0] else next(iter(numbers[1:]), None)
    if y is None:
        return
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        lines.setdefault(str(row.get(word, "")) if word else y, []).append(row)
    shared = lines.pop(SHARED, []) if len(lines) > 1 else []
    series = [_line(label, sorted([*line, *shared], key=lambda row: row[x]), x, y) for label, line in lines.items()]
    yield line_chart(f"{name}: {y} by {x}", x, y, series)


def _line(label: str, rows: Sequence[Mapping[str, Any]], x: str, y: str) -> Series:
    low, high = ([_value(row.get(end)) for row in rows] for end in ("low", "high"))
    return Series(label, [row[x] for row in rows], [_value(row.get(y)) for row in rows], low, high)


def _map(name: str, rows: Any, picture: str) -> Iterator[Markup]:
    """Rows of numbers, a token each, equally long: over the picture's patches."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) and row for row in rows):
        return
    if len({len(row) for row in rows}) > 1 or not all(_number(value) for row in rows for value in row):
        return
    yield token_map(
        f"What each token says about each patch: {name}", picture, rows, square(len(rows)), grid(len(rows[0]))
    )


def square(count: int) -> tuple[int, int] | None:
    """Return the grid of a square number, None for others.

    >>> square(64), square(60)
    ((8, 8), None)
    """
    side = math.isqrt(count)
    return (side, side) if side * side == count else None


def grid(count: int) -> tuple[int, int]:
    """Return rows and columns for so many patches, as near to a square as they divide.

    >>> grid(64), grid(12), grid(7)
    ((8, 8), (3, 4), (1, 7))
    """
    rows = next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)
    return rows, count // rows


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _value(value: Any) -> float | None:
    return float(value) if _number(value) else None
