"""What a study says, in plain sentences: its document in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vtbench_study.trend import SIGNIFICANT

VERDICTS = {
    "reproduced": "Reproduced",
    "not reproduced": "Not reproduced",
    "reversed": "Reversed",
    "cannot tell": "Cannot tell",
}


def answer(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the verdict on the paper's first claim, and the sentence that goes with it."""
    claim = document["claims"][0]
    families = document["plan"]["families"]
    means = {row["arm"]: row["rs_probe"]["mean"] for row in document["table"]}
    order = ", ".join(f"{f} {means[f]:.3f}" for f in families if means.get(f) is not None)
    seeds = len(document["plan"]["seeds"])
    over = f"means over {seeds} seeds" if seeds > 1 else "one seed"
    if claim["verdict"] == "cannot tell":
        text = f"RS on the probe set ({over}): {order}. Too few models of each family are finished to test a trend."
    else:
        how = {"reproduced": "falls", "reversed": "rises", "not reproduced": "does not move"}[claim["verdict"]]
        text = (
            f"RS on the probe set {how} with the complexity of what a model was trained on ({over}): {order}. "
            f"Jonckheere's trend test, two-sided: p = {claim['p']:.3g}; {SIGNIFICANT} was the bar."
        )
    return {"verdict": VERDICTS[claim["verdict"]], "text": text}


def learned(row: Mapping[str, Any]) -> str:
    """Say whether training on a family raised its accuracy, and whether the model looks at the picture for it."""
    raised = "raised over the base" if row["raised"] else "not surely raised over the base"
    if row["sees"]:
        return f"{raised}; better than its models answer a grey picture"
    return f"{raised}; not better than its models answer a grey picture: they learned the form of answers alone"
