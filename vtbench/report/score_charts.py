"""Charts of the `detail` of scores: scores by layer, curves, token maps, retention.

docs/plugins.md lists the keys of `detail` and their charts; data of another form are not drawn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from vtbench.report.charts import Series, line_chart, matrix, token_map

Scores = Mapping[str, Mapping[str, Any]]

_ENDS = ("value", "low", "high", "n")
_AXES = ("title", "x", "y")
"""Keys of `curve_axes`, which names a curve's chart and its axes; its line, if it is one, is named by `line`."""
SHARED = "any"
"""Name of the points that belong to every line of a chart."""
_EARLY = ("pixels", "untrained", "encoder", "connector")
"""Layers before the decoder, in the order of the forward pass."""


def score_charts(scores: Scores, image: str = "") -> list[Markup]:
    """Return the charts of a task's scores: by layer, curves, token maps, retention.

    Args:
        scores: as results.json has them.
        image: a data URI of an image below token maps; empty for none.
    """
    curves = list(_curves(scores))
    maps = [chart for name, score in scores.items() for chart in _map(name, score["detail"].get("map"), image)]
    return [*_layers(scores), *curves, *maps, *_retained(scores)]


def layer_order(layer: str) -> tuple[int, int]:
    """Return a key that sorts layers by their depth in the model.

    >>> sorted(["decoder_100", "connector", "decoder_25", "encoder"], key=layer_order)
    ['encoder', 'connector', 'decoder_25', 'decoder_100']
    """
    if layer in _EARLY:
        return _EARLY.index(layer), 0
    digits = "".join(character for character in layer if character.isdecimal())
    return len(_EARLY), int(digits or 0)


def _layers(scores: Scores) -> Iterator[Markup]:
    """Scores `<stem>_<layer>` of one metric: one line for each stem."""
    stems: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {}
    for name, score in scores.items():
        layer = score["detail"].get("layer")
        if isinstance(layer, str) and name.endswith(f"_{layer}"):
            stems.setdefault(score["metric"], {}).setdefault(name.removesuffix(f"_{layer}"), {})[layer] = score
    for metric, lines in stems.items():
        layers = sorted({layer for line in lines.values() for layer in line}, key=layer_order)
        if len(layers) > 1:
            series = [_across(stem, line, layers) for stem, line in lines.items()]
            percent = all(score["percent"] for line in lines.values() for score in line.values())
            yield line_chart(f"Through the model: {metric}", "layer", "score", series, x_names=layers, percent=percent)


def _across(stem: str, line: Mapping[str, Mapping[str, Any]], layers: Sequence[str]) -> Series:
    values = [line[layer]["value"] if layer in line else None for layer in layers]
    ends = [line[layer]["interval"] or (None, None) if layer in line else (None, None) for layer in layers]
    return Series(stem, list(range(len(layers))), values, [low for low, _ in ends], [high for _, high in ends])


def _retained(scores: Scores) -> Iterator[Markup]:
    """Scores with `retention`, fractions by stage: one matrix, one row for each score."""
    by_metric: dict[str, dict[str, Mapping[str, float]]] = {}
    for name, score in scores.items():
        fractions = score["detail"].get("retention")
        if isinstance(fractions, Mapping) and fractions:
            by_metric.setdefault(score["metric"], {})[name] = fractions
    for metric, rows in by_metric.items():
        stages = sorted({stage for fractions in rows.values() for stage in fractions}, key=layer_order)
        values = [[fractions.get(stage) for stage in stages] for fractions in rows.values()]
        title = f"What is retained, stage by stage: {metric}"
        yield matrix(title, list(rows), stages, values, low=0, high=1, digits=0, percent=True)


def _curves(scores: Scores) -> Iterator[Markup]:
    """One chart for each score with a curve, or for all whose curves have one title; the first names the axes."""
    titled: dict[str, list[tuple[str, Mapping[str, Any], Series]]] = {}
    for name, score in scores.items():
        rows, axes = score["detail"].get("curve"), score["detail"].get("curve_axes")
        if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) for row in rows):
            continue
        keys = [key for key in rows[0] if key not in _ENDS and all(_number(row.get(key)) for row in rows)]
        named = axes if isinstance(axes, Mapping) and all(isinstance(axes.get(key), str) for key in _AXES) else {}
        if keys and isinstance(named.get("line"), str):
            axes = named
            line = _line(axes["line"], sorted(rows, key=lambda row: row[keys[0]]), keys[0], "value")
            titled.setdefault(axes["title"], []).append((name, axes, line))
        else:
            yield from _curve(name, rows, named)
    for title, lines in titled.items():
        first, counts = lines[0][1], Counter(line.name for *_, line in lines)
        # two metrics of one kind, with other settings, call their lines alike
        series = [line if counts[line.name] == 1 else replace(line, name=f"{line.name}: {n}") for n, _, line in lines]
        yield line_chart(title, first["x"], first["y"], series, percent=first.get("percent") is True)


def _curve(name: str, rows: Sequence[Mapping[str, Any]], axes: Mapping[str, Any]) -> Iterator[Markup]:
    """Rows with the same keys: one line for each value of the first text column, over the first number."""
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
    title, x_label, y_label = axes.get("title", f"{name}: {y} by {x}"), axes.get("x", x), axes.get("y", y)
    yield line_chart(title, x_label, y_label, series, percent=axes.get("percent") is True)


def _line(label: str, rows: Sequence[Mapping[str, Any]], x: str, y: str) -> Series:
    low, high = ([_value(row.get(end)) for row in rows] for end in ("low", "high"))
    return Series(label, [row[x] for row in rows], [_value(row.get(y)) for row in rows], low, high)


def _map(name: str, rows: Any, image: str) -> Iterator[Markup]:
    """Rows of equal length, one per token, with a number for each image patch."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) and row for row in rows):
        return
    if len({len(row) for row in rows}) > 1 or not all(_number(value) for row in rows for value in row):
        return
    yield token_map(
        f"What each token says about each patch: {name}", image, rows, square(len(rows)), grid(len(rows[0]))
    )


def square(count: int) -> tuple[int, int] | None:
    """Return the grid of a square number, None for others.

    >>> square(64), square(60)
    ((8, 8), None)
    """
    side = math.isqrt(count)
    return (side, side) if side * side == count else None


def grid(count: int) -> tuple[int, int]:
    """Return rows and columns of a grid of `count` patches, as near to a square as they divide.

    >>> grid(64), grid(12), grid(7)
    ((8, 8), (3, 4), (1, 7))
    """
    rows = next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)
    return rows, count // rows


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _value(value: Any) -> float | None:
    return float(value) if _number(value) else None
