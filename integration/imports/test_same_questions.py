"""lm-eval, lmms-eval and vtbench read one task config: the same questions, images, and scores of the same answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import import_fakes
import pytest
from test_code_loader import UTILS

from vtbench.metric import Batch
from vtbench.types import Output

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
TEXTS = ("red", "Red.", " RED 7", "it", "Red.\n\nI am sure", "blue", "")
_MATCH = {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
_COUNTED = {"aggregation": "mean", "higher_is_better": True}
_WITH_FILTER = "{{question | regex_replace('square', 'field')}}\nAnswer:\n"
_NO_STOP = {"ignore_case": True, "regexes_to_ignore": [r"\."]}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"doc_to_text": "question"},
    "described": {"description": "Look closely. ", "metric_list": [{**_MATCH, "ignore_case": True}]},
    "several": {"doc_to_target": "other", "metric_list": [{**_MATCH, **_NO_STOP}]},
    "numbered": {
        "doc_to_choice": "options",
        "doc_to_target": "label",
        "metric_list": [{**_MATCH, "ignore_numbers": True}],
    },
    "templates": {"doc_to_choice": "{{options}}", "doc_to_target": "{{label}}"},
    "filtered": {"doc_to_text": _WITH_FILTER, "doc_to_target": "{{[answer, 'it']}}"},
    "metric": {"metric_list": [{"metric": "!function utils.starts_with", **_COUNTED}]},
    "code": {
        "doc_to_text": "!function utils.doc_to_text",
        "process_results": "!function utils.process_results",
        "metric_list": [{"metric": "acc", **_COUNTED}],
    },
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every variant for both harnesses, in one directory."""
    directory = tmp_path_factory.mktemp("tasks")
    (directory / "utils.py").write_text(UTILS)
    data = {"dataset_kwargs": {"data_files": {"test": str(directory / "data" / "squares.parquet")}}}
    length = {"max_gen_toks": 9, "until": ["\n\n"], "do_sample": False}
    for name, changes in VARIANTS.items():
        import_fakes.write_config(
            directory, f"lm_{name}.yaml", **data, **{"task": f"lm_{name}", "generation_kwargs": length, **changes}
        )
        import_fakes.write_lmms_config(
            directory, name=f"lmms_{name}.yaml", **data,
            **{"task": f"lmms_{name}", "generation_kwargs": {"max_new_tokens": 9, "until": ["\n\n"]}, **changes},
        )  # fmt: skip
    return directory


def numbers(values: Any) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def theirs(task: Any, doc_to_image: Any) -> Iterator[tuple[str, Any, list[dict[str, float]]]]:
    """Each row's question, the first image's first pixel, and its scores of `TEXTS`."""
    until = task.config.generation_kwargs["until"]
    for doc in task.eval_docs:
        prompt = task.fewshot_context(doc, 0)
        scores = []
        for text in TEXTS:
            for end in until:
                text = text.split(end)[0]
            scores.append(numbers(task.process_results(doc, [text])))
        yield prompt.replace("<image>", ""), doc_to_image(doc)[0].convert("RGB").getpixel((0, 0)), scores


def ours(path: Path, source: str) -> Iterator[tuple[str, Any, list[dict[str, float]]]]:
    task: Any = import_fakes.load(path, source, allow_code=True)
    metrics = {name: make() for name, make in task.metric_factories.items()}
    for sample in map(task.sample, range(len(task))):
        scores = []
        for text in TEXTS:
            found: dict[str, float] = {}
            for name, metric in metrics.items():
                (observed,) = metric.observe(Batch([sample], [Output(text=text)], {}))
                found |= numbers(observed.get("values", {name: observed["correct"]} if "correct" in observed else {}))
            scores.append(found)
        yield sample.prompt, sample.images[0].getpixel((0, 0)), scores


@pytest.mark.parametrize("name", VARIANTS)
def test_lm_eval(name: str, home: Path) -> None:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(home), include_defaults=False)
    task = manager.load([f"lm_{name}"])["tasks"][f"lm_{name}"]
    assert list(ours(home / f"lm_{name}.yaml", "lm-eval")) == list(theirs(task, task.doc_to_image))


@pytest.fixture(scope="module")
def lmms_manager(home: Path) -> Any:
    from lmms_eval.tasks import TaskManager

    return TaskManager("ERROR", include_path=str(home), model_name="dummy")


@pytest.mark.parametrize("name", VARIANTS)
def test_lmms_eval(name: str, home: Path, lmms_manager: Any) -> None:
    from lmms_eval.tasks import get_task_dict

    task = get_task_dict([f"lmms_{name}"], lmms_manager, "simple")[f"lmms_{name}"]
    assert list(ours(home / f"lmms_{name}.yaml", "lmms")) == list(theirs(task, task.doc_to_visual))
