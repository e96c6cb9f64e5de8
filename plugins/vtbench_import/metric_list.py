"""Reads `metric_list` and `process_results`: the names of a task's metrics, and factories of those it defines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from vtbench.metric import Metric
from vtbench.types import Sample
from vtbench_import.code_loader import CodeLoader
from vtbench_import.generation import GenerationSettings
from vtbench_import.task_config import Function, TaskConfig
from vtbench_import.task_metrics import Aggregation, CodeMetric, ExactMatch, NormalizedAccuracy, references

_ENTRY_KEYS = frozenset({"metric", "aggregation", "higher_is_better", "hf_evaluate"})
_MATCH_OPTIONS = frozenset({"ignore_case", "ignore_punctuation", "ignore_numbers", "regexes_to_ignore"})
_CHOICE_LENGTH: Mapping[str, Callable[[str], int]] = {
    "acc_norm": len,
    "acc_bytes": lambda choice: len(choice.encode()),
}
_DEFAULTS = {"generate_until": ["exact_match"], "multiple_choice": ["acc", "acc_norm"]}
"""The metrics of both harnesses where a task names none."""

MetricFactories = dict[str, Callable[[], Metric]]


def read_metrics(
    config: TaskConfig,
    code: CodeLoader,
    generation: GenerationSettings,
    several: bool,
    document: Callable[[Sample], Any],
) -> tuple[tuple[str, ...], MetricFactories]:
    """Return the names of a task's metrics, and factories of the metrics that it defines.

    Args:
        config: the task config.
        code: loads functions.
        generation: decides which part of an output is scored.
        several: whether a question has several correct answers.
        document: returns the row of a sample, as code expects it.

    Raises:
        TaskError: a metric is not supported, or code may not run.
    """
    kind = config.get("output_type", "generate_until")
    if kind not in _DEFAULTS:
        raise config.error(f"must be generate_until or multiple_choice here, not {kind!r}", "output_type")
    if isinstance(process := config.get("process_results"), Function):
        if kind == "multiple_choice":
            raise config.error("code gets no likelihoods here; leave it out, or use generate_until", "process_results")
        return _results_metric(config, code, generation, code.load(process, "process_results"), document)
    factories: MetricFactories = {}
    names: list[str] = []
    for entry, path in _entries(config, _DEFAULTS[kind]):
        found: Mapping[str, Callable[[], Metric] | None]
        if isinstance(entry["metric"], Function):
            found = _function_metric(entry, config, code, generation, path)
        else:
            found = _named_metric(entry, kind, config, generation, path)
        factories |= {name: factory for name, factory in found.items() if factory}
        names += found
    if "exact_match" in factories and not several:
        names.append("accuracy")  # vtbench's reading of the same outputs; it supports one correct answer
    return tuple(dict.fromkeys(names)), factories


def _entries(config: TaskConfig, default: list[str]) -> Iterator[tuple[Mapping[str, Any], tuple[str, int]]]:
    """Yield the entries of metric_list with the path of keys to each."""
    for index, entry in enumerate(config.get("metric_list", [{"metric": name} for name in default])):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("metric"), str | Function):
            raise config.error("must have a `metric`", "metric_list", index)
        yield entry, ("metric_list", index)


def _named_metric(
    entry: Mapping[str, Any], kind: str, config: TaskConfig, generation: GenerationSettings, path: tuple[str, int]
) -> dict[str, Callable[[], Metric] | None]:
    """Return the metric that an entry names; None in place of a factory for a metric of vtbench."""
    name, settings = entry["metric"], {key: value for key, value in entry.items() if key not in _ENTRY_KEYS}
    matches = kind == "generate_until" and name == "exact_match"
    for key in settings:
        if not matches or key not in _MATCH_OPTIONS:
            raise config.error(
                f"unknown option; {', '.join(sorted(_MATCH_OPTIONS))} are those of exact_match", *path, key
            )
    if entry.get("aggregation") not in (None, "mean"):
        raise config.error("must be mean", *path, "aggregation")
    if matches:
        return {name: partial(ExactMatch, generation, **settings)}
    if kind == "multiple_choice" and name == "acc":
        return {"rank_accuracy": None}
    if kind == "multiple_choice" and name in _CHOICE_LENGTH:
        return {name: partial(NormalizedAccuracy, name, _CHOICE_LENGTH[name])}
    known = "exact_match" if kind == "generate_until" else f"acc, {', '.join(_CHOICE_LENGTH)}"
    raise config.error(f"{name!r} is not supported; a {kind} task can have {known}", *path, "metric")


def _results_metric(
    config: TaskConfig,
    code: CodeLoader,
    generation: GenerationSettings,
    process: Callable[..., Any],
    document: Callable[[Sample], Any],
) -> tuple[tuple[str, ...], MetricFactories]:
    aggregations: dict[str, Aggregation | None] = {}
    for entry, path in _entries(config, []):
        aggregations[str(entry["metric"])] = _aggregation(entry, config, code, path)
    if not aggregations:
        raise config.error("needs a metric_list that names its scores", "process_results")

    def run(sample: Sample, text: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = process(document(sample), [text])
        return found

    return ("process_results",), {"process_results": partial(CodeMetric, generation, run, aggregations)}


def _function_metric(
    entry: Mapping[str, Any],
    config: TaskConfig,
    code: CodeLoader,
    generation: GenerationSettings,
    path: tuple[str, int],
) -> MetricFactories:
    function = entry["metric"]
    call, name = code.load(function, *path, "metric"), function.name.rpartition(".")[2]
    settings = {key: value for key, value in entry.items() if key not in _ENTRY_KEYS}

    def run(sample: Sample, text: str) -> Mapping[str, Any]:
        """Call the function with keywords, else with a list, as the harnesses do."""
        values = []
        for reference in references(sample):
            try:
                found = call(references=[reference], predictions=[text], **settings)
            except TypeError:
                found = call([reference, text])
            values.append(found[name] if isinstance(found, Mapping) else found)
        return {name: values[0] if len(values) == 1 else float(any(values))}

    return {name: partial(CodeMetric, generation, run, {name: _aggregation(entry, config, code, path)})}


def _aggregation(
    entry: Mapping[str, Any], config: TaskConfig, code: CodeLoader, path: tuple[str, int]
) -> Aggregation | None:
    given = entry.get("aggregation")
    if isinstance(given, Function):
        return code.load(given, *path, "aggregation")
    if given not in (None, "mean"):
        raise config.error(f"must be mean or code here, not {given!r}", *path, "aggregation")
    return None
