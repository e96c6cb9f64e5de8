"""vtbench: what a vision-language model answers, and what its visual tokens carry.

    import vtbench

    result = vtbench.run(model="llava", tasks=["relational"])
    result.scores["relational"]["acc"]

`__all__` is the public contract: the names that users of the library and authors of plugins need. A name is imported
on first use, so that `import vtbench` stays fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vtbench.plugin import lazy_exports

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vtbench.adapter import (
        Adapter,
        BaseAdapter,
        BudgetAdapter,
        BudgetTrainableAdapter,
        Generation,
        TrainableAdapter,
        Traits,
    )
    from vtbench.budget import Budget, FittedBudget
    from vtbench.config import RunConfig
    from vtbench.console.progress import Listener
    from vtbench.engine.multi_model import MultiModelResult
    from vtbench.errors import AdapterError, OutOfMemory, SampleError, TaskError, VtbenchError
    from vtbench.executor import Executor
    from vtbench.hookspecs import hookimpl
    from vtbench.metric import BaseMetric, Batch, BudgetMetric, Metric, VisualMetric
    from vtbench.registry import Registry
    from vtbench.runs.results import RunResult
    from vtbench.tracker import Summary, Tracker
    from vtbench.types import Capability, Message, Observation, Output, Record, Sample, Score, Task, VisualTokens
    from vtbench_analysis.comparison.run_comparison import RunComparison

_HOMES = {
    "Adapter": "adapter",
    "AdapterError": "errors",
    "BaseAdapter": "adapter",
    "BaseMetric": "metric",
    "Batch": "metric",
    "Budget": "budget",
    "BudgetAdapter": "adapter",
    "BudgetMetric": "metric",
    "BudgetTrainableAdapter": "adapter",
    "Capability": "types",
    "Executor": "executor",
    "FittedBudget": "budget",
    "Generation": "adapter",
    "Listener": "console.progress",
    "Message": "types",
    "Metric": "metric",
    "MultiModelResult": "engine.multi_model",
    "Observation": "types",
    "OutOfMemory": "errors",
    "Output": "types",
    "Record": "types",
    "Registry": "registry",
    "RunConfig": "config",
    "RunResult": "runs.results",
    "Sample": "types",
    "SampleError": "errors",
    "Score": "types",
    "Summary": "tracker",
    "Task": "types",
    "TaskError": "errors",
    "Tracker": "tracker",
    "TrainableAdapter": "adapter",
    "Traits": "adapter",
    "VisualMetric": "metric",
    "VisualTokens": "types",
    "VtbenchError": "errors",
    "hookimpl": "hookspecs",
}
__getattr__ = lazy_exports(__name__, _HOMES)
__all__ = [
    "Adapter",
    "AdapterError",
    "BaseAdapter",
    "BaseMetric",
    "Batch",
    "Budget",
    "BudgetAdapter",
    "BudgetMetric",
    "BudgetTrainableAdapter",
    "Capability",
    "Executor",
    "FittedBudget",
    "Generation",
    "Listener",
    "Message",
    "Metric",
    "MultiModelResult",
    "Observation",
    "OutOfMemory",
    "Output",
    "Record",
    "Registry",
    "RunConfig",
    "RunResult",
    "Sample",
    "SampleError",
    "Score",
    "Summary",
    "Task",
    "TaskError",
    "Tracker",
    "TrainableAdapter",
    "Traits",
    "VisualMetric",
    "VisualTokens",
    "VtbenchError",
    "__version__",
    "compare",
    "hookimpl",
    "run",
    "run_many",
]


def run(
    model: str | None = None,
    tasks: Sequence[str | Path] | str | None = None,
    *,
    config: RunConfig | None = None,
    model_args: Mapping[str, Any] | str | None = None,
    limit: float | None = None,
    batch_size: int | Literal["auto"] | None = None,
    device: str | None = None,
    dtype: str | None = None,
    split: str | None = None,
    metrics: Sequence[str] | str | None = None,
    seed: int | None = None,
    prompt_format: str | None = None,
    max_new_tokens: int | None = None,
    system: str | None = None,
    gen: Mapping[str, Any] | str | None = None,
    chat_template_args: Mapping[str, Any] | str | None = None,
    fewshot: int | None = None,
    fewshot_seed: int | None = None,
    fewshot_as_multiturn: bool | None = None,
    cache: str | Path | None = None,
    predict_only: bool | None = None,
    budget: str | None = None,
    budget_sweep: bool | Sequence[str] | str | None = None,
    allow_code: bool | None = None,
    track: Sequence[str] | str | None = None,
    output: str | Path | None = None,
    name: str | None = None,
    resume: bool | str | Path | None = None,
    retry_failed: bool | None = None,
    max_failed: float | None = None,
    json: bool | None = None,
    executor: str | None = None,
    data_parallel: int | None = None,
    check_batching: bool | None = None,
    report: bool | None = None,
    registry: Registry | None = None,
    listener: Listener | None = None,
) -> RunResult:
    """Run a model on tasks: `vtbench.run("llava", ["relational"])`.

    The parameters are the flags of `vtbench run` (`vtbench.RunConfig` says what each means); None leaves the default.

    Args:
        model: name of an adapter.
        tasks: names, globs, files, groups or FORMAT:FILE.
        config: a whole config, whose fields the other parameters override.
        model_args: arguments of the adapter.
        limit: only the first `limit` samples of each task; below 1, this share of them.
        batch_size: samples per batch.
        device: where the model runs.
        dtype: number format of the weights.
        split: split of every task, overriding the task files.
        metrics: specs `NAME:setting=value`, replacing those of the tasks; `+NAME` adds a metric to them.
        seed: seed of every task, overriding the task files.
        prompt_format: how questions are put: `plain`, `instruct` or a task's own; None: what the model wants.
        max_new_tokens: tokens of an answer at most; None: what the prompt format needs.
        system: system prompt before every question.
        gen: how the model generates (`vtbench.Generation`).
        chat_template_args: variables of the chat template.
        fewshot: number of questions of the split `train` with their answers before each question.
        fewshot_seed: seed that draws them.
        fewshot_as_multiturn: whether they are turns of a chat, or stand in the message with the question.
        cache: directory of answers that any later run may use.
        predict_only: whether to store answers without scores.
        budget: token budget for every answer.
        budget_sweep: budgets to compare, or True for the default set.
        allow_code: whether Python code that an imported task names may run.
        track: trackers that receive the summary.
        output: parent directory of the run's directory.
        name: of the run's directory, after its time; by default model and tasks.
        resume: True to continue the newest run of the same config, or the path of a run.
        retry_failed: with `resume`, whether all failed samples are asked again, or none; None: those with an error that
            may pass.
        max_failed: fraction of samples that may fail before `exit_status` is 1.
        json: used by the command line only.
        executor: where the model runs.
        data_parallel: copies of the model on this machine, one a GPU.
        check_batching: used by the command line only.
        report: whether to write report.html.
        registry: plugins to use; the installed ones by default.
        listener: receives progress events; silent by default.

    Raises:
        VtbenchError: bad usage or input; the message is one line.
        KeyboardInterrupt: the user interrupted. Finished samples are on disk, and `resume=True` continues.
    """
    from vtbench.engine.loop import run as run_loop

    given = dict(locals())
    fields = {key: given[key] for key in _FIELDS if given[key] is not None}
    fields |= {key: str(value) for key in ("output", "resume", "cache") if isinstance(value := fields.get(key), Path)}
    return run_loop(config, registry=registry, listener=listener, **fields)


_FIELDS = (
    "model", "tasks", "model_args", "limit", "batch_size", "device", "dtype", "split", "metrics", "seed",
    "prompt_format", "max_new_tokens", "system", "gen", "chat_template_args", "fewshot", "fewshot_seed",
    "fewshot_as_multiturn", "cache", "predict_only", "budget", "budget_sweep", "allow_code", "track", "output", "name",
    "resume", "retry_failed", "max_failed", "json", "executor", "data_parallel", "check_batching", "report",
)  # fmt: skip
"""Parameters of `run` that are fields of `RunConfig`; a test compares the two."""


def run_many(
    models: Sequence[str] | str,
    *,
    registry: Registry | None = None,
    listener: Callable[[], Listener] | None = None,
    **fields: Any,
) -> MultiModelResult:
    """Run several models on the same tasks: `vtbench.run_many(["llava", "hf"], tasks=["all"])`.

    Args:
        models: names of adapters, or one string with commas.
        registry: plugins to use; the installed ones by default.
        listener: called once per model, returns the listener of its progress; silent by default.
        **fields: the other parameters of `run`.

    Raises:
        VtbenchError: bad usage or input, an unknown model, or one that does not take the `model_args`.
    """
    from vtbench.console.progress import Listener as Silent
    from vtbench.engine.multi_model import run_many as run_each

    return run_each(models, registry=registry, listener=listener or Silent, **fields)


def compare(runs: Sequence[str | Path]) -> RunComparison:
    """Compare finished runs by paired tests on their shared samples: `vtbench.compare([one, other])`.

    Raises:
        VtbenchError: a run has no results, or the runs have no sample in common.
    """
    from vtbench_analysis import compare as compare_runs

    return compare_runs(runs)
