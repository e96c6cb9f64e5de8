"""A study's document as text: its verdicts as sentences, and its tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from vtbench.console.formatting import interval_text as ends_text
from vtbench.console.formatting import number
from vtbench.console.tables import carriers_of, print_line, print_table, score_table, show_flags, table_console
from vtbench_study.bridge import ALL, MEASURED
from vtbench_study.trend_size import SIGNIFICANCE_LEVEL

FURTHER_MEASURES = {"n_eff_16": "N_eff 16", "discarded": "discarded", "cue_information": "cues, nats"}
"""Columns of the second table by measure, as far as a study has them."""


def print_study(document: Mapping[str, Any], meanings: Mapping[str, str] = MappingProxyType({})) -> None:
    """Print the table with the paper's numbers beside ours, accuracy by family, and the verdicts.

    Args:
        document: of the study.
        meanings: sentences by flag, as `Registry.flags` returns them.
    """
    console = table_console(stderr=False)
    quick = " (quick: too small to conclude from)" if document["plan"]["quick"] else ""
    table = document["table"]
    rows = score_table(
        f"Redundancy Score and accuracy{quick}",
        ["trained on"],
        ["RS", "95 %", "own family", "accuracy", "paper claims"],
    )
    for row in table:
        accuracy, rs_own, paper = row.get("accuracy"), row.get("rs_own"), document["paper"].get(row["arm"])
        rows.add_row(
            row["arm"],
            number(row["rs_probe"]["mean"], False) + ("*" if row["flags"] else " "),
            interval_text(row["rs_probe"], False),
            number(rs_own["mean"], False) if rs_own else "",
            _percent(accuracy["mean"]) if accuracy else "",
            f"{paper['rs']:.2f}, {100 * paper['accuracy']:.0f} %" if paper else "",
        )
    print_table(console, rows)
    show_flags(console, carriers_of((row["arm"], row["flags"]) for row in table), meanings)
    if others := {name: title for name, title in FURTHER_MEASURES.items() if any(name in row for row in table)}:
        rows = score_table("Visual tokens on the probe set", ["trained on"], [*others.values()])
        for row in table:
            cells = ((name, row[name]["mean"]) if name in row else (name, None) for name in others)
            rows.add_row(row["arm"], *(_percent(v) if name == "discarded" else number(v, False) for name, v in cells))
        print_table(console, rows)
    families = [*document["plan"]["families"], *document["plan"].get("tests", ())]
    rows = score_table("Accuracy by family (tuple F1 for scene graphs)", ["trained on"], families)
    for arm, accuracies in document["transfer"].items():
        rows.add_row(arm, *(_percent(accuracies[f]["mean"]) if f in accuracies else "" for f in families))
    print_table(console, rows)
    for claim in document["claims"]:
        print_line(console, f"{claim['verdict']:>15}  {claim['text']} {trend_text(claim)}")
        further = (("change", change_text), ("margin", equivalence_text), ("80 % power from", power_text))
        for title, text in ((title, format_claim(claim)) for title, format_claim in further):
            if text:
                print_line(console, f"{title:>15}  {text}")
    for row in document.get("full_rate", []):
        print_line(console, f"{'full rate':>15}  {advice_text(row)}")
    for row in document.get("associations", []):
        print_line(console, f"{'checkpoints':>15}  {association_text(row)}")
    for row in document.get("bridge", []):
        print_line(console, f"{row['verdict']:>15}  {bridge_text(row)}")
    for row in document["advice"]:
        print_line(console, f"{'helps' if row['helps'] else 'does not help':>15}  {advice_text(row)}")


def _percent(value: float | None) -> str:
    return number(value, percent=True) + " %" * (value is not None)


def interval_text(mean: Mapping[str, Any], percent: bool) -> str:
    """Format the 95 % interval of a mean over seeds; empty if there is none."""
    return ends_text(None if mean["low"] is None else (mean["low"], mean["high"]), percent)


def p_text(p: float) -> str:
    """Format a p-value.

    >>> p_text(0.04213), p_text(1e-9)
    ('p = 0.042', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def trend_text(claim: Mapping[str, Any]) -> str:
    """Format the test of a claim."""
    if claim["p"] is None:
        return "(too few models for any p under 0.05)"
    rho = "" if claim["rho"] is None else f", Spearman {claim['rho']:+.2f}"
    return f"(Jonckheere {claim['statistic']:g} of {claim['pairs']} pairs rise, {p_text(claim['p'])}{rho})"


def change_text(claim: Mapping[str, Any]) -> str:
    """Format how much a number changes from the simplest to the most complex family; empty if that is not known."""
    if claim.get("change") is None:
        return ""
    digits = _digits(claim["change_high"] - claim["change_low"])
    low, high = (f"{claim[end]:+.{digits}f}" for end in ("change_low", "change_high"))
    return f"{claim['change']:+.{digits}f} ({low} to {high})"


def equivalence_text(claim: Mapping[str, Any]) -> str:
    """Format the test against the margin; empty if there is none."""
    if claim.get("equivalence_p") is None:
        return ""
    verdict = "less than" if claim["equivalent"] else "not shown to be less than"
    tested = f"two one-sided tests, {p_text(claim['equivalence_p'])}, power {claim['equivalence_power']:.2f}"
    return f"{verdict} {claim['margin']:g} ({tested})"


def power_text(claim: Mapping[str, Any]) -> str:
    """Say what change the trend test finds in four of five such studies; empty if that is not known."""
    if claim.get("detectable") is None:
        return ""
    digits = _digits(claim["detectable"])
    return f"{claim['detectable']:.{digits}f} (SD between seeds {claim['seed_sd']:.{digits}f})"


def _digits(size: float) -> int:
    return 1 if size >= 1 else 3


def association_text(row: Mapping[str, Any]) -> str:
    """Describe in one line what a predictor says about an outcome over checkpoints."""
    names = f"{row['predictor']} and {row['outcome']}: "
    over = f"{row['checkpoints']} checkpoints of {row['arms']} arms"
    if row["slope"] is None:
        return f"{names}too few checkpoints ({over})"
    interval = f"{row['low']:+.2f} to {row['high']:+.2f}"
    return f"{names}slope {row['slope']:+.2f} SD ({interval}), {p_text(row['p_holm'])} after Holm, {over}"


def agreement_text(row: Mapping[str, Any]) -> str:
    """Format a rank correlation and its interval; empty if there is none.

    >>> agreement_text({"rho": 0.5, "low": -0.62, "high": 0.95})
    '+0.50 (-0.62 to +0.95)'
    """
    if row["rho"] is None:
        return ""
    return f"{row['rho']:+.2f}" + ("" if row["low"] is None else f" ({row['low']:+.2f} to {row['high']:+.2f})")


def bridge_text(row: Mapping[str, Any]) -> str:
    """Say in one line whether models keep their order from a family to a test."""
    first = "the probe set" if row["measure"] == "rs" and row["family"] != ALL else row["family"]
    asked = f"{row['pairs']} families and their tests" if row["family"] == ALL else f"{first} and {row['test']}"
    names = f"order of models by {MEASURED[row['measure']]} on {asked}: "
    if row["rho"] is None:
        return f"{names}too few models that differ ({row['models']})"
    power = "" if row["detectable"] is None else f", which find {row['detectable']:.2f} in four of five cases"
    return f"{names}Spearman {agreement_text(row)}, {p_text(row['p'])}, {row['models']} models{power}"


def advice_text(row: Mapping[str, Any]) -> str:
    """Describe in one line what a mix or a penalty changed."""
    difference = "unknown" if row["rs_difference"] is None else f"{row['rs_difference']:+.3f}"
    p = "" if row["rs_p"] is None else f" ({p_text(row['rs_p'])})"
    lost = f"; {'; '.join(row['lost'])}" if row["lost"] else "; information and accuracy hold"
    return f"{row['arm']} beside {row['beside']}: RS {difference}{p}{lost}"


def learning_text(row: Mapping[str, Any]) -> str:
    """Say whether training on a family raised its accuracy, and whether the model needs the image for its answers."""
    raised = "raised over the base" if row["raised"] else "not significantly raised over the base"
    if row["sees"]:
        return f"{raised}; better than the same models with a grey image"
    return f"{raised}; not better than the same models with a grey image: they learned the form of answers alone"


def headline(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the verdict on the paper's first claim, and a sentence that gives the numbers behind it."""
    claim = document["claims"][0]
    families = document["plan"]["families"]
    means = {row["arm"]: row["rs_probe"]["mean"] for row in document["table"]}
    order = ", ".join(f"{f} {means[f]:.3f}" for f in families if means.get(f) is not None)
    n_seeds = len(document["plan"]["seeds"])
    over = f"means over {n_seeds} seeds" if n_seeds > 1 else "one seed"
    if claim["verdict"] == "cannot tell":
        text = f"RS on the probe set ({over}): {order}. Too few models of each family are finished to test a trend."
    else:
        change = {"reproduced": "falls", "reversed": "rises", "not reproduced": "is not shown to move"}
        text = (
            f"RS on the probe set {change[claim['verdict']]} with the complexity of what a model was trained on "
            f"({over}): {order}. "
            f"Jonckheere's trend test, two-sided: p = {claim['p']:.3g}, at significance level {SIGNIFICANCE_LEVEL}."
        )
    return {"verdict": claim["verdict"].capitalize(), "text": text}
