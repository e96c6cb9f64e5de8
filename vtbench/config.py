"""One typed config: the flags of `vtbench run`, the keys of `--config run.yaml`, the arguments of `vtbench.run`.

In: a mapping, from any of the three. Out: a checked `RunConfig`. A field's text is its help on the command line.
This module is imported by `vtbench --help`; pydantic is imported when a config is checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import yaml

from vtbench.errors import VtbenchError, nearest
from vtbench.yamlfile import line_of, load_yaml

DECIDING = frozenset({"model", "model_args", "limit", "dtype", "split", "metrics", "seed", "budget", "budget_sweep"})
"""Fields that decide the numbers. Tasks and device enter the digest by what they turn out to be (see provenance.py).
Batch size is left out: it may move a logarithm's last digits, and is written to batches.jsonl."""
EXECUTOR = ("address", "workers", "cpus_per_worker", "gpus_per_worker")
"""Fields that are the executor's settings, where they are given."""
YOUNGER = frozenset({"budget", "budget_sweep"})
"""Deciding fields that say nothing where they are not given, so that runs from before them keep their digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that can be said about a run."""

    model: Annotated[str, "Name of the model's adapter; `vtbench ls models` lists them. Several by comma: a run each."]
    tasks: Annotated[list[str], "Tasks: names, globs, YAML files, FORMAT:FILE, or `all`; several by comma."]
    model_args: Annotated[dict[str, Any], "Arguments of the adapter: k=v,k=v. Values are read as YAML."] = field(
        default_factory=dict
    )
    limit: Annotated[int | None, "Only the first N samples of each task."] = None
    batch_size: Annotated[int | Literal["auto"], "Samples per batch; `auto` grows it while that pays."] = "auto"
    device: Annotated[str, "Where the model runs: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`."] = "auto"
    dtype: Annotated[str, "Number format of the weights: `auto`, `float32`, `bfloat16`, `float16`."] = "auto"
    split: Annotated[str | None, "Split of the tasks, instead of the one that each names."] = None
    metrics: Annotated[list[str] | None, "Metrics, instead of those that each task names; several by comma."] = None
    seed: Annotated[int | None, "Seed of the tasks, instead of the one that each names."] = None
    budget: Annotated[str | None, "Answer under a token budget, NAME:setting=value; `vtbench ls budgets`."] = None
    budget_sweep: Annotated[
        bool | list[str], "Accuracy against tokens: these budgets, or a set of them, beside random and grid."
    ] = False
    allow_code: Annotated[bool, "Run the Python code that an imported task names (`lmms:DIR/task.yaml`)."] = False
    track: Annotated[list[str], "Trackers that get the run's summary, `wandb` for example; several by comma."] = field(
        default_factory=list
    )
    output: Annotated[str, "Directory in which the run makes its own."] = "results"
    resume: Annotated[bool | str, "Go on with the newest run of the same config, or with the run at this path."] = False
    max_failed: Annotated[float, "Share of samples that may fail before the exit status is 1."] = 0.0
    json: Annotated[bool, "Print one JSON document on standard output, everything else on standard error."] = False
    executor: Annotated[str, "Where the model is asked: `vtbench ls executors`."] = "local"
    address: Annotated[str | None, "The executor's cluster, HOST:PORT; one that runs here by default."] = None
    workers: Annotated[int | None, "Models at work at once; by default as many as there is room for."] = None
    cpus_per_worker: Annotated[float | None, "CPU cores, and so threads, of each worker; 1 by default."] = None
    gpus_per_worker: Annotated[
        float | None, "GPUs of each worker, or a part of one; by default 1 where there are any, unless --device is cpu."
    ] = None
    check_batching: Annotated[bool, "Only compare answers at batch size 1 and N on some samples of each task."] = False
    report: Annotated[bool, "Write report.html when done."] = True


def docs() -> dict[str, str]:
    """Return the text of every field of `RunConfig`, by name."""
    return {name: hint.__metadata__[0] for name, hint in get_type_hints(RunConfig, include_extras=True).items()}


def pairs(text: str, what: str = "model arguments") -> dict[str, Any]:
    """Read `k=v,k=v`, values as YAML scalars or flow lists; a comma splits only where `k=` follows.

    >>> pairs("pretrained=org/model,layers=[1,2],trust=false")
    {'pretrained': 'org/model', 'layers': [1, 2], 'trust': False}

    Raises:
        VtbenchError: a part has no `=`, or its value is not YAML.
    """
    found = {}
    for part in re.split(r",(?=\s*[\w.-]+\s*=)", text) if text.strip() else []:
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise VtbenchError(f"{what} are written k=v,k=v; {part.strip()!r} is not")
        try:
            found[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise VtbenchError(f"{what}: {key.strip()}={value} is not a YAML value; quote it") from error
    return found


def executor_settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings that are given of the executor."""
    return {key: value for key in EXECUTOR if (value := getattr(config, key)) is not None}


def model_names(model: Any) -> list[Any]:
    """Return the models that are named: by one string with commas, or by a list.

    >>> model_names("llava, flamingo"), model_names(["hf"]), model_names(None)
    (['llava', 'flamingo'], ['hf'], [])
    """
    parts = model.split(",") if isinstance(model, str) else model or []
    parts = parts if isinstance(parts, (list, tuple)) else [parts]
    return [part for name in parts if (part := name.strip() if isinstance(name, str) else name)]


def split_budgets(text: str) -> list[str]:
    """Split budgets at commas, but for those between the settings of one.

    >>> split_budgets("random:k=16,seed=3, saliency:p=0.9,complexity")
    ['random:k=16,seed=3', 'saliency:p=0.9', 'complexity']
    """
    return [part.strip() for part in re.split(r",(?!\s*\w+\s*=)", text) if part.strip()]


def load(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Read a `run.yaml`: its values, and for each key how an error is to call it (`run.yaml, line 3: limit`).

    Raises:
        VtbenchError: not readable, not a mapping, or an unknown or repeated key (file, line, key).
    """
    values, node = load_yaml(path)
    names = [f.name for f in fields(RunConfig)]
    for key in values:
        if key not in names:
            raise VtbenchError(f"{path}, line {line_of(node, [key])}: unknown key {key!r}.{nearest(str(key), names)}")
    return values, {key: f"{path}, line {line_of(node, [key])}: {key}" for key in values}


def checked(values: Mapping[str, Any], place: Mapping[str, str] | None = None) -> RunConfig:
    """Check values against `RunConfig` and return it.

    Args:
        values: by field name; `tasks` and `metrics` may be one string with commas, `model_args` may be `k=v,...`.
        place: what an error calls a field; `--limit` and the like by default.

    Raises:
        VtbenchError: names the first field that is wrong and what it must be.
    """
    from pydantic import TypeAdapter, ValidationError

    values = dict(values)
    names = [f.name for f in fields(RunConfig)]

    def name_of(key: str) -> str:
        return (place or {}).get(key, "--" + key.replace("_", "-"))

    for key in values:
        if key not in names:
            raise VtbenchError(f"unknown setting {key!r}.{nearest(key, names)}")
    for key in ("tasks", "metrics", "track"):
        if isinstance(values.get(key), str):
            values[key] = values[key].split(",")
        if isinstance(values.get(key), (list, tuple)):
            values[key] = [p.strip() if isinstance(p, str) else p for p in map(_as_text, values[key]) if p != ""]
    if isinstance(values.get("model_args"), str):
        values["model_args"] = pairs(values["model_args"])
    if isinstance(values.get("budget_sweep"), str):
        values["budget_sweep"] = split_budgets(values["budget_sweep"])
    for key, hint in {"model": "vtbench ls models", "tasks": "vtbench ls tasks"}.items():
        if not values.get(key):
            raise VtbenchError(f"{name_of(key)} is missing; `{hint}` lists what there is")
    if len(model_names(values["model"])) > 1:
        raise VtbenchError(f"{name_of('model')}: one run has one model; `vtbench.run_many` runs several")
    try:
        config: RunConfig = TypeAdapter(RunConfig).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise VtbenchError(f"{name_of(key)}: {first['msg'].lower()}, not {first['input']!r}") from error
    for key, fine, must in (
        ("limit", config.limit is None or config.limit > 0, "a number above 0"),
        ("batch_size", config.batch_size == "auto" or config.batch_size > 0, "a number above 0, or auto"),
        ("max_failed", 0 <= config.max_failed <= 1, "a share between 0 and 1"),
    ):
        if not fine:
            raise VtbenchError(f"{name_of(key)}: must be {must}, not {values[key]!r}")
    if config.check_batching and config.executor != "local":
        raise VtbenchError(f"{name_of('check_batching')}: answers are compared here; leave {name_of('executor')} out")
    if config.budget and config.budget_sweep:
        raise VtbenchError(
            f"{name_of('budget_sweep')}: a sweep compares with the whole picture; leave {name_of('budget')} out"
        )
    return config


def _as_text(path: Any) -> Any:
    return str(path) if isinstance(path, Path) else path
