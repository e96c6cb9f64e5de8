"""Tasks in, a directory for `--include_path` out: a YAML file a task, one of the group, the data, one hook module.

lm-eval and lmms-eval refuse each other's keys, so that each has its own tree; data and hooks are the same.
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
from vtbench_export.columns import PICTURE, PICTURES
from vtbench_export.errors import ExportError
from vtbench_export.rows import Source
from vtbench_export.scoring import LOWER_IS_BETTER, METRICS, SCORES
from vtbench_export.tables import write_table

REDUNDANCY = ("rs", "rs_low", "rs_high")
"""Of the pictures' visual tokens, where a model of vtbench is asked; no row elsewhere."""
_HOOKS = Path(__file__).with_name("vtb.py.in")


class _Hook(str):
    """A function of the hook module, as the harnesses' YAML names it."""


class _Dumper(yaml.SafeDumper):
    """Writes `_Hook`s as `!function vtb.name`."""


_Dumper.add_representer(_Hook, lambda dumper, hook: dumper.represent_scalar("!function", f"vtb.{hook}"))


def write_lm_eval(sources: Sequence[Source], directory: Path, shard_bytes: int) -> None:
    """Write what `lm_eval --include_path` reads.

    Raises:
        ExportError: a task has no score that an answer alone decides.
    """
    _write(sources, directory, shard_bytes, _lm_eval)


def write_lmms_eval(sources: Sequence[Source], directory: Path, shard_bytes: int) -> None:
    """Write what `lmms_eval --include_path` reads.

    Raises:
        ExportError: a task has no score that an answer alone decides.
    """
    _write(sources, directory, shard_bytes, _lmms_eval)


def _lm_eval(single: bool, tokens: int) -> dict[str, Any]:
    return {
        # lm-eval looks for files where it was started; the hook looks beside itself.
        "custom_dataset": _Hook("dataset"),
        "doc_to_text": "<image>{{prompt}}" if single else "{{'<image>' * (images | length)}}{{prompt}}",
        "doc_to_image": [PICTURE.name] if single else PICTURES.name,
        "generation_kwargs": {"max_gen_toks": tokens, "do_sample": False, "temperature": 0.0, "until": []},
    }


def _lmms_eval(single: bool, tokens: int) -> dict[str, Any]:
    return {
        "doc_to_text": "prompt",
        "doc_to_visual": PICTURE.name if single else _Hook("pictures"),
        "generation_kwargs": {"max_new_tokens": tokens, "do_sample": False, "temperature": 0.0, "until": []},
    }


def _write(
    sources: Sequence[Source], directory: Path, shard_bytes: int, asking: Callable[[bool, int], dict[str, Any]]
) -> None:
    metrics = {source.task.name: _metrics(source) for source in sources}
    for source in sources:
        files, single = write_table(source, directory / "data" / source.task.name, source.split, shard_bytes)
        places = [file.relative_to(directory).as_posix() for file in files]
        task = {
            "task": f"vtb_{source.task.name}",
            "dataset_path": "parquet",
            "dataset_kwargs": {"data_files": {source.split: places}},
            "test_split": source.split,
            "output_type": "generate_until",
            "num_fewshot": 0,
            **asking(single, source.task.max_new_tokens),
            "doc_to_target": "target",
            "process_results": _Hook("process_results"),
            "metric_list": [
                *(_score(name, key) for by in metrics[source.task.name] for name, key in SCORES[by].items()),
                *({"metric": name, "aggregation": _Hook(name), "higher_is_better": False} for name in REDUNDANCY),
            ],
            "metadata": _metadata(source),
        }
        _dump(directory / f"vtb_{source.task.name}.yaml", source.task.description, task)
    group = {"group": "vtb_all", "task": [f"vtb_{name}" for name in metrics]}
    _dump(directory / "vtb_all.yaml", "All tasks of this directory.", group)
    used = {by for names in metrics.values() for by in names}
    scores = [name for by, all_of_it in SCORES.items() for name, key in all_of_it.items() if by in used and not key]
    pooled = "".join(f'{name} = pooled("{name}")\n' for name in scores)
    hooks = Template(_HOOKS.read_text(encoding="utf-8")).substitute(
        metrics=json.dumps(metrics, indent=4), pooled=pooled
    )
    (directory / "vtb.py").write_text(hooks, encoding="utf-8")


def _metrics(source: Source) -> list[str]:
    names = [name for name in source.task.metrics if name in METRICS]
    if not names:
        raise ExportError(
            f"task {source.task.name!r}: none of its metrics ({', '.join(source.task.metrics)}) needs an answer alone; "
            f"--format parquet takes it, or a task file with one of {', '.join(METRICS)}"
        )
    return names


def _score(name: str, key: str | None) -> dict[str, Any]:
    aggregation = "mean" if key else _Hook(name)
    return {"metric": name, "aggregation": aggregation, "higher_is_better": name not in LOWER_IS_BETTER}


def _metadata(source: Source) -> dict[str, Any]:
    facts = {"version": source.task.version, "benchmark": BENCHMARK, "scoring": SCORING_VERSION}
    return facts | {"seed": source.task.config().get("seed"), "image_size": source.side}


def _dump(path: Path, about: str, document: dict[str, Any]) -> None:
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    path.write_text(f"# {' '.join(about.split())} Written by `vtbench export`.\n{text}", encoding="utf-8")
