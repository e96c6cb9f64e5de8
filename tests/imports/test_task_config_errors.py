"""An unsupported task config is refused in one line with file, line and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from import_fakes import load, write_config, write_lmms_config

from vtbench.errors import TaskError

CASES: list[tuple[dict[str, Any], str]] = [
    (
        {"dataset_path": "org/vqa"},
        r"dataset_path: 'org/vqa' is no directory .* hub does not give 'org/vqa'.*save_to_disk",
    ),
    ({"dataset_path": "lmms-lab/GQA"}, r"dataset_path: .* 'lmms-lab/GQA' moved to 'lmms-lab-encoder/GQA'"),
    ({"dataset_path": "./org/vqa"}, r"dataset_path: './org/vqa' is no directory .* no name of a hub data set"),
    ({"dataset_path": None}, r"task: no data"),
    ({"dataset_kwargs": {"data_files": {"test": "none.parquet"}}}, r"dataset_kwargs.data_files: there is no file"),
    (
        {"dataset_kwargs": {"data_files": "https://host/x.parquet"}, "test_split": "train"},
        r"data_files: must be paths of local files, not 'https://host/x.parquet'",
    ),
    ({"dataset_kwargs": {"data_files": "data/squares.parquet"}}, r"test_split: no split 'test'; the data has 'train'"),
    ({"dataset_kwargs": None}, r"dataset_path: parquet needs dataset_kwargs.data_files"),
    ({"dataset_kwargs": {"data_files": {"test": "data/*"}, "streaming": True}}, r"dataset_kwargs.streaming: "),
    ({"test_split": None}, r"task: no split to evaluate"),
    ({"test_split": "val"}, r"test_split: no split 'val'; the data has 'test'"),
    ({"output_type": "loglikelihood"}, r"output_type: must be generate_until or multiple_choice"),
    ({"doc_to_image": None}, r"doc_to_image: is missing; vtbench runs image tasks of lm-eval"),
    ({"doc_to_image": ["photo"]}, r"doc_to_image: must name image columns; the data has question"),
    ({"doc_to_text": "qestion"}, r"doc_to_text: the data has no column 'qestion'\. Did you mean 'question'"),
    ({"doc_to_text": "{{ question"}, r"doc_to_text: not a Jinja template"),
    (
        {"doc_to_text": "{{ colour }}"},
        r"no valid question: doc_to_text: .*'colour' is undefined.*columns: ",
    ),
    ({"doc_to_text": "Look: <image> or <image> {{question}}"}, r"has 2 <image> for 1 image"),
    ({"doc_to_text": "<image><image>{{question}}"}, r"2 <image> for 1 image"),
    ({"doc_to_target": "{{7}}", "doc_to_choice": "options"}, r"7 is neither one of the 4 choices nor its number"),
    ({"doc_to_choice": "{{ answer }}"}, r"'red' is not a list as Python writes it"),
    ({"num_fewshot": 2}, r"num_fewshot: must be 0"),
    ({"repeats": 3}, r"repeats: must be 1"),
    ({"filter_list": [{"name": "x", "filter": []}]}, r"filter_list: answers are scored as they are"),
    ({"process_docs": "!function utils.all"}, r"process_docs: rewrites the whole data set"),
    ({"doc_too_text": "x"}, r"doc_too_text: lm-eval has no such key that is known here\. Did you mean 'doc_to_text'"),
    ({"generation_kwargs": {"do_sample": True}}, r"generation_kwargs.do_sample: must be False"),
    ({"generation_kwargs": {"temperature": 0.7}}, r"generation_kwargs.temperature: must be 0"),
    ({"generation_kwargs": {"bems": 2}}, r"generation_kwargs.bems: "),
    ({"metric_list": [{"metric": "bleu"}]}, r"metric_list.0.metric: 'bleu' is not supported"),
    ({"metric_list": [{"metric": "exact_match", "aggregation": "median"}]}, r"metric_list.0.aggregation: must be mean"),
    ({"metric_list": [{"metric": "exact_match", "ignore_cases": True}]}, r"metric_list.0.ignore_cases: unknown option"),
    ({"dataset_path": ["parquet"]}, r"dataset_path: must be a text"),
    ({"dataset_kwargs": "data.parquet"}, r"dataset_kwargs: must be `key: value` lines"),
    ({"dataset_kwargs": {"data_files": {"test": {"a": 1}}}}, r"data_files: must be paths"),
    ({"generation_kwargs": [1]}, r"generation_kwargs: must be `key: value` lines"),
    ({"generation_kwargs": {"until": [1]}}, r"generation_kwargs.until: must be texts"),
    ({"metric_list": {"metric": "exact_match"}}, r"metric_list: must be a list"),
    ({"metric_list": [{"aggregation": "mean"}]}, r"metric_list.0: must have a `metric`"),
    ({"task": ["a", "b"]}, r"task: a group of tasks"),
    ({"task": None}, r"task: no name"),
]


@pytest.mark.parametrize(("changes", "says"), CASES, ids=lambda case: case if isinstance(case, str) else "")
def test_an_unsupported_value_is_refused(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = write_config(tmp_path, **changes)
    with pytest.raises(TaskError, match=says) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_the_line_is_that_of_the_key(tmp_path: Path) -> None:
    path = write_config(tmp_path, metric_list=[{"metric": "bleu"}])
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "bleu" in text)
    with pytest.raises(TaskError, match=rf"squares.yaml, line {line}: metric_list.0.metric: "):
        load(path)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ self.__init__.__globals__ }}",
        "{% set x = options.append('x') %}",
    ],
)
def test_a_template_accesses_nothing_but_the_row(template: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"doc_to_text: the template accesses more than its row"):
        load(write_config(tmp_path, doc_to_text=template))


def test_a_python_tag_is_no_yaml_here(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    path.write_text(path.read_text() + "metadata: !!python/object/apply:os.system ['touch gone']\n")
    with pytest.raises(TaskError, match=r"line \d+: not valid YAML: could not determine a constructor"):
        load(path)


def test_a_seed_or_a_missing_split_is_refused(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    with pytest.raises(TaskError, match="has no seed to choose"):
        load(path, seed=3)
    with pytest.raises(TaskError, match=r"no split 'val', as --split says; the data has 'test'"):
        load(path, split="val")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"none.yaml: cannot be read: No such file"):
        load(tmp_path / "none.yaml", "lmms")


def test_a_file_that_includes_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("include: a.yaml\ntask: a\n")
    with pytest.raises(TaskError, match="the file includes itself"):
        load(tmp_path / "a.yaml")


def test_a_conversation_of_its_own_needs_the_plain_keys_beside_it(tmp_path: Path) -> None:
    messages = {"doc_to_messages": "!function utils.messages"}
    assert len(load(write_lmms_config(tmp_path, **messages), "lmms")) == 4
    with pytest.raises(TaskError, match="doc_to_messages: builds a conversation of its own"):
        load(write_lmms_config(tmp_path, **messages, doc_to_visual=None), "lmms")


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([]))
    data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "rows.json"}}}
    with pytest.raises(TaskError, match=r"the split 'test' of the data has no rows"):
        load(write_config(tmp_path, **data))
