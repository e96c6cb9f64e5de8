"""One typed config: the flags of `vtbench run`, the keys of `--config run.yaml`, the arguments of `vtbench.run`.

`RunConfig` is a settings dataclass (`vtbench.settings`): its fields carry their help texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from vtbench import settings
from vtbench.errors import VtbenchError, nearest
from vtbench.settings import parse_settings, split_specs
from vtbench.task.names import check_name

OPTIONAL_KEYS = frozenset(
    {
        "budget",
        "budget_sweep",
        "max_new_tokens",
        "system",
        "gen",
        "chat_template_args",
        "fewshot",
        "fewshot_as_multiturn",
        "fewshot_seed",
    }
)
"""Score keys that enter the digest only if they are set, so that runs older than these keys keep their digest."""
SCORE_KEYS = OPTIONAL_KEYS | {"model", "model_args", "limit", "dtype", "split", "metrics", "seed"}
"""Fields that decide the scores, and so enter the digest. Tasks, with the prompt format, and device enter it resolved
(see `vtbench.runs.provenance`). Batch size does not: it moves log-probabilities in the last digits at most, and is
recorded in batches.jsonl."""
LISTS = ("tasks", "metrics", "track")
"""Fields that hold several names; as one string they are separated by commas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """All settings of a run."""

    model: Annotated[str, "Name of the model's adapter; `vtbench ls models` lists them. Several, by comma: a run each."]
    tasks: Annotated[list[str], "Tasks: names, globs, YAML files, FORMAT:FILE, or `all`; several by comma."]
    model_args: Annotated[dict[str, Any], "Arguments of the adapter: k=v,k=v. Values are read as YAML."] = field(
        default_factory=dict
    )
    limit: Annotated[
        Annotated[int, Gt(0)] | Annotated[float, Gt(0), Lt(1)] | None,
        "Only the first N samples of each task; below 1, this share of them.",
    ] = None
    batch_size: Annotated[
        Annotated[int, Gt(0)] | Literal["auto"], "Samples per batch; `auto` grows it while that pays."
    ] = "auto"
    device: Annotated[str, "Where the model runs: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`."] = "auto"
    dtype: Annotated[str, "Number format of the weights: `auto`, `float32`, `bfloat16`, `float16`."] = "auto"
    split: Annotated[str | None, "Split of every task, overriding the task files."] = None
    metrics: Annotated[
        list[str] | None,
        "Metrics, NAME or NAME:setting=value, replacing those of the tasks; +NAME adds one to them.",
    ] = None
    seed: Annotated[int | None, "Seed of every task, overriding the task files."] = None
    prompt_format: Annotated[
        Annotated[str, MinLen(1)] | None,
        "How questions are put: `plain`, `instruct` or a task's own; by default what the model wants.",
    ] = None
    max_new_tokens: Annotated[
        Annotated[int, Ge(1), Le(1_000_000)] | None, "Tokens of an answer at most; by default what the format needs."
    ] = None
    system: Annotated[Annotated[str, MinLen(1)] | None, "System prompt before every question."] = None
    gen: Annotated[
        dict[str, Any], "How the model generates: temperature=T,top_p=P,top_k=K,seed=N,until=TEXT,repeats=K."
    ] = field(default_factory=dict)
    chat_template_args: Annotated[
        dict[str, Any], "Variables of the chat template: k=v,k=v, enable_thinking=false for example."
    ] = field(default_factory=dict)
    fewshot: Annotated[
        int, "Questions of the split `train` with their answers before each question.", Ge(0), Le(64)
    ] = 0
    fewshot_seed: Annotated[int, "Seed that draws them.", Ge(0)] = 0
    fewshot_as_multiturn: Annotated[bool, "As turns of a chat; without, all in the message with the question."] = True
    cache: Annotated[
        Annotated[str, MinLen(1)] | None,
        "Directory of answers that any later run may use; no question in it is asked again.",
    ] = None
    predict_only: Annotated[bool, "Store answers without scores; `vtbench rescore` scores them."] = False
    budget: Annotated[str | None, "Answer under a token budget, NAME:setting=value; `vtbench ls budgets`."] = None
    budget_sweep: Annotated[
        bool | list[str], "Accuracy against tokens kept: these budgets, or a default set, beside random and grid."
    ] = False
    allow_code: Annotated[bool, "Run the Python code that an imported task names (`lmms:DIR/task.yaml`)."] = False
    track: Annotated[
        list[str], "Trackers that receive the run's summary, NAME or NAME:setting=value; `vtbench ls trackers`."
    ] = field(default_factory=list)
    output: Annotated[str, "Parent directory of the run's directory."] = "results"
    name: Annotated[
        Annotated[str, MinLen(1)] | None,
        "Name of the run's directory, after its time; by default model and tasks.",
    ] = None
    resume: Annotated[bool | str, "Continue the newest run of the same config, or the run at this path."] = False
    retry_failed: Annotated[
        bool | None, "With --resume: ask all failed samples again, or none; by default those with a passing error."
    ] = None
    max_failed: Annotated[
        Annotated[float, Ge(0), Le(1)], "Fraction of samples that may fail before the exit status is 1."
    ] = 0.0
    json: Annotated[bool, "Print one JSON document on standard output, everything else on standard error."] = False
    executor: Annotated[str, "Where the model runs, NAME:setting=value; `vtbench ls executors`."] = "local"
    data_parallel: Annotated[
        int, "Copies of the model on this machine, one a GPU, among which the questions are divided.", Ge(1)
    ] = 1
    check_batching: Annotated[bool, "Only compare answers at batch size 1 and N on some samples of each task."] = False
    report: Annotated[bool, "Write report.html at the end."] = True


def model_names(model: Any) -> list[Any]:
    """Return the names of models, given as a list or as one string with commas.

    >>> model_names("llava, flamingo"), model_names(["hf"]), model_names(None)
    (['llava', 'flamingo'], ['hf'], [])
    """
    parts = model.split(",") if isinstance(model, str) else model or []
    parts = parts if isinstance(parts, (list, tuple)) else [parts]
    return [part for name in parts if (part := name.strip() if isinstance(name, str) else name)]


def executor_spec(config: RunConfig) -> str:
    """Return the executor of a run, `NAME:setting=value`: `data_parallel` is a short way to write `local`'s workers.

    >>> executor_spec(RunConfig(model="echo", tasks=["coarse"], data_parallel=4))
    'local:workers=4'
    """
    return f"local:workers={config.data_parallel}" if config.data_parallel > 1 else config.executor


def load(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Read a `run.yaml`: its values, and for each key its label in errors (`run.yaml, line 3: limit`).

    Raises:
        VtbenchError: the file is not readable or not a mapping, or has an unknown or repeated key; the message names
            file, line and key.
    """
    from vtbench.task.yaml_lines import line_of, load_yaml

    values, node = load_yaml(path)
    names = [f.name for f in fields(RunConfig)]
    for key in values:
        if key not in names:
            raise VtbenchError(f"{path}, line {line_of(node, [key])}: unknown key {key!r}.{nearest(str(key), names)}")
    return values, {key: f"{path}, line {line_of(node, [key])}: {key}" for key in values}


def checked(values: Mapping[str, Any], origin: Mapping[str, str] | None = None) -> RunConfig:
    """Check values and return them as a `RunConfig`.

    Args:
        values: by field name; `tasks`, `metrics` and `track` may be one string with commas, `model_args` may be
            `k=v,...`.
        origin: labels of fields in errors; flags such as `--limit` by default.

    Raises:
        VtbenchError: names the first wrong field and the value that it needs.
    """
    values = dict(values)

    def name_of(key: str) -> str:
        return (origin or {}).get(key, "--" + key.replace("_", "-"))

    for key in LISTS:
        if isinstance(values.get(key), str):
            values[key] = values[key].split(",") if key == "tasks" else split_specs(values[key])
        if isinstance(values.get(key), (list, tuple)):
            values[key] = [p.strip() if isinstance(p, str) else p for p in map(_as_text, values[key]) if p != ""]
    for key in ("output", "resume", "cache"):
        if isinstance(values.get(key), str):
            values[key] = expanded(values[key], name_of(key))
    for key in ("model_args", "gen", "chat_template_args"):
        if isinstance(values.get(key), str):
            values[key] = parse_settings(values[key], "model arguments" if key == "model_args" else name_of(key))
    if isinstance(values.get("budget_sweep"), str):
        values["budget_sweep"] = split_specs(values["budget_sweep"])
    for key, hint in {"model": "vtbench ls models", "tasks": "vtbench ls tasks"}.items():
        if not values.get(key):
            raise VtbenchError(f"{name_of(key)} is missing; `{hint}` lists what there is")
    if len(model_names(values["model"])) > 1:
        raise VtbenchError(f"{name_of('model')}: one run has one model; `vtbench.run_many` runs several")
    config = settings.checked(RunConfig, values, name_of)
    if config.name is not None:
        check_name(config.name, name_of("name"))
    if config.data_parallel > 1 and config.executor != "local":
        raise VtbenchError(
            f"{name_of('data_parallel')}: the copies run on this machine, and {name_of('executor')} says another place;"
            " leave one of them out"
        )
    if config.check_batching and executor_spec(config) != "local":
        raise VtbenchError(f"{name_of('check_batching')}: answers are compared here; leave {name_of('executor')} out")
    if config.budget and config.budget_sweep:
        raise VtbenchError(
            f"{name_of('budget_sweep')}: a sweep compares with the whole image; leave {name_of('budget')} out"
        )
    return config


def expanded(path: str, label: str) -> str:
    """Return a path with `~` and `~user` expanded, as a shell does only at the start of a word.

    Raises:
        VtbenchError: there is no such user.
    """
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError as error:
        raise VtbenchError(f"{label}: {path}: there is no home directory of this name") from error


def _as_text(path: Any) -> Any:
    return str(path) if isinstance(path, Path) else path
