"""Draw docs/images/results.svg: the Redundancy Score by architecture, and by what a model was trained on.

    python docs/results_figure.py

Every number is read from a committed table: results/architectures/table.md and results/reference-study/table.csv.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ARCHITECTURES = {
    "llava": "one token per patch",
    "qwen2_vl": "patches, merged by four",
    "fuyu": "raw patches",
    "flamingo": "queries, cross-attended",
    "qformer": "queries",
}
"""The models of results/architectures, and what their visual tokens are."""
FAMILIES = ("coarse", "attribute", "relational", "scene_graph")
"""Arms of the study, in rising order of complexity."""
WIDTH, HEIGHT, TOP, BOTTOM, LEFT = 1020, 440, 84, 320, 50
PANEL, GAP = 450, 60
INK, SOFT, BLUE, GREY, ORANGE = "#1c2430", "#596475", "#1f5fbf", "#d9dee6", "#b45309"


@dataclass(frozen=True)
class Point:
    """A value with its 95 % interval, and what it is printed with."""

    label: str
    value: float
    low: float
    high: float
    below: str = ""
    claimed: float | None = None
    flag: str = ""


def architectures() -> list[Point]:
    """Read RS at 16 tokens of each architecture, `VALUE (LOW to HIGH) FLAG`."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "results/architectures/table.md").read_text(encoding="utf-8").splitlines()
    ]
    cells = dict(zip(rows[0], next(row for row in rows if row[0] == "probe, rs at equal m"), strict=True))
    points = []
    for name, below in ARCHITECTURES.items():
        value, low, high, flag = re.fullmatch(r"([\d.]+) \(([\d.]+) to ([\d.]+)\) ?(\w*)", cells[name]).groups()  # type: ignore[union-attr]
        points.append(Point(name, float(value), float(low), float(high), below, flag=flag))
    return points


def families() -> list[Point]:
    """Read RS on the probe images after training on each family, and what the paper claims."""
    with (ROOT / "results/reference-study/table.csv").open(encoding="utf-8") as file:
        rows = {row["arm"]: row for row in csv.DictReader(file) if row["measure"] == "rs_probe"}
    return [
        Point(
            name, *(float(rows[name][key]) for key in ("mean", "low", "high")),
            claimed=float(rows[name]["paper_claims"]), flag=rows[name]["flags"],
        )
        for name in FAMILIES
    ]  # fmt: skip


def height(value: float) -> float:
    """Return where a score from 0 to 1 stands."""
    return BOTTOM - value * (BOTTOM - TOP)


def text(x: float, y: float, words: str, size: int = 13, colour: str = INK, more: str = "") -> str:
    """Return a text element."""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" {more}>{escape(words)}</text>'


def panel(left: float, title: str, note: str, points: Sequence[Point]) -> list[str]:
    """Return the elements of one panel."""
    out = [text(left, 30, title, 16, more='font-weight="600"'), text(left, 52, note, 12, SOFT)]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        y = height(tick)
        out.append(f'<line x1="{left}" x2="{left + PANEL}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GREY}"/>')
        out.append(text(left - 8, y + 4, f"{tick:g}", 12, SOFT, 'text-anchor="end"'))
    step = PANEL / len(points)
    for place, point in enumerate(points):
        x, y = left + step * (place + 0.5), height(point.value)
        low, high = height(point.low), height(point.high)
        about = f"{point.label}: {point.value:.3f}, 95 % interval {point.low:.3f} to {point.high:.3f} {point.flag}"
        out.append(f"<g><title>{escape(about.strip())}</title>")
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{BLUE}" stroke-width="3"/>')
        fill = "white" if point.flag else BLUE
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{fill}" stroke="{BLUE}" stroke-width="2.5"/></g>')
        out.append(text(x + 11, y + 4, f"{point.value:.3f}", 13, BLUE, 'font-weight="600"'))
        if point.claimed is not None:
            c = height(point.claimed)
            cross = f"M{x - 5:.1f} {c - 5:.1f}l10 10m0 -10l-10 10"
            out.append(f'<path d="{cross}" stroke="{ORANGE}" stroke-width="2.5" fill="none"/>')
        out.append(text(x, BOTTOM + 20, point.label, 13, more='text-anchor="middle" font-family="monospace"'))
        for line, words in enumerate(point.below.split(", ")):
            out.append(text(x, BOTTOM + 37 + 14 * line, words, 10, SOFT, 'text-anchor="middle"'))
    return out


def figure() -> str:
    """Return the figure as SVG."""
    right = LEFT + PANEL + GAP
    simple, complex_ = FAMILIES[0], FAMILIES[-1]
    left_note = "Redundancy Score at 16 visual tokens, one training each, 1,334 images"
    right_note = "Redundancy Score on common images, of 64 visual tokens, five runs each"
    order = f"fine-tuned on: {simple} is the simplest task, {complex_} the most complex"
    scale = "0: the information of the visual tokens adds up. Near 1: all say the same. Lines: 95 % intervals."
    hollow = "Hollow: flagged unconverged, a bias as large as the standard error may be left."
    cross = f"M{right + 2} {BOTTOM + 53}l8 8m0 -8l-8 8"
    body = [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *panel(LEFT, "It differs by architecture", left_note, architectures()),
        *panel(right, "It hardly falls with the complexity of the task", right_note, families()),
        text(right, BOTTOM + 40, order, 11, SOFT),
        f'<path d="{cross}" stroke="{ORANGE}" stroke-width="2.5" fill="none"/>',
        text(right + 16, BOTTOM + 61, "what arXiv 2602.06914 reports for its own models", 11, ORANGE),
        text(LEFT, HEIGHT - 26, scale, 11, SOFT),
        text(LEFT, HEIGHT - 10, hollow, 11, SOFT),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    head += ' role="img" font-family="system-ui, Helvetica, Arial, sans-serif">'
    title = "The Redundancy Score of five architectures, and of a model fine-tuned on tasks of rising complexity"
    return "\n".join([head, f"<title>{title}</title>", *body, "</svg>", ""])


if __name__ == "__main__":
    (ROOT / "docs/images/results.svg").write_text(figure(), encoding="utf-8")
