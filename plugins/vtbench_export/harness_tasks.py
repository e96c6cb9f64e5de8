"""Writes a directory for `--include_path`: a YAML file per task, one for their group, the data, and a hook module.

lm-eval and lmms-eval refuse each other's keys, so each has a format of its own; data and hooks are the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml

from vtbench.scenes.items import BENCHMARK
from vtbench.scoring import SCORING_VERSION
from vtbench_export.errors import ExportError
from vtbench_export.parquet_dataset import write_table
from vtbench_export.sample_rows import IMAGE, IMAGES, TaskExport
from vtbench_export.scoring import LOWER_IS_BETTER, METRICS, SCORES

REDUNDANCY = ("rs", "rs_low", "rs_high")
"""Redundancy scores of the visual tokens; models other than vtbench's have none."""
GROUP = "all"
_HOOKS = Path(__file__).with_name("vtb.py.in")


class _Hook(str):
    """Name of a function of the hook module."""


class _Dumper(yaml.SafeDumper):
    """Writes `_Hook`s as `!function vtb.name`."""


_Dumper.add_representer(_Hook, lambda dumper, hook: dumper.represent_scalar("!function", f"vtb.{hook}"))


def write_lm_eval(tasks: Sequence[TaskExport], directory: Path, shard_bytes: int) -> None:
    """Write tasks for `lm_eval --include_path`.

    Raises:
        ExportError: no metric of a task can be computed from the answer alone, or a task is named as the group of all.
    """
    _write(tasks, directory, shard_bytes, _lm_eval)


def write_lmms_eval(tasks: Sequence[TaskExport], directory: Path, shard_bytes: int) -> None:
    """Write tasks for `lmms-eval --include_path`.

    Raises:
        ExportError: no metric of a task can be computed from the answer alone, or a task is named as the group of all.
    """
    _write(tasks, directory, shard_bytes, _lmms_eval)


def _lm_eval(single: bool, tokens: int) -> dict[str, Any]:
    return {
        # lm-eval resolves paths from the working directory, the hook from its own.
        "custom_dataset": _Hook("dataset"),
        "doc_to_text": "<image>{{prompt}}" if single else "{{'<image>' * (images | length)}}{{prompt}}",
        "doc_to_image": [IMAGE.name] if single else IMAGES.name,
        "generation_kwargs": {"max_gen_toks": tokens, "do_sample": False, "temperature": 0.0, "until": []},
    }


def _lmms_eval(single: bool, tokens: int) -> dict[str, Any]:
    return {
        "doc_to_text": "prompt",
        "doc_to_visual": IMAGE.name if single else _Hook("images"),
        "generation_kwargs": {"max_new_tokens": tokens, "do_sample": False, "temperature": 0.0, "until": []},
    }


def _write(
    tasks: Sequence[TaskExport], directory: Path, shard_bytes: int, prompt_keys: Callable[[bool, int], dict[str, Any]]
) -> None:
    if any(export.name == GROUP for export in tasks):
        raise ExportError(f"task {GROUP!r}: the group of all exported tasks has this name; rename the task")
    metrics = {export.name: _metrics(export) for export in tasks}
    for export in tasks:
        files, single = write_table(export, directory / "data" / export.name, export.split, shard_bytes)
        paths = [file.relative_to(directory).as_posix() for file in files]
        config = {
            "task": f"vtb_{export.name}",
            "dataset_path": "parquet",
            "dataset_kwargs": {"data_files": {export.split: paths}},
            "test_split": export.split,
            "output_type": "generate_until",
            "num_fewshot": 0,
            **prompt_keys(single, export.task.max_new_tokens),
            "doc_to_target": "target",
            "process_results": _Hook("process_results"),
            "metric_list": [
                *(_score(name, key) for by in metrics[export.name] for name, key in SCORES[by].items()),
                *({"metric": name, "aggregation": _Hook(name), "higher_is_better": False} for name in REDUNDANCY),
            ],
            "metadata": _metadata(export),
        }
        _dump(directory / f"vtb_{export.name}.yaml", export.task.description, config)
    group = {"group": f"vtb_{GROUP}", "task": [f"vtb_{name}" for name in metrics]}
    _dump(directory / f"vtb_{GROUP}.yaml", "All tasks of this directory.", group)
    used = {by for names in metrics.values() for by in names}
    aggregated = [name for by, scores in SCORES.items() for name, key in scores.items() if by in used and not key]
    pooled = "".join(f'{name} = pooled("{name}")\n' for name in aggregated)
    hooks = Template(_HOOKS.read_text(encoding="utf-8")).substitute(
        metrics=json.dumps(metrics, indent=4), pooled=pooled
    )
    (directory / "vtb.py").write_text(hooks, encoding="utf-8")


def _metrics(export: TaskExport) -> list[str]:
    names = [name for name in export.task.metrics if name in METRICS]
    if not names:
        raise ExportError(
            f"task {export.name!r}: none of its metrics ({', '.join(export.task.metrics)}) needs only the answer; "
            f"--format parquet takes it, or a task file with one of {', '.join(METRICS)}"
        )
    return names


def _score(name: str, key: str | None) -> dict[str, Any]:
    aggregation = "mean" if key else _Hook(name)
    return {"metric": name, "aggregation": aggregation, "higher_is_better": name not in LOWER_IS_BETTER}


def _metadata(export: TaskExport) -> dict[str, Any]:
    facts = {"version": export.task.version, "benchmark": BENCHMARK, "scoring": SCORING_VERSION}
    return facts | {"seed": export.task.config().get("seed"), "image_size": export.side}


def _dump(path: Path, about: str, document: dict[str, Any]) -> None:
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    path.write_text(f"# {' '.join(about.split())} Written by `vtbench export`.\n{text}", encoding="utf-8")
