"""Charts that any page extending `page.html.jinja` may embed: line charts, scatter plots, matrices, token maps.

Each function returns escaped markup with the numbers of the chart in a table. The page's script draws line charts and
scatter plots (Observable Plot, in vendor/); without scripts the table is shown instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from vtbench.errors import VtbenchError
from vtbench.report.page import DataUri, environment

if TYPE_CHECKING:
    import jinja2

DIGITS = 4
"""Significant digits of the numbers in a page: more than can be told apart in a chart."""
TOP = 3
"""Number of patches that the table of a token map names for each token."""


class ChartError(VtbenchError):
    """The data given does not make a chart."""


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart; None leaves a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    """Lower ends of the intervals."""
    high: Sequence[float | None] | None = None


def line_chart(
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[Series],
    *,
    x_names: Sequence[str] | None = None,
    percent: bool = False,
) -> Markup:
    """Return a line chart with intervals, and the same as a table.

    Args:
        title: names the chart.
        x_label: what x is, with its unit.
        y_label: what y is, with its unit; leave out "%" with `percent`.
        series: the curves; intervals are bands, or bars where x has names. Points that lie more evenly on a logarithmic
            axis get one (`is_even_on_log`).
        x_names: names of x = 0, 1, ... where x is not a number.
        percent: show y times 100.

    Raises:
        ChartError: a series' parts differ in length, or x has no name.
    """
    for one in series:
        lengths = {len(part) for part in (one.x, one.y, one.low, one.high) if part is not None}
        if len(lengths) > 1:
            raise ChartError(f"{title}: x, y, low and high of {one.name!r} must be equally long, not {sorted(lengths)}")
        if x_names is not None and not all(x == int(x) and 0 <= x < len(x_names) for x in one.x):
            raise ChartError(f"{title}: {one.name!r} has x beyond its {len(x_names)} names")
    scale = 100 if percent else 1
    drawn = [
        {
            "name": one.name,
            "x": [short(x) for x in one.x],
            "y": [short(y, scale) for y in one.y],
            "low": [short(y, scale) for y in one.low] if one.low is not None else None,
            "high": [short(y, scale) for y in one.high] if one.high is not None else None,
        }
        for one in series
    ]
    y_text = f"{y_label} (%)" if percent else y_label
    names = None if x_names is None else list(x_names)
    log = x_names is None and is_even_on_log([x for one in series for x in one.x])
    data = {"x": f"{x_label}, log scale" if log else x_label, "y": y_text, "names": names, "log": log, "series": drawn}
    return _render("line.html.jinja", title=title, data=data, rows=_rows(drawn, names), drawn=drawn)


def scatter(title: str, points: Sequence[tuple[float, float]], labels: Sequence[str], *, caption: str = "") -> Markup:
    """Return a scatter plot, coloured and shaped by label. Its axes have no scale, as those of t-SNE mean nothing.

    Args:
        title: names the chart.
        points: x and y of each.
        labels: one for each point.
        caption: text below it.

    Raises:
        ChartError: the number of labels is not that of points.
    """
    if len(points) != len(labels):
        raise ChartError(f"{title}: {len(points)} points, but {len(labels)} labels")
    names = sorted(set(labels))
    position = {name: number for number, name in enumerate(names)}
    kept = [(x, y, position[label]) for (x, y), label in zip(points, labels, strict=True) if math.isfinite(x + y)]
    data = {"names": names, "x": _grid([x for x, _, _ in kept]), "y": _grid([y for _, y, _ in kept])}
    counts = [(name, labels.count(name)) for name in names]
    return _render(
        "scatter.html.jinja", title=title, caption=caption, data=data | {"of": [of for *_, of in kept]}, counts=counts
    )


def matrix(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    low: float,
    high: float,
    digits: int = 2,
    percent: bool = False,
) -> Markup:
    """Return a table whose cells are coloured from `low` (pale) to `high` (strong); None is a dash.

    Raises:
        ChartError: the shape of `values` is not (rows, columns).
    """
    _check_shape(title, values, len(rows), len(columns))
    scale, span = (100 if percent else 1), (high - low) or 1.0
    cells = [
        [
            {"text": "–", "share": None}
            if value is None or not math.isfinite(value)
            else {"text": f"{scale * value:.{digits}f}", "share": round(100 * min(1, max(0, (value - low) / span)))}
            for value in row
        ]
        for row in values
    ]
    lines = list(zip(rows, cells, strict=True))
    ends = [f"{scale * end:.{digits}f}" for end in (low, high)]
    return _render("matrix.html.jinja", title=title, columns=columns, lines=lines, ends=ends, percent=percent)


def token_map(
    title: str,
    image_uri: str,
    matrix_NJ: Sequence[Sequence[float]],
    token_grid: tuple[int, int] | None,
    patch_grid: tuple[int, int],
) -> Markup:
    """Return a map of how much each token says about each image patch: point at a token to see its patches, and back.

    Args:
        title: names the map.
        image_uri: a data URI of the image below the patches; empty for none.
        matrix_NJ: (N, J) information of token i about patch j, in nats.
        token_grid: rows and columns of the tokens, row by row; None if tokens have no position.
        patch_grid: rows and columns of the patches, row by row.

    Raises:
        ChartError: the grids do not match the number of tokens or patches.
    """
    n, patches = len(matrix_NJ), patch_grid[0] * patch_grid[1]
    _check_shape(title, matrix_NJ, n, patches)
    if not n or (token_grid is not None and token_grid[0] * token_grid[1] != n):
        raise ChartError(f"{title}: {n} tokens do not fill a grid of {token_grid}")
    grids = {"tokens": token_grid or (1, n), "patches": patch_grid, "placed": token_grid is not None}
    rows = [[short(value) or 0.0 for value in row] for row in matrix_NJ]
    tops = [sorted(range(patches), key=lambda j, row=row: -row[j])[:TOP] for row in rows]  # type: ignore[misc]
    lines = [
        {
            "token": _position_name(i, token_grid),
            "total": f"{sum(row):.3f}",
            "top": ", ".join(f"{_position_name(j, patch_grid)}: {row[j]:.3f}" for j in top),
        }
        for i, (row, top) in enumerate(zip(rows, tops, strict=True))
    ]
    data = grids | {"values": rows}
    return _render("token_map.html.jinja", title=title, image=DataUri(image_uri), data=data, lines=lines, **grids)


def is_even_on_log(xs: Sequence[float]) -> bool:
    """Return whether points that span a decade or more lie more evenly on a logarithmic axis; 0 may be among them.

    >>> is_even_on_log([0, 0.03125, 0.0625, 0.125, 0.25, 0.5, 1]), is_even_on_log([2, 4, 6, 8, 10, 12, 14, 16, 18, 20])
    (True, False)
    """
    points = sorted({x for x in xs if x != 0})
    if len(points) < 3 or points[0] < 0 or points[-1] < 10 * points[0]:
        return False
    logs = [math.log(x) for x in points]
    widest = [max(b - a for a, b in pairwise(scale)) / (scale[-1] - scale[0]) for scale in (points, logs)]
    return widest[1] < widest[0]


def short(value: float | None, scale: float = 1) -> float | None:
    """Return a number rounded to `DIGITS` significant digits; None if it is None or not finite.

    >>> short(0.123456), short(0.123456, 100), short(float("nan")), short(2.0)
    (0.1235, 12.35, None, 2)
    """
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{scale * value:.{DIGITS}g}")
    return int(rounded) if rounded == int(rounded) else rounded


def _grid(values: Sequence[float]) -> list[int]:
    """Return coordinates as integers from 0 to 999: a point is wider than one step."""
    low, span = min(values, default=0.0), (max(values, default=1.0) - min(values, default=0.0)) or 1.0
    return [round(999 * (value - low) / span) for value in values]


def _position_name(number: int, grid: tuple[int, int] | None) -> str:
    """Return the name of a token or patch: row and column, from 1, if it has a position."""
    return f"{number + 1}" if grid is None else f"row {number // grid[1] + 1}, column {number % grid[1] + 1}"


def _check_shape(title: str, values: Sequence[Sequence[Any]], rows: int, columns: int) -> None:
    if len(values) != rows or any(len(row) != columns for row in values):
        raise ChartError(
            f"{title}: values must be {rows} rows of {columns}, not {len(values)} of {sorted({len(r) for r in values})}"
        )


def _rows(drawn: Sequence[dict[str, Any]], names: Sequence[str] | None) -> list[tuple[str, list[str]]]:
    """Return the table of a line chart: a row for every x, a cell for every series."""
    found: dict[float, list[str]] = {}
    for column, one in enumerate(drawn):
        for i, x in enumerate(one["x"]):
            cells = found.setdefault(x, [""] * len(drawn))
            low, high = (None if ends is None else ends[i] for ends in (one["low"], one["high"]))
            value = "–" if one["y"][i] is None else f"{one['y'][i]:g}"
            cells[column] = value if low is None or high is None else f"{value} ({low:g} to {high:g})"
    return [(names[int(x)] if names else f"{x:g}", cells) for x, cells in sorted(found.items())]


@cache
def _templates() -> jinja2.Environment:
    return environment()


def _render(template: str, **values: Any) -> Markup:
    return Markup(_templates().get_template(f"chart_{template}").render(**values))
