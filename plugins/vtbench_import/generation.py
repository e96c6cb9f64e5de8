"""Reads `generation_kwargs`: maximum length and stop strings of an answer. vtbench decodes greedily."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vtbench_import.harness import Harness
from vtbench_import.task_config import TaskConfig

_LENGTHS = ("max_gen_toks", "max_new_tokens")
_GREEDY: Mapping[str, tuple[Any, ...]] = {
    "do_sample": (False, None),
    "num_beams": (1, None),
    "num_return_sequences": (1, None),
    "repetition_penalty": (1, None),
}
"""Values that greedy decoding allows."""
_IGNORED = frozenset({"top_p", "top_k", "use_cache", "image_aspect_ratio", "temperature", "until"})
"""Settings without effect on greedy decoding, or read elsewhere."""


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """Length and end of an answer."""

    max_new_tokens: int
    until: tuple[str, ...]
    """Stop strings: the answer ends before the first of them."""
    strip: bool
    """Whether white space at both ends of the answer is removed."""

    def truncate(self, text: str | None) -> str:
        """Return the part of a model's output that is scored."""
        text = text or ""
        for stop in filter(None, self.until):
            text = text.split(stop)[0]
        return text.strip() if self.strip else text


def read_generation_settings(config: TaskConfig, harness: Harness) -> GenerationSettings:
    """Read the generation settings of a task.

    Raises:
        TaskError: the task asks for sampling or beams, or a setting is unknown.
    """
    given = {
        **config.get("generation_kwargs", {}),
        **(config.get("model_specific_generation_kwargs") or {}).get("default", {}),
    }
    for name, value in given.items():
        if name in _GREEDY and value not in _GREEDY[name]:
            raise config.error(f"must be {_GREEDY[name][0]}, as vtbench decodes greedily", "generation_kwargs", name)
        if name not in (*_GREEDY, *_IGNORED, *_LENGTHS):
            raise config.error("unknown setting", "generation_kwargs", name)
    if str(given.get("temperature") or 0) not in ("0", "0.0") and given.get("do_sample") is None:
        raise config.error("must be 0, as vtbench decodes greedily", "generation_kwargs", "temperature")
    length = next((given[name] for name in _LENGTHS if given.get(name)), harness.max_new_tokens)
    if not isinstance(length, int) or length < 1:
        raise config.error(f"must be a number of tokens, not {length!r}", "generation_kwargs")
    until = given.get("until", config.get("fewshot_delimiter", "\n\n")) or []
    stops = until if isinstance(until, list) else [until]
    if not all(isinstance(stop, str) for stop in stops):
        raise config.error(f"must be texts, not {until!r:.60}", "generation_kwargs", "until")
    return GenerationSettings(length, tuple(stops), harness.strips_output)
