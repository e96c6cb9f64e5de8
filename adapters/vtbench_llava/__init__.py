"""The `llava` adapter: the small LLaVA that ships with vtbench, or any LLaVA checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vtbench.hookspecs import hookimpl
from vtbench_hf.checkpoint.arguments import LoadArguments, with_load_arguments
from vtbench_hf.checkpoint.model_types import serves

if TYPE_CHECKING:
    from vtbench.adapter import Adapter

WEIGHTS = Path(__file__).resolve().parent / "weights"
"""Directory of the embedded checkpoint, in the published layout, with its card."""
NEUTRAL = WEIGHTS.parent / "neutral"
"""Directory of the same model trained on captions alone, where a study of fine-tuning starts. With its card."""
SHIPPED: Mapping[str, Path] = {"embedded": WEIGHTS, "neutral": NEUTRAL}
"""Checkpoints that `pretrained=` knows by name; a directory with such a name is `./neutral`."""


@serves("llava")
@with_load_arguments(
    pretrained="directory of a LLaVA checkpoint in the transformers format, or its name on the hub; `neutral` is the"
    " one that ships beside the `embedded` default, trained on captions alone."
)
def llava(arguments: LoadArguments) -> Adapter:
    """LLaVA: the small one that ships with vtbench, or `pretrained=<neutral, directory or hub name>`."""
    from vtbench_hf.checkpoint.loader import load
    from vtbench_llava.adapter import LlavaAdapter

    name = "embedded" if arguments.pretrained is None else arguments.pretrained
    arguments = replace(arguments, pretrained=str(SHIPPED.get(name, name)))
    loaded = load("llava", arguments, label=name, only="llava")
    if loaded.model.config.vision_config.model_type == "pixtral":  # of LLaVA's type, with a tower for any image size
        from vtbench_hf.probed_adapter import ProbedAdapter

        return ProbedAdapter(loaded)
    return LlavaAdapter(loaded)


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer `llava`."""
    return {"llava": llava}
