"""Identifies a run: its digest, and the versions of packages and plugins.

Two runs with the same digest give the same scores, so one may continue where the other stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from importlib import metadata
from typing import Any

from vtbench.adapter import traits_of
from vtbench.config import OPTIONAL_KEYS, SCORE_KEYS, RunConfig
from vtbench.errors import escaped, plugin_errors
from vtbench.executor import Model
from vtbench.plugin import Plugin
from vtbench.runs.git_commit import git_commit
from vtbench.runs.secrets import redact
from vtbench.scoring import SCORING_VERSION
from vtbench.types import Task

_DEFAULTS = asdict(RunConfig(model="", tasks=[]))


def strict(value: Any) -> Any:
    """Convert data to strict JSON types: numpy scalars to numbers, NaN and infinities to None, tuples to lists.

    Halves of characters (lone surrogates), which UTF-8 has not, become escapes.
    """
    if isinstance(value, Mapping):
        return {escaped(str(key)): strict(item) for key, item in value.items()}
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [strict(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if value is None or isinstance(value, (bool, int)):
        return value
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return strict(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return escaped(str(value))


def deciding(
    config: RunConfig, tasks: Iterable[Task], metrics: Mapping[str, Iterable[str]], model: Any
) -> dict[str, Any]:
    """Return the keys that decide the scores of a run, with secrets hidden.

    Args:
        config: the run's config.
        tasks: the resolved tasks.
        metrics: by task, the metrics that are computed.
        model: the adapter's `describe()`, without its package versions: a new version does not prevent a resume. The
            digest of the chat template, which earlier runs do not have, is left out too.
    """
    keys = {
        **{
            key: value
            for key, value in asdict(config).items()
            if key in SCORE_KEYS
            and (key not in OPTIONAL_KEYS or value != _DEFAULTS[key])
            and (config.fewshot or not key.startswith("fewshot"))
        },
        "metrics": {name: list(chosen) for name, chosen in metrics.items()},
        "tasks": {task.name: {"version": task.version, "samples": len(task), **task.config()} for task in tasks},
        "identity": model_identity(dict(model)),
    }
    found: dict[str, Any] = strict(redact(keys))
    return found


def model_identity(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an adapter's `describe()` says of which model it is: the kind of its device, and no versions.

    The device of each module (`placement`) is left out as well: a device map does not change what is computed.
    """
    left_out = ("versions", "chat_template", "placement")
    identity = {key: value for key, value in description.items() if key not in left_out}
    if "device" in identity:  # cuda:0 and cuda:1 give the same results; a CPU and a GPU round differently
        identity["device"] = str(identity["device"]).partition(":")[0]
    return identity


def digest(keys: Mapping[str, Any]) -> str:
    """Return the sha256 of the canonical JSON of `keys`, as hexadecimal."""
    text = json.dumps(keys, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def differing(here: Mapping[str, Any], there: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the keys in which two configs differ, with both values: `limit (100 there, 200 here)`."""
    found = []
    for key in sorted(here.keys() | there.keys()):
        a, b = here.get(key), there.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differing(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key} ({_short(b)} there, {_short(a)} here)")
    return found


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


def run_facts(
    config: RunConfig,
    tasks: Sequence[Task],
    locations: Mapping[str, str],
    metrics: Mapping[str, Iterable[str]],
    left_out: Mapping[str, Mapping[str, str]],
    adapter: Model,
    plugins: Iterable[Plugin],
) -> dict[str, Any]:
    """Return the content of run.json for a run that begins now."""
    now = datetime.now().astimezone()
    with plugin_errors(f"model {config.model!r}: describe"):
        model = dict(adapter.describe())
    keys = deciding(config, tasks, metrics, model)
    return {
        "traits": asdict(traits_of(adapter)),
        "run_id": run_id(now, config.name or named_after(config.model, [task.name for task in tasks])),
        "created": now.isoformat(timespec="microseconds"),
        "digest": digest(keys),
        "config": redact(asdict(config)),
        "tasks": {task.name: {"samples": len(task), "file": locations[task.name]} for task in tasks},
        "metrics": {name: list(chosen) for name, chosen in metrics.items()},
        "left_out": left_out,
        "model": redact(model) | {"image_size": adapter.image_size, "capabilities": sorted(adapter.capabilities)},
        "versions": versions(plugins),
        "git": git_commit(),
        "keys": keys,
    }


def named_after(model: str, tasks: Sequence[str]) -> str:
    """Return what a run is called that has no name of its own."""
    return f"{model}-{'+'.join(tasks) if len(tasks) <= 3 else f'{len(tasks)}-tasks'}"


def run_id(now: datetime, name: str) -> str:
    """Return the name of a run's directory, e.g. `2026-11-22T10-11-12-llava-relational`."""
    name = re.sub(r"[^\w.+-]+", "_", f"{now:%Y-%m-%dT%H-%M-%S}-{name}")[:120]
    return name.encode()[:200].decode(errors="ignore").rstrip(".")  # file systems count bytes


def versions(plugins: Iterable[Plugin]) -> dict[str, Any]:
    """Return the versions of vtbench, its scoring, Python, packages that affect images and scores, and plugins."""
    found: dict[str, Any] = {"vtbench": metadata.version("vtbench"), "python": platform.python_version()}
    for package in ("numpy", "pillow", "scipy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    found |= {"platform": platform.platform(), "scoring": SCORING_VERSION}
    found["plugins"] = {p.name: {"distribution": p.distribution, "version": p.version} for p in plugins if not p.error}
    return found
