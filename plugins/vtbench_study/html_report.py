"""A study's document as one HTML file in the looks of the report: no network, everything escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

import vtbench
from vtbench.report.charts import Series, line_chart, matrix, scatter, token_map
from vtbench.report.pages import environment
from vtbench_probes.sections import separated
from vtbench_study.showing import advised, interval, p_text, tested
from vtbench_study.telling import answer, learned

PROBE = "attention"
"""The probe whose readings the page shows; the linear one's are in cues.csv."""


def study_page(document: Mapping[str, Any], picture: str | None = None) -> str:
    """Return the page.

    Args:
        document: what `summary.summarise` made.
        picture: an example picture of the probe set as a data URI, under the maps of what each token carries.
    """
    tools = {"interval": interval, "tested": tested, "advised": advised, "p_text": p_text, "learned": learned}
    charts = {
        "transfer": _transfer(document),
        "layers": _layers(document),
        "drops": list(_drops(document)),
        "survival": _survival(document),
        "stages": list(_stages(document)),
        "controls": _controls(document),
        "panels": list(_panels(document)),
        "maps": list(_maps(document, picture)),
    }
    template = environment("vtbench_study").get_template("study.html.jinja")
    return template.render(study=document, answer=answer(document), version=vtbench.__version__, **tools, **charts)


def _transfer(document: Mapping[str, Any]) -> Markup:
    families, rows = document["plan"]["families"], document["transfer"]
    names = {"blind": "blind: the column's own models, grey picture"}
    values = [[row[family]["mean"] if family in row else None for family in families] for row in rows.values()]
    title = "Trained on (rows), asked about (columns): accuracy, for scene graphs tuple F1"
    return matrix(title, [names.get(arm, arm) for arm in rows], families, values, low=0, high=1, digits=1, percent=True)


def _series(name: str, xs: list[float], spreads: list[Mapping[str, Any]]) -> Series:
    lows, highs = ([spread[key] for spread in spreads] for key in ("low", "high"))
    return Series(name, xs, [spread["mean"] for spread in spreads], lows, highs)


def _layers(document: Mapping[str, Any]) -> Markup | str:
    layers = list(next(iter(document["layers"].values()), {}))
    if not layers:
        return ""
    series = [
        _series(arm, [float(i) for i in range(len(layers))], [found[layer] for layer in layers])
        for arm, found in document["layers"].items()
    ]
    return line_chart("RS from layer to layer, on the probe set", "layer", "RS", series, x_names=layers)


def _drops(document: Mapping[str, Any]) -> Iterator[Markup]:
    """One chart a family: what its arms keep as tokens are dropped at random."""
    for family in document["plan"]["families"]:
        series = []
        for arm, families in document["drop"].items():
            points = [p for p in families.get(family, []) if p["policy"] in ("any", "random")]
            if points:
                series.append(_series(arm, [point["tokens"] for point in points], points))
        if series:
            yield line_chart(f"Questions of {family}", "visual tokens kept", "right", series, percent=True)


def _survival(document: Mapping[str, Any]) -> Markup | str:
    """Retention at the connector, arms by cues."""
    cues = _names(document, "cue")
    if not cues:
        return ""
    values = [[_retention(rows, cue, "connector", PROBE) for cue in cues] for rows in document["cues"].values()]
    return matrix("Retention at the connector, by arm and cue", list(document["cues"]), cues, values, low=0, high=1)


def _stages(document: Mapping[str, Any]) -> Iterator[Markup]:
    """Retention by cue and stage, a matrix an arm."""
    cues, stages = _names(document, "cue"), _names(document, "stage")
    for arm, rows in document["cues"].items():
        values = [[_retention(rows, cue, stage, PROBE) for stage in stages] for cue in cues]
        yield matrix(f"{arm}: retention by cue and stage", cues, stages, values, low=0, high=1)


def _controls(document: Mapping[str, Any]) -> Markup | str:
    """The largest retention that each control reaches in any arm."""
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
    """Return cues that some arm has a reading of, or stages, in their order."""
    rows = [row for rows in document["cues"].values() for row in rows if row["probe"] == PROBE and not row["control"]]
    return list(dict.fromkeys(row[key] for row in rows))


def _retention(rows: list[Mapping[str, Any]], cue: str, stage: str, probe: str, control: str = "") -> float | None:
    wanted = (cue, stage, probe, control)
    found = [row["retention"] for row in rows if (row["cue"], row["stage"], row["probe"], row["control"]) == wanted]
    return found[0] if found else None


def _panels(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """For each arm its first model's tokens in the plane, and the numbers of all of its models."""
    for arm, panel in document["panels"].items():
        points = [(x, y) for x, y in panel["points"]]
        numbers = document["separation"][arm]
        charts = {
            colouring: scatter(
                f"{arm}, coloured by {colouring}",
                points,
                [word or "none" for word in words],
                caption=_separated(numbers[colouring]),
            )
            for colouring, words in panel["labels"].items()
        }
        yield {"arm": arm, "first": charts.pop("object"), "others": list(charts.values())}


def _separated(numbers: Mapping[str, Any]) -> str:
    seeds = len(numbers["silhouette"]["values"])
    means = {name: numbers[name]["mean"] for name in ("silhouette", "purity")}
    return separated(means | {"chance": numbers["chance"]}, f", mean of {seeds} model{'s' if seeds > 1 else ''}")


def _maps(document: Mapping[str, Any], picture: str | None) -> Iterator[Markup]:
    for arm, rows in document["carriers"].items():
        side = round(len(rows) ** 0.5) if rows else 0
        patches = round(len(rows[0]) ** 0.5) if rows else 0
        if picture and rows and patches**2 == len(rows[0]):
            grid = (side, side) if side**2 == len(rows) else None
            yield token_map(f"{arm}: what each token carries", picture, rows, grid, (patches, patches))
