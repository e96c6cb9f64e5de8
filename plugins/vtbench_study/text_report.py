"""A study on a terminal: its table, its verdicts, and word of each model as it ends."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from vtbench.console import number
from vtbench.executor import Ended


def told(ended: Ended, done: int, of: int) -> None:
    """Say on standard error that a model is done, or why it is not."""
    what = f"failed: {ended.error}" if ended.error else f"done in {ended.seconds / 60:.1f} min"
    print(f"{done}/{of}  {ended.name}: {what}", file=sys.stderr, flush=True)


def show(document: Mapping[str, Any]) -> None:
    """Print the table beside the paper's claims, accuracy by family, and the verdicts."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = 120
    quick = " (quick: too small to conclude from)" if document["plan"]["quick"] else ""
    rows = Table(title=f"Redundancy Score and accuracy{quick}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("trained on", "RS", "95 %", "own pictures", "accuracy", "95 %", "paper claims", "flags"):
        rows.add_column(column, justify="left" if column in ("trained on", "flags") else "right")
    for row in document["table"]:
        accuracy, own, paper = row.get("accuracy"), row.get("rs_own"), document["paper"].get(row["arm"])
        rows.add_row(
            escape(row["arm"]), number(row["rs_probe"]["mean"], False), interval(row["rs_probe"], False),
            number(own["mean"], False) if own else "", number(accuracy["mean"], True) if accuracy else "",
            interval(accuracy, True) if accuracy else "",
            f"{paper['rs']:.2f}, {100 * paper['accuracy']:.0f} %" if paper else "", " ".join(row["flags"]),
        )  # fmt: skip
    console.print(rows)
    families = document["plan"]["families"]
    rows = Table(
        title="Accuracy by family (tuple F1 for scene graphs)", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    rows.add_column("trained on")
    for family in families:
        rows.add_column(escape(family), justify="right")
    for arm, cells in document["transfer"].items():
        rows.add_row(escape(arm), *(number(cells[f]["mean"], True) if f in cells else "" for f in families))
    console.print(rows)
    for claim in document["claims"]:
        console.print(f"{claim['verdict']:>15}  {claim['text']} {tested(claim)}", highlight=False, markup=False)
    for row in document["advice"]:
        console.print(
            f"{'helps' if row['helps'] else 'does not help':>15}  {advised(row)}", highlight=False, markup=False
        )


def interval(spread: Mapping[str, Any], percent: bool) -> str:
    """Write an interval as tables show it."""
    return "" if spread["low"] is None else f"{number(spread['low'], percent)} – {number(spread['high'], percent)}"


def tested(claim: Mapping[str, Any]) -> str:
    """Say what a claim's test found."""
    if claim["p"] is None:
        return "(too few models for any p under 0.05)"
    rho = "" if claim["rho"] is None else f", Spearman {claim['rho']:+.2f}"
    return f"(Jonckheere {claim['statistic']:g} of {claim['pairs']} pairs rise, {p_text(claim['p'])}{rho})"


def p_text(p: float) -> str:
    """Write a p-value.

    >>> p_text(0.04213), p_text(1e-9)
    ('p = 0.042', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def advised(row: Mapping[str, Any]) -> str:
    """Say in one line what a mix or a penalty changed."""
    difference = "unknown" if row["rs_difference"] is None else f"{row['rs_difference']:+.3f}"
    p = "" if row["rs_p"] is None else f" ({p_text(row['rs_p'])})"
    lost = f"; {'; '.join(row['lost'])}" if row["lost"] else "; information and accuracy hold"
    return f"{row['arm']} beside {row['beside']}: RS {difference}{p}{lost}"
