"""Several models in one command: one run per model, in turn, and their scores side by side.

Errors that are known before any work end the command. A model that fails later is reported, and the others run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtbench.config import RunConfig, checked, executor_spec, model_names
from vtbench.console.progress import Listener
from vtbench.engine.loop import run
from vtbench.engine.setup import RunPlan
from vtbench.errors import ExecutorError, ResultsError, VtbenchError
from vtbench.registry import Registry
from vtbench.runs.provenance import deciding
from vtbench.runs.reader import runs
from vtbench.runs.results import RunResult
from vtbench.runs.resuming import without_limit
from vtbench.types import Task

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]


@dataclass(frozen=True)
class MultiModelResult:
    """The runs of several models, in the order in which they were named."""

    results: Mapping[str, RunResult]
    """Finished runs, by model."""
    failed: Mapping[str, str]
    """Error message of each model that failed."""

    @property
    def exit_status(self) -> int:
        """0, or 1 if a model failed or more of its samples failed than the config allows."""
        return max([result.exit_status for result in self.results.values()] + [int(bool(self.failed))])

    @property
    def document(self) -> dict[str, Any]:
        """JSON-able results: under `models`, each run's path and the content of its results.json."""
        found = {model: {"run": str(result.path), **result.document} for model, result in self.results.items()}
        return {"models": found, "failed": dict(self.failed)}

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat row per model and score: `RunResult.rows` with `model` in front."""
        return [{"model": model, **row} for model, result in self.results.items() for row in result.rows()]

    def to_frame(self) -> pandas.DataFrame:
        """Return `rows` as a pandas data frame."""
        import pandas

        return pandas.DataFrame(self.rows())


def run_many(
    models: Sequence[str] | str,
    *,
    registry: Registry | None = None,
    listener: Callable[[], Listener] = Listener,
    failing: Callable[[str, str], None] = lambda model, why: None,
    **fields: Any,
) -> MultiModelResult:
    """Run several models on the same tasks: `run_many(["llava", "flamingo"], tasks=["all"])`.

    Each model is closed before the next is created. With `resume=True`, every model continues its own newest run of the
    same config, and models without one start a new run.

    Args:
        models: names of adapters, or one string with commas.
        registry: plugins to use; the installed ones by default.
        listener: called once per model, returns the listener of its progress; silent by default.
        failing: called with a model that failed and its error message, before the next model begins.
        **fields: those of `RunConfig` except `model`; every model gets the same `model_args`.

    Raises:
        VtbenchError: bad usage or input, an unknown model, one that does not take the `model_args`, a cluster
            that does not answer, or a full disk.
    """
    registry = registry or Registry()
    configs = _configs(model_names(models), fields)
    for config in configs:
        registry.check_adapter(config.model, config.model_args)
    for tracker in configs[0].track:
        registry.tracker(tracker)
    registry.executor(executor_spec(configs[0]))
    tasks = RunPlan.resolve(configs[0], registry).tasks
    if configs[0].resume:
        configs = _own_runs(configs, tasks)
    results: dict[str, RunResult] = {}
    failed: dict[str, str] = {}
    for config in configs:
        try:
            results[config.model] = run(config, registry=registry, listener=listener())
        except (ExecutorError, ResultsError):
            raise  # the next model would fail in the same way
        except VtbenchError as error:
            failed[config.model] = " ".join(str(error).split())  # the exception would keep the model in memory
            failing(config.model, failed[config.model])
    return MultiModelResult(results, failed)


def _configs(models: Sequence[str], fields: Mapping[str, Any]) -> list[RunConfig]:
    configs = [checked({**fields, "model": model}) for model in models]
    if not configs:
        raise VtbenchError("--model is missing; `vtbench ls models` lists what there is")
    if twice := [model for i, model in enumerate(models) if model in models[:i]]:
        raise VtbenchError(f"--model: {twice[0]!r} is named twice; for other --model-args of one model, run it again")
    if isinstance(configs[0].resume, str):
        raise VtbenchError("--resume: a path is one model's run; with several models leave it out, each finds its own")
    if configs[0].check_batching:
        raise VtbenchError("--check-batching takes one model at a time")
    if configs[0].name is None:
        return configs
    return [checked({**asdict(config), "name": f"{config.name}-{config.model}"}) for config in configs]


def _own_runs(configs: Sequence[RunConfig], tasks: Sequence[Task]) -> list[RunConfig]:
    """Turn `resume` off for models without a run to resume; if no model has one, keep it, so that the first fails.

    The error of the first then names the keys in which the stored runs differ.
    """
    there = [_asked(run["keys"], run["config"].get("metrics")) for run in runs(Path(configs[0].output))]
    begun = [_asked(deciding(config, tasks, {}, {}), config.metrics) in there for config in configs]
    if not any(begun):
        return list(configs)
    return [config if has else replace(config, resume=False) for config, has in zip(configs, begun, strict=True)]


def _asked(keys: Mapping[str, Any], metrics: Sequence[str] | None) -> dict[str, Any]:
    """Return the keys that decide a run, except those that depend on the loaded model."""
    keys = without_limit(keys)  # a larger one goes on with the run
    tasks = {
        name: {key: value for key, value in settings.items() if key not in _OF_MODEL}
        for name, settings in keys["tasks"].items()
    }
    return {**keys, "identity": None, "metrics": metrics, "tasks": tasks}


_OF_MODEL = ("prompt_format", "format", "fewshot", "max_new_tokens")
"""Settings of a task that depend on what the model wants."""
