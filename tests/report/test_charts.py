"""Charts: what they hold, what they refuse, and that names stay text."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from vtbench.report.charts import ChartError, Series, line_chart, matrix, scatter, token_map
from vtbench.report.page import environment, scripts_for
from vtbench.report.score_charts import score_charts

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


def data_of(markup: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json">(.*?)</script>', markup, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_a_line_chart_holds_its_numbers_as_data_and_as_a_table() -> None:
    chart = line_chart(
        "Layers", "layer", "RS", [Series("a", [0, 1], [0.25, None], [0.2, None], [0.3, None])], x_names=["in", "out"]
    )
    assert data_of(chart)["series"] == [
        {"name": "a", "x": [0, 1], "y": [0.25, None], "low": [0.2, None], "high": [0.3, None]}
    ]
    assert "0.25 (0.2 to 0.3)" in chart
    assert '<th scope="row">out</th><td class="n">–</td>' in chart
    assert 'role="img"' in chart
    assert "12.5" in line_chart("t", "x", "y", [Series("a", [1], [0.125])], percent=True)
    assert len(scripts_for(chart)) == 2


@pytest.mark.parametrize(
    ("series", "names", "says"),
    [
        (Series("a", [0, 1], [1.0]), None, "equally long"),
        (Series("a", [0, 2], [1.0, 1.0]), ["in", "out"], "beyond its 2 names"),
        (Series("a", [0.5], [1.0]), ["in"], "beyond its 1 names"),
    ],
)
def test_inconsistent_series_are_errors(series: Series, names: list[str] | None, says: str) -> None:
    with pytest.raises(ChartError, match=says):
        line_chart("Layers", "layer", "RS", [series], x_names=names)


def test_a_scatter_plot_is_small_and_keeps_its_shape() -> None:
    points = [(float(i % 40), float(i // 40)) for i in range(1600)]
    chart = scatter("t-SNE", points, ["b" if x < 20 else "a" for x, _ in points], caption="0.7")
    data = data_of(chart)
    assert data["names"] == ["a", "b"]
    assert (data["x"][:2], data["x"][39], data["y"][-1]) == ([0, 26], 999, 999)
    assert data["of"][0] == 1
    assert len(chart) < 20_000
    with pytest.raises(ChartError, match="2 points, but 1 labels"):
        scatter("t-SNE", points[:2], ["a"])


def test_a_matrix_is_a_table_shaded_by_its_numbers() -> None:
    table = matrix(
        "Cues", ["shape"], ["pixels", "encoder", "none"], [[0.25, 2.0, None]], low=0, high=1, digits=0, percent=True
    )
    assert re.findall(r"<td[^>]*>[^<]+</td>", table) == [
        '<td style="--share:25%">25</td>',
        '<td style="--share:100%">200</td>',
        "<td>–</td>",
    ]
    with pytest.raises(ChartError, match="1 rows of 2"):
        matrix("Cues", ["shape"], ["a", "b"], [[1.0]], low=0, high=1)


def test_a_token_map_names_tokens_by_place_and_their_top_patches() -> None:
    values = [[0.0, 0.5], [1.5, 0.25], [0.0, 0.0], [0.0, 0.0]]
    chart = token_map("Map", "data:image/png;base64,", values, (2, 2), (1, 2))
    assert "row 1, column 1: 1.500, row 1, column 2: 0.250" in chart
    assert data_of(chart)["values"] == values
    assert '<th scope="row">2</th>' in token_map("Map", "", values, None, (1, 2))
    with pytest.raises(ChartError, match="do not fill"):
        token_map("Map", "", values, (3, 3), (1, 2))
    with pytest.raises(ChartError, match="4 rows of 9"):
        token_map("Map", "", values, None, (3, 3))


def test_names_stay_text_in_every_chart() -> None:
    charts = [
        line_chart(EVIL, EVIL, EVIL, [Series(EVIL, [0], [1.0])], x_names=[EVIL]),
        scatter(EVIL, [(0.0, 1.0)], [EVIL], caption=EVIL),
        matrix(EVIL, [EVIL], [EVIL], [[1.0]], low=0, high=1),
        token_map(EVIL, EVIL, [[1.0]], None, (1, 1)),
    ]
    for chart in charts:
        assert "alert(1)" in chart
        assert "<script>" not in chart
        assert "<img src=x" not in chart
    page = environment().from_string(
        '{% extends "page.html.jinja" %}{% block main %}{{ charts|join("\n") }}{% endblock %}'
    )
    assert page.render(charts=charts).count("<script>") == len(scripts_for("".join(charts)))


def score(**fields: Any) -> dict[str, Any]:
    return {"metric": "m", "value": 0.5, "interval": [0.4, 0.6], "percent": False, "detail": {}} | fields


def test_layers_curves_maps_and_retention_are_drawn() -> None:
    curve = [
        {"policy": "any", "fraction": 0.0, "value": 0.25, "low": 0.2, "high": 0.3},
        {"policy": "grid", "fraction": 0.5, "value": None, "low": None, "high": None},
        {"policy": "random", "fraction": 0.5, "value": 0.5, "low": 0.4, "high": 0.6},
    ]
    drawn = score_charts(
        {
            "rs_decoder_25": score(detail={"layer": "decoder_25"}),
            "rs_encoder": score(detail={"layer": "encoder"}, interval=None),
            "area": score(detail={"curve": curve}),
            "carriers": score(detail={"map": [[0.0, 1.0], [2.0, 4.0]]}),
            "cue": score(detail={"retention": {"connector": 0.5, "pixels": 0.1}}),
        },
        "data:image/png;base64,x",
    )
    layers, area, tokens, retained = drawn
    assert data_of(layers)["names"] == ["encoder", "decoder_25"]
    assert data_of(layers)["series"][0]["low"] == [None, 0.4]
    assert {line["name"]: line["x"] for line in data_of(area)["series"]} == {"grid": [0, 0.5], "random": [0, 0.5]}
    assert data_of(tokens)["patches"] == [1, 2]
    assert "data:image/png;base64,x" in tokens
    assert retained.index("pixels") < retained.index("connector")


def test_curves_of_one_title_share_a_chart() -> None:
    def of(line: str, *values: float, **changed: Any) -> dict[str, Any]:
        axes = {"title": "Kept", "x": "tokens", "y": "share", "line": line, "percent": True} | changed
        rows = [{"tokens": 2**k, "value": v, "low": v, "high": None} for k, v in enumerate(values)]
        return score(detail={"curve": rows[::-1], "curve_axes": axes})

    scores = {"rs": of("pixels", 0.5, 1.0), "cue": of("cues", 0.7, 0.9, 1.0), "other": of("x", 1.0, title=3)}
    alone, shared = score_charts(scores)
    assert "other: value by tokens" in alone
    data = data_of(shared)
    assert (data["x"], data["y"]) == ("tokens", "share (%)")
    assert [(line["name"], line["x"], line["y"]) for line in data["series"]] == [
        ("pixels", [1, 2], [50, 100]),
        ("cues", [1, 2, 4], [70, 90, 100]),
    ]


@pytest.mark.parametrize(
    "detail",
    [
        {},
        {"map": [[1.0], [1.0, 2.0]]},
        {"map": [["x"]]},
        {"map": 3},
        {"curve": [1, 2]},
        {"curve": []},
        {"curve": [{"a": "b"}]},
        {"curve": [{"x": 1.0}]},
        {"retention": [1]},
        {"layer": 3},
    ],
)
def test_details_of_another_form_are_not_drawn(detail: dict[str, Any]) -> None:
    assert score_charts({"score": score(detail=detail)}) == []


def test_a_curve_of_several_lines_says_what_its_axes_are() -> None:
    rows = [
        {"policy": policy, "fraction": x, "value": x / 2, "low": x / 4, "high": x}
        for policy in ("random", "grid")
        for x in (0.1, 1.0)
    ]
    axes = {"title": "Accuracy against tokens", "x": "share of tokens", "y": "accuracy", "percent": True}
    (named,) = score_charts({"drop": score(detail={"curve": rows, "curve_axes": axes})})
    assert "Accuracy against tokens" in named
    assert "accuracy (%)" in named
    assert "share of tokens" in named
    (bare,) = score_charts({"drop": score(detail={"curve": rows})})
    assert "drop: value by fraction" in bare
