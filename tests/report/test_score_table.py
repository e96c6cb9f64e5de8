"""Tables of scores: bars, headlines, comparison with other runs."""

from __future__ import annotations

from vtbench.report.score_table import bar, compared_scores, headlines, other_runs, overview


def score(**fields: object) -> dict[str, object]:
    return {"metric": "m", "value": 0.5, "interval": [0.4, 0.6], "chance": None, "percent": True} | fields


def test_bars_are_of_fractions_only() -> None:
    assert bar(score(chance=0.25)) == {"low": 40, "high": 60, "value": 50, "chance": 25}
    assert bar(score(percent=False)) is None
    assert bar(score(value=None, interval=None)) is None
    assert bar(score(interval=[-0.1, 0.6])) is None


def test_the_summary_has_each_metric_and_each_value_once() -> None:
    scores = {
        "a": score(metric="m"),
        "a2": score(metric="m", value=0.7),
        "b": score(metric="n"),
        "c": score(metric="o", value=None),
        "d": score(metric="p", value=0.1),
    }
    assert headlines(scores, 5) == ["a", "d", "c"]
    assert headlines(scores, 1) == ["a"]


def test_compared_scores_name_runs_with_other_samples() -> None:
    def document(value: float, n: int) -> dict[str, object]:
        task = {"configs": {}, "versions": 1, "n-samples": n}
        return {"scores": {"t": {"acc": score(value=value)}}} | {key: {"t": one} for key, one in task.items()}

    run: dict[str, object] = {"config": {}}
    own, same, other = document(0.5, 9), document(0.6, 9), document(0.7, 8)
    found = compared_scores("t", own, other_runs([(run, same), (run, other), (run, {"scores": {}})]))
    assert found is not None
    assert [s and s["value"] for s in found["rows"]["acc"]] == [0.5, 0.6, 0.7, None]
    assert found["different"] == ["C"]
    assert compared_scores("t", own, other_runs([({}, {"scores": {}})])) is None


def test_scores_of_two_protocols_are_not_shown_side_by_side() -> None:
    def document(protocol: str) -> dict[str, object]:
        task = {"configs": {}, "versions": 1, "n-samples": 9}
        scores = {"acc": score(), "rs": score(detail={"protocol": protocol}), f"only {protocol}": score()}
        return {"scores": {"t": scores}} | {key: {"t": one} for key, one in task.items()}

    run: dict[str, object] = {"config": {}}
    found = compared_scores("t", document("v2"), other_runs([(run, document("v1")), (run, document("v2"))]))
    assert found is not None
    assert [s and s["value"] for s in found["rows"]["rs"]] == [0.5, None, 0.5]
    assert [s and s["value"] for s in found["rows"]["acc"]] == [0.5, 0.5, 0.5]
    assert found["unlike"] == {"B": ["rs"]}


def test_scores_at_unequal_m_are_marked() -> None:
    def document(m: int) -> dict[str, object]:
        task = {"configs": {}, "versions": 1, "n-samples": 9}
        detail = {"protocol": "rs-v2", "m": m}
        scores = {"acc": score(), "rs": score(detail=detail), "n_eff_16": score(detail=detail)}
        return {"scores": {"t": scores}} | {key: {"t": one} for key, one in task.items()}

    run: dict[str, object] = {"config": {}}
    found = compared_scores("t", document(58), other_runs([(run, document(16))]))
    assert found is not None
    assert found["unequal_m"] == ["rs"]
    assert [s and s["m"] for s in found["rows"]["rs"]] == [58, 16]
    alike = compared_scores("t", document(58), other_runs([(run, document(58))]))
    assert alike is not None
    assert alike["unequal_m"] == []


def test_a_run_that_was_asked_in_another_way_asked_the_same_samples() -> None:
    def document(**config: object) -> dict[str, object]:
        task = {"configs": {"seed": 0, **config}, "versions": 1, "n-samples": 9}
        return {"scores": {"t": {"acc": score()}}} | {key: {"t": one} for key, one in task.items()}

    own = document()  # of a run before there were prompt formats
    plain, instruct, other_seed = document(prompt_format="plain"), document(prompt_format="instruct"), document(seed=1)
    others = [({"config": {"system": system}}, d) for system, d in ((None, plain), ("x", instruct), (None, other_seed))]
    found = compared_scores("t", own, other_runs(others))
    assert found is not None
    assert found["different"] == ["D"]
    assert found["asked"] == {"B": "plain", "C": "instruct · system prompt", "D": "plain"}


def test_a_table_over_tasks_has_the_scores_that_most_of_them_have() -> None:
    shapes = {"acc": score(), "rs": score(metric="r", value=0.7)}
    graphs = {"f1": score(metric="g", value=0.9), "rs": score(metric="r", value=0.6)}
    assert overview({"shapes": shapes}) == []
    assert overview({"shapes": shapes, "graphs": graphs}) == ["acc", "rs", "f1"]
    assert overview({"shapes": shapes, "graphs": graphs}, count=1) == ["rs"]
