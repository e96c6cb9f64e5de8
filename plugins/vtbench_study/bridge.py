"""The bridge from synthetic to natural scenes: do models that are better on the ones do better on the others?

A family of the study and a test that asks the same kind of question about other images (`relational` and
`natural_relational`) are counterparts. The unit is an arm: the mean over its seeds, which are not independent of each
other; a shipped model is an arm of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vtbench.registry import Registry
from vtbench.task.catalog import find_task_files, summary
from vtbench_study.model_results import mean_of_known
from vtbench_study.plan import Plan
from vtbench_study.rank_agreement import RankAgreement, rank_agreement

ALL = "all"
"""The row over all counterparts together."""
MEASURED = {"accuracy": "generated answers", "ranking": "ranked answers", "rs": "RS"}
"""What is compared: by generated and by ranked answers, and RS on the probe set with that on the test's images."""
Values = Mapping[str, Mapping[tuple[str, str], tuple[float | None, float | None]]]
"""By arm and counterparts, the value of both."""


def counterparts(plan: Plan, registry: Registry) -> list[tuple[str, str]]:
    """Return the pairs of a family and a test whose scenes are of one family, in the order of the plan."""
    files = find_task_files(registry.task_dirs()) | {Path(file).stem: Path(file) for file in plan.files}
    kinds = {task: summary(files[task])["family"] for task in (*plan.families, *plan.tests)}
    return [
        (family, test)
        for family in plan.families
        for test in plan.tests
        if kinds[family] == kinds[test] and kinds[family] not in ("data", "mix")
    ]


def bridge_rows(plan: Plan, models: Sequence[Mapping[str, Any]], registry: Registry) -> list[dict[str, Any]]:
    """Return for each number and each pair of counterparts how well the arms keep their order.

    Args:
        plan: of the study.
        models: what `read_model_results` and `shipped_results` returned.
        registry: has the task files.

    Returns:
        Rows with `measure`, `family`, `test`, the number of `pairs` and the fields of `RankAgreement`; of several pairs
        a row over all stands last, with the mean of their correlations. None where a study has no tests.
    """
    pairs = counterparts(plan, registry)
    arms: dict[str, list[Mapping[str, Any]]] = {}
    for results in models if pairs else ():
        arms.setdefault(results["arm"], []).append(results)
    rows = []
    for measure in MEASURED:
        values = {arm: {pair: _means(seeds, measure, *pair) for pair in pairs} for arm, seeds in arms.items()}
        rows += agreement_rows(measure, pairs, values)
    return rows


def agreement_rows(measure: str, pairs: Sequence[tuple[str, str]], values: Values) -> list[dict[str, Any]]:
    """Return a row for each pair of counterparts that models were measured on, and one over all of them.

    A model that lacks a value is left out of the rows that need it, and pairs on one side of which all models are alike
    (at 0, say) out of the last row.
    """
    known = [pair for pair in pairs if any(None not in by_pair[pair] for by_pair in values.values())]
    each = {pair: _agreement(values, [pair]) for pair in known}
    rows = [_row(measure, *pair, 1, found) for pair, found in each.items()]
    some = [pair for pair, found in each.items() if found.rho is not None]
    return rows + ([_row(measure, ALL, ALL, len(some), _agreement(values, some))] if len(some) > 1 else [])


def _row(measure: str, family: str, test: str, pairs: int, found: RankAgreement) -> dict[str, Any]:
    return {"measure": measure, "family": family, "test": test, "pairs": pairs} | found.row()


def _agreement(values: Values, pairs: Sequence[tuple[str, str]]) -> RankAgreement:
    sides: tuple[list[list[float]], list[list[float]]] = ([], [])
    for by_pair in values.values():
        row = [by_pair[pair] for pair in pairs]
        if all(x is not None and y is not None for x, y in row):
            for side, found in zip(sides, zip(*row, strict=True), strict=True):
                side.append([float(value) for value in found if value is not None])
    return rank_agreement(*sides)


def _means(
    seeds: Sequence[Mapping[str, Any]], measure: str, family: str, test: str
) -> tuple[float | None, float | None]:
    both = [_values(results, measure, family, test) for results in seeds]
    return mean_of_known([x for x, _ in both]), mean_of_known([y for _, y in both])


def _values(results: Mapping[str, Any], measure: str, family: str, test: str) -> tuple[float | None, float | None]:
    tested = results["tests"][test]
    if measure == "rs":
        return results["redundancy"]["rs"]["value"], tested["rs"]
    if measure == "ranking":
        return results["ranking"].get(family, {}).get("value"), tested["ranking"]
    return results["accuracy"][family]["value"], tested["value"]
