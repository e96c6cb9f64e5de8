"""A study's document as one self-contained HTML page in the style of the report, with everything escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

import vtbench
from vtbench.report.charts import Series, line_chart, matrix, scatter, token_map
from vtbench.report.page import environment
from vtbench.report.terms import Terms
from vtbench_probes.report import separation_caption
from vtbench_study.text_report import (
    advice_text,
    association_text,
    bridge_text,
    change_text,
    equivalence_text,
    headline,
    interval_text,
    learning_text,
    p_text,
    power_text,
    trend_text,
)

PROBE = "attention"
"""The probe whose retention the page shows; that of the linear probe is in cues.csv."""


def study_page(document: Mapping[str, Any], terms: Terms | None = None, image: str | None = None) -> str:
    """Return the HTML of the page.

    Args:
        document: what `summary.summarise` returned.
        terms: what its scores and flags mean; without them, they are not linked.
        image: an example image of the probe set as a data URI, on which the page draws which patches a token carries.
    """
    formatters = {
        "interval_text": interval_text,
        "trend_text": trend_text,
        "change_text": change_text,
        "equivalence_text": equivalence_text,
        "power_text": power_text,
        "association_text": association_text,
        "advice_text": advice_text,
        "bridge_text": bridge_text,
        "p_text": p_text,
        "learning_text": learning_text,
    }
    charts = {
        "findings": list(_finding_charts(document)),
        "transfer": _transfer_chart(document),
        "layers": _layer_chart(document),
        "drops": list(_drop_charts(document)),
        "retention": _retention_chart(document),
        "stages": list(_stage_charts(document)),
        "controls": _control_chart(document),
        "panels": list(_panels(document)),
        "maps": list(_token_maps(document, image)),
    }
    template = environment("vtbench_study").get_template("study.html.jinja")
    return template.render(
        study=document,
        headline=headline(document),
        terms=terms or Terms(),
        version=vtbench.__version__,
        **formatters,
        **charts,
    )


def _finding_charts(document: Mapping[str, Any]) -> Iterator[Markup]:
    """RS on the probe set and accuracy on its own family by training family, beside what the paper claims."""
    families = document["plan"]["families"]
    rows = {row["arm"]: row for row in document["table"]}
    known = [float(i) for i, family in enumerate(families) if family in rows]
    claimed = [float(i) for i, family in enumerate(families) if family in document["paper"]]
    for key, score, title, label, percent in (
        ("rs_probe", "rs", "Redundancy Score on the same images, by training family", "RS", False),
        ("accuracy", "accuracy", "Accuracy on the family that it was trained on", "accuracy", True),
    ):
        series = [_series("measured", known, [rows[families[int(i)]][key] for i in known])]
        if claimed:
            claims = [document["paper"][families[int(i)]][score] for i in claimed]
            series.append(Series("claimed by the paper", claimed, claims))
        if known:
            yield line_chart(title, "trained on", label, series, x_names=families, percent=percent)


def _transfer_chart(document: Mapping[str, Any]) -> Markup:
    families = [*document["plan"]["families"], *document["plan"].get("tests", ())]
    rows = document["transfer"]
    names = {"blind": "blind: the column's own models, grey image"}
    values = [[row[family]["mean"] if family in row else None for family in families] for row in rows.values()]
    title = "Trained on (rows), asked about (columns): accuracy, for scene graphs tuple F1"
    return matrix(title, [names.get(arm, arm) for arm in rows], families, values, low=0, high=1, digits=1, percent=True)


def _series(name: str, xs: list[float], means: list[Mapping[str, Any]]) -> Series:
    lows, highs = ([mean[key] for mean in means] for key in ("low", "high"))
    return Series(name, xs, [mean["mean"] for mean in means], lows, highs)


def _layer_chart(document: Mapping[str, Any]) -> Markup | str:
    layers = list(next(iter(document["layers"].values()), {}))
    if not layers:
        return ""
    series = [
        _series(arm, [float(i) for i in range(len(layers))], [found[layer] for layer in layers])
        for arm, found in document["layers"].items()
    ]
    return line_chart("RS from layer to layer, on the probe set", "layer", "RS", series, x_names=layers)


def _drop_charts(document: Mapping[str, Any]) -> Iterator[Markup]:
    """For each family, the accuracy of the arms trained on it as tokens are dropped at random."""
    for family in document["plan"]["families"]:
        series = []
        for arm, families in document["drop"].items():
            points = [p for p in families.get(family, []) if p["policy"] in ("any", "random")]
            if points:
                series.append(_series(arm, [point["tokens"] for point in points], points))
        if series:
            yield line_chart(
                f"{family}: accuracy against visual tokens kept", "visual tokens kept", "accuracy", series, percent=True
            )


def _retention_chart(document: Mapping[str, Any]) -> Markup | str:
    """Retention at the connector, by arm and cue."""
    cues = _names(document, "cue")
    if not cues:
        return ""
    values = [[_retention(rows, cue, "connector", PROBE) for cue in cues] for rows in document["cues"].values()]
    return matrix("Retention at the connector, by arm and cue", list(document["cues"]), cues, values, low=0, high=1)


def _stage_charts(document: Mapping[str, Any]) -> Iterator[Markup]:
    """For each arm, retention by cue and stage."""
    cues, stages = _names(document, "cue"), _names(document, "stage")
    for arm, rows in document["cues"].items():
        values = [[_retention(rows, cue, stage, PROBE) for stage in stages] for cue in cues]
        yield matrix(f"{arm}: retention by cue and stage", cues, stages, values, low=0, high=1)


def _control_chart(document: Mapping[str, Any]) -> Markup | str:
    """The largest retention of each control in any arm."""
    cues, controls = _names(document, "cue"), ("shuffled", "grey")
    if not cues:
        return ""
    found = [
        [
            [_retention(rows, cue, "connector", PROBE, control) for rows in document["cues"].values()]
            for control in controls
        ]
        for cue in cues
    ]
    values = [[max((v for v in cell if v is not None), default=None) for cell in row] for row in found]
    title = "Controls at the connector: the largest retention in any arm; 0 is chance"
    return matrix(title, cues, controls, values, low=0, high=1)


def _names(document: Mapping[str, Any], key: str) -> list[str]:
    """Return the cues (or stages) that some arm has retention values of, in their order."""
    rows = [row for rows in document["cues"].values() for row in rows if row["probe"] == PROBE and not row["control"]]
    return list(dict.fromkeys(row[key] for row in rows))


def _retention(rows: list[Mapping[str, Any]], cue: str, stage: str, probe: str, control: str = "") -> float | None:
    wanted = (cue, stage, probe, control)
    found = [row["retention"] for row in rows if (row["cue"], row["stage"], row["probe"], row["control"]) == wanted]
    return found[0] if found else None


def _panels(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """For each arm the t-SNE of its first model's tokens, with the separation numbers of all its models."""
    for arm, panel in document["panels"].items():
        if not panel["points"]:  # a study of which only the numbers are kept
            continue
        points = [(x, y) for x, y in panel["points"]]
        numbers = document["separation"][arm]
        charts = {
            labelling: scatter(
                f"{arm}, coloured by {labelling}",
                points,
                [word or "none" for word in words],
                caption=_separation_text(numbers[labelling]),
            )
            for labelling, words in panel["labels"].items()
        }
        yield {"arm": arm, "first": charts.pop("object"), "others": list(charts.values())}


def _separation_text(numbers: Mapping[str, Any]) -> str:
    n_models = len(numbers["silhouette"]["values"])
    means = {name: numbers[name]["mean"] for name in ("silhouette", "purity")}
    return separation_caption(
        means | {"chance": numbers["chance"]}, f", mean of {n_models} model{'s' if n_models > 1 else ''}"
    )


def _token_maps(document: Mapping[str, Any], image: str | None) -> Iterator[Markup]:
    """For each arm, which patches each token carries, drawn on the example image."""
    for arm, rows in document["carriers"].items():
        side = round(len(rows) ** 0.5) if rows else 0
        patches = round(len(rows[0]) ** 0.5) if rows else 0
        if image and rows and patches**2 == len(rows[0]):
            grid = (side, side) if side**2 == len(rows) else None
            yield token_map(f"{arm}: what each token carries", image, rows, grid, (patches, patches))
