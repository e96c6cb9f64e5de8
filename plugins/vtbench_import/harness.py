"""Which keys of a task config vtbench reads, ignores or refuses, and how lm-eval and lmms-eval differ.

The tables follow lm-eval 0.4.13 (`lm_eval/config/task.py`) and lmms-eval 0.7.3 (`lmms_eval/api/task.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

READ = frozenset(
    {
        "task",
        "include",
        "dataset_path",
        "dataset_name",
        "dataset_kwargs",
        "test_split",
        "validation_split",
        "doc_to_text",
        "doc_to_target",
        "doc_to_choice",
        "output_type",
        "generation_kwargs",
        "metric_list",
        "description",
        "fewshot_delimiter",
        "process_results",
        "metadata",
    }
)
"""Keys of both harnesses that decide samples or scores."""
IGNORED = frozenset(
    {
        "task_alias",
        "tag",
        "group",
        "group_alias",
        "training_split",
        "fewshot_split",
        "fewshot_config",
        "target_delimiter",
        "unsafe_code",
        "should_decontaminate",
        "doc_to_decontamination_query",
        "cluster_key",
        "score_key",
        "full_docs",
        "process_results_use_image",
    }
)
"""Keys without effect on zero-shot samples, and those that the adapter decides (`target_delimiter`)."""
REFUSED: Mapping[str, str] = {
    "process_docs": "rewrites the whole data set, which is not run here; write the rows to a file as it leaves them",
    "doc_to_audio": "vtbench tasks have images only",
    "doc_to_messages": "builds a conversation of its own; give doc_to_text and doc_to_visual beside it",
    "filter_list": "answers are scored as they are; there is no filter for them here",
    "use_prompt": "names a template of promptsource; write it into doc_to_text",
    "gen_prefix": "the answer's beginning cannot be given to the model here; ask for it in doc_to_text",
    "reasoning_tags": "answers are scored as they are",
    "auto_strip_thinking": "answers are scored as they are",
}
"""Keys that are refused where they hold a value, with what to do instead."""
SHAPES: Mapping[str, tuple[type, str]] = {
    "dataset_path": (str, "a text"),
    "dataset_kwargs": (dict, "`key: value` lines"),
    "generation_kwargs": (dict, "`key: value` lines"),
    "lmms_eval_specific_kwargs": (dict, "`key: value` lines"),
    "model_specific_generation_kwargs": (dict, "`key: value` lines"),
    "model_specific_target_kwargs": (dict, "`key: value` lines"),
    "metric_list": (list, "a list"),
}
"""Type of a key's value, and its name in an error message."""
FIXED: Mapping[str, int] = {"num_fewshot": 0, "repeats": 1}
"""Keys that must have this value: zero-shot, one repetition."""


@dataclass(frozen=True, slots=True)
class Harness:
    """The differences between the two harnesses."""

    name: str
    image_key: str
    """The key that names the images of a row."""
    extra_keys: frozenset[str]
    """Keys of this harness alone that are read."""
    max_new_tokens: int
    """Default length of an answer."""
    keep_trailing_newline: bool
    """Whether a template keeps its last line break."""
    strips_output: bool
    """Whether an answer loses white space at both ends before it is scored."""
    first_include_wins: bool
    """Which of several included files decides a key that they share: the first one, or the last."""


LM_EVAL = Harness(
    name="lm-eval",
    image_key="doc_to_image",
    extra_keys=frozenset({"custom_dataset"}),
    max_new_tokens=256,
    keep_trailing_newline=True,
    strips_output=False,
    first_include_wins=False,
)
LMMS_EVAL = Harness(
    name="lmms-eval",
    image_key="doc_to_visual",
    extra_keys=frozenset(
        {"lmms_eval_specific_kwargs", "model_specific_target_kwargs", "model_specific_generation_kwargs"}
    ),
    max_new_tokens=1024,
    keep_trailing_newline=False,
    strips_output=True,
    first_include_wins=True,
)
