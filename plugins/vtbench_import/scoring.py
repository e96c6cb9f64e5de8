"""`metric_list` and `process_results` of a task file in, the metrics of its task out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from vtbench.metric import Metric
from vtbench.types import Sample
from vtbench_import.answers import Answers
from vtbench_import.code import Code
from vtbench_import.metric_factories import ExactMatch, LengthNormalised, Processed, references
from vtbench_import.recipe import Function, Recipe
from vtbench_import.reducing import Aggregation

_ABOUT = frozenset({"metric", "aggregation", "higher_is_better", "hf_evaluate"})
_MATCHING = frozenset({"ignore_case", "ignore_punctuation", "ignore_numbers", "regexes_to_ignore"})
_RANKED: Mapping[str, Callable[[str], int]] = {"acc_norm": len, "acc_bytes": lambda choice: len(choice.encode())}
_DEFAULTS = {"generate_until": ["exact_match"], "multiple_choice": ["acc", "acc_norm"]}
"""What both harnesses score where a task names nothing."""

Own = dict[str, Callable[[], Metric]]


def read_metrics(
    recipe: Recipe, code: Code, answers: Answers, several: bool, document: Callable[[Sample], Any]
) -> tuple[tuple[str, ...], Own]:
    """Return the names of a task's metrics, and the factories of those that it brings.

    Args:
        recipe: the task file.
        code: its code.
        answers: which part of a text counts.
        several: whether a question has several right answers.
        document: the row behind a sample, as code expects it.

    Raises:
        TaskError: a score cannot be taken over, or code may not run.
    """
    kind = recipe.get("output_type", "generate_until")
    if kind not in _DEFAULTS:
        raise recipe.error(f"must be generate_until or multiple_choice here, not {kind!r}", "output_type")
    if isinstance(process := recipe.get("process_results"), Function):
        if kind == "multiple_choice":
            raise recipe.error("code gets no likelihoods here; leave it out, or use generate_until", "process_results")
        return _processed(recipe, code, answers, code.load(process, "process_results"), document)
    own: Own = {}
    names: list[str] = []
    for entry, where in _entries(recipe, _DEFAULTS[kind]):
        brought: Mapping[str, Callable[[], Metric] | None]
        if isinstance(entry["metric"], Function):
            brought = _coded(entry, recipe, code, answers, where)
        else:
            brought = _known(entry, kind, recipe, answers, where)
        own |= {name: factory for name, factory in brought.items() if factory}
        names += brought
    if "exact_match" in own and not several:
        names.append("accuracy")  # vtbench's own reading of the same answers; it knows one right answer
    return tuple(dict.fromkeys(names)), own


def _entries(recipe: Recipe, default: list[str]) -> Iterator[tuple[Mapping[str, Any], tuple[str, int]]]:
    """Yield the entries of metric_list, and where each stands."""
    for index, entry in enumerate(recipe.get("metric_list", [{"metric": name} for name in default])):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("metric"), str | Function):
            raise recipe.error("must have a `metric`", "metric_list", index)
        yield entry, ("metric_list", index)


def _known(
    entry: Mapping[str, Any], kind: str, recipe: Recipe, answers: Answers, where: tuple[str, int]
) -> dict[str, Callable[[], Metric] | None]:
    """Return the metric of a score that both harnesses know by name; None for one of vtbench's own."""
    name, settings = entry["metric"], {key: value for key, value in entry.items() if key not in _ABOUT}
    matches = kind == "generate_until" and name == "exact_match"
    for key in settings:
        if not matches or key not in _MATCHING:
            raise recipe.error(f"not known here; {', '.join(sorted(_MATCHING))} of exact_match are", *where, key)
    if entry.get("aggregation") not in (None, "mean"):
        raise recipe.error("must be mean", *where, "aggregation")
    if matches:
        return {name: partial(ExactMatch, answers, **settings)}
    if kind == "multiple_choice" and name == "acc":
        return {"rank_accuracy": None}
    if kind == "multiple_choice" and name in _RANKED:
        return {name: partial(LengthNormalised, name, _RANKED[name])}
    known = "exact_match" if kind == "generate_until" else f"acc, {', '.join(_RANKED)}"
    raise recipe.error(f"{name!r} is not scored here; of a {kind} task {known} can be", *where, "metric")


def _processed(
    recipe: Recipe, code: Code, answers: Answers, process: Callable[..., Any], document: Callable[[Sample], Any]
) -> tuple[tuple[str, ...], Own]:
    aggregations: dict[str, Aggregation | None] = {}
    for entry, where in _entries(recipe, []):
        aggregations[str(entry["metric"])] = _aggregation(entry, recipe, code, where)
    if not aggregations:
        raise recipe.error("needs a metric_list that names the scores", "process_results")

    def run(sample: Sample, text: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = process(document(sample), [text])
        return found

    return ("process_results",), {"process_results": partial(Processed, answers, run, aggregations)}


def _coded(entry: Mapping[str, Any], recipe: Recipe, code: Code, answers: Answers, where: tuple[str, int]) -> Own:
    function = entry["metric"]
    call, name = code.load(function, *where, "metric"), function.name.rpartition(".")[2]
    settings = {key: value for key, value in entry.items() if key not in _ABOUT}

    def run(sample: Sample, text: str) -> Mapping[str, Any]:
        """Call it in either of the two ways in which the harnesses do."""
        values = []
        for right in references(sample):
            try:
                found = call(references=[right], predictions=[text], **settings)
            except TypeError:
                found = call([right, text])
            values.append(found[name] if isinstance(found, Mapping) else found)
        return {name: values[0] if len(values) == 1 else float(any(values))}

    return {name: partial(Processed, answers, run, {name: _aggregation(entry, recipe, code, where)})}


def _aggregation(entry: Mapping[str, Any], recipe: Recipe, code: Code, where: tuple[str, int]) -> Aggregation | None:
    given = entry.get("aggregation")
    if isinstance(given, Function):
        return code.load(given, *where, "aggregation")
    if given not in (None, "mean"):
        raise recipe.error(f"must be mean or code here, not {given!r}", *where, "aggregation")
    return None
