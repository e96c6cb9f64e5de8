"""Types that vtbench pretrains small models of, in the sizes of the tests: their factory is the trainer's own.

Those whose processors also read videos have a recipe: the trainer's factory makes none of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tiny_checkpoints.recipe import PromptFacts
from vtbench_training.small_models import random_model
from vtbench_training.small_models.sizes import QuerySizes, Sizes

_PARTS = {
    "vision_hidden": 32, "vision_layers": 2, "vision_heads": 2,
    "hidden": 32, "layers": 4, "heads": 2, "kv_heads": 2, "intermediate": 64,
}  # fmt: skip
_WHOLE = Sizes(**_PARTS, image_size=56, patch_size=14)
_TILE = Sizes(**_PARTS, image_size=28, patch_size=7)
_QUERIES = QuerySizes(**_PARTS, image_size=28, patch_size=7, queries=4, connector_layers=2)
_RESOLUTIONS = ((28, 56), (56, 28), (56, 56), (28, 84))

SHIPPED: Mapping[str, Callable[..., tuple[Any, Any]]] = {
    "blip-2": partial(random_model, "qformer", _QUERIES, text="opt"),
    "fuyu": partial(random_model, "fuyu", _WHOLE, tied=False, canvas=112),
    "gemma3": partial(random_model, "gemma3", _TILE),
    "idefics": partial(random_model, "flamingo", _QUERIES, tied=False),
    "idefics3": partial(random_model, "idefics3", _TILE, tied=False, longest_edge=56),
    "llava": partial(random_model, "llava", _WHOLE),
    "llava_next": partial(random_model, "llava_next", _TILE, tied=False, resolutions=_RESOLUTIONS),
    "mllama": partial(random_model, "mllama", _TILE, max_tiles=2),
    "paligemma": partial(random_model, "paligemma", _TILE, tied=False),
    "smolvlm": partial(random_model, "smolvlm", _TILE, tied=False, longest_edge=56),
}
"""By model type: builders of a model and its processor, which take a `seed`."""
FACTS: Mapping[str, PromptFacts] = {
    "idefics": PromptFacts(interleaved=True),
    "paligemma": PromptFacts(prompt="<image>{question}", answer_values={"token_type_ids": 1}),
    "gemma3": PromptFacts(prompt="<start>{question}"),
    "mllama": PromptFacts(prompt="<|image|>{question}"),
}
"""How to ask those that are not asked by a chat template."""
