"""How lm-eval and lmms-eval differ, and what of their task files vtbench reads, passes over or refuses.

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
"""Keys that both have and that decide samples or scores."""
PASSED_OVER = frozenset(
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
"""Names, few-shot examples that are not shown, and what a likelihood's prompt ends with: an adapter's own matter."""
REFUSED: Mapping[str, str] = {
    "process_docs": "rewrites the whole data set, which is not run here; write the rows to a file as it leaves them",
    "doc_to_audio": "vtbench shows pictures only",
    "doc_to_messages": "builds a conversation of its own; give doc_to_text and doc_to_visual beside it",
    "filter_list": "answers are scored as they are; there is no filter for them here",
    "use_prompt": "names a template of promptsource; write it into doc_to_text",
    "gen_prefix": "an answer cannot be begun for the model here; ask for it in doc_to_text",
    "reasoning_tags": "answers are scored as they are",
    "auto_strip_thinking": "answers are scored as they are",
}
"""Keys that cannot be taken over where they say anything, and what to do."""
SHAPES: Mapping[str, tuple[type, str]] = {
    "dataset_path": (str, "a text"),
    "dataset_kwargs": (dict, "`key: value` lines"),
    "generation_kwargs": (dict, "`key: value` lines"),
    "lmms_eval_specific_kwargs": (dict, "`key: value` lines"),
    "model_specific_generation_kwargs": (dict, "`key: value` lines"),
    "model_specific_target_kwargs": (dict, "`key: value` lines"),
    "metric_list": (list, "a list"),
}
"""What keys must hold, and how an error says so."""
ONLY: Mapping[str, int] = {"num_fewshot": 0, "repeats": 1}
"""Keys that must have this value: one question a sample, asked once."""


@dataclass(frozen=True, slots=True)
class Harness:
    """One of the two."""

    name: str
    pictures: str
    """The key that says where pictures are."""
    own: frozenset[str]
    """Further keys that are read."""
    max_new_tokens: int
    """How long answers are where the task does not say."""
    keeps_last_newline: bool
    """Whether a template's last line end stays."""
    strips: bool
    """Whether answers lose white space at their ends before they are scored."""
    first_include_wins: bool
    """Of several included files that say the same key; else the last one does."""


LM_EVAL = Harness(
    name="lm-eval",
    pictures="doc_to_image",
    own=frozenset({"custom_dataset"}),
    max_new_tokens=256,
    keeps_last_newline=True,
    strips=False,
    first_include_wins=False,
)
LMMS_EVAL = Harness(
    name="lmms-eval",
    pictures="doc_to_visual",
    own=frozenset({"lmms_eval_specific_kwargs", "model_specific_target_kwargs", "model_specific_generation_kwargs"}),
    max_new_tokens=1024,
    keeps_last_newline=False,
    strips=True,
    first_include_wins=True,
)
