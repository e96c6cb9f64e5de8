"""`generation_kwargs` in; how long an answer may be and where it ends, out. vtbench decodes greedily."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vtbench_import.harness import Harness
from vtbench_import.recipe import Recipe

_LENGTHS = ("max_gen_toks", "max_new_tokens")
_GREEDY: Mapping[str, tuple[Any, ...]] = {
    "do_sample": (False, None),
    "num_beams": (1, None),
    "num_return_sequences": (1, None),
    "repetition_penalty": (1, None),
}
"""Settings that must be as in greedy decoding."""
_NO_MATTER = frozenset({"top_p", "top_k", "use_cache", "image_aspect_ratio", "temperature", "until"})
"""What greedy decoding does not look at, or another part reads."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What an answer is."""

    max_new_tokens: int
    until: tuple[str, ...]
    """It ends before the first of these."""
    strips: bool
    """Whether white space at its ends counts for nothing."""

    def read(self, text: str | None) -> str:
        """Return the part of what a model wrote that is scored."""
        text = text or ""
        for end in filter(None, self.until):
            text = text.split(end)[0]
        return text.strip() if self.strips else text


def read_answers(recipe: Recipe, harness: Harness) -> Answers:
    """Read what answers are.

    Raises:
        TaskError: they are sampled, or a setting is not known.
    """
    given = {
        **recipe.get("generation_kwargs", {}),
        **(recipe.get("model_specific_generation_kwargs") or {}).get("default", {}),
    }
    for name, value in given.items():
        if name in _GREEDY and value not in _GREEDY[name]:
            raise recipe.error(f"must be {_GREEDY[name][0]}, as vtbench decodes greedily", "generation_kwargs", name)
        if name not in (*_GREEDY, *_NO_MATTER, *_LENGTHS):
            raise recipe.error("a setting that vtbench has not", "generation_kwargs", name)
    if str(given.get("temperature") or 0) not in ("0", "0.0") and given.get("do_sample") is None:
        raise recipe.error("must be 0, as vtbench decodes greedily", "generation_kwargs", "temperature")
    length = next((given[name] for name in _LENGTHS if given.get(name)), harness.max_new_tokens)
    if not isinstance(length, int) or length < 1:
        raise recipe.error(f"must be a number of tokens, not {length!r}", "generation_kwargs")
    until = given.get("until", recipe.get("fewshot_delimiter", "\n\n")) or []
    ends = until if isinstance(until, list) else [until]
    if not all(isinstance(end, str) for end in ends):
        raise recipe.error(f"must be texts, not {until!r:.60}", "generation_kwargs", "until")
    return Answers(length, tuple(ends), harness.strips)
