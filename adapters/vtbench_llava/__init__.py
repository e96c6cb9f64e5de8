"""The `llava` adapter: the small LLaVA that ships with vtbench, or any LLaVA checkpoint.

`duplicated` is the same with a known dose of redundancy in its visual tokens.
"""

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
    from vtbench_hf.checkpoint.loader import LoadedModel

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
    from vtbench_llava.adapter import LlavaAdapter

    loaded = _load("llava", arguments)
    if _any_size(loaded):
        from vtbench_hf.probed_adapter import ProbedAdapter

        return ProbedAdapter(loaded)
    return LlavaAdapter(loaded)


@with_load_arguments(
    pretrained="as of `llava`.",
    tokens="how many visual tokens are kept, spread evenly over the image; all by default.",
    copies="how often each kept token stands in the prompt.",
    noise="noise on every copy: its covariance is that of the token over images times this.",
)
def duplicated(arguments: LoadArguments, *, tokens: int | None = None, copies: int = 1, noise: float = 0.0) -> Adapter:
    """A LLaVA with a known dose of redundancy: visual tokens thinned, copied and made noisy."""
    from vtbench.errors import AdapterError
    from vtbench_llava.duplicated_tokens import Dose, DuplicatedLlava

    dose, loaded = Dose(tokens, copies, noise), _load("duplicated", arguments)
    if _any_size(loaded):
        raise AdapterError(f"model duplicated: {loaded.checkpoint} has no fixed number of visual tokens")
    return DuplicatedLlava(loaded, dose)


def _load(model: str, arguments: LoadArguments) -> LoadedModel:
    from vtbench_hf.checkpoint.loader import load

    name = "embedded" if arguments.pretrained is None else arguments.pretrained
    arguments = replace(arguments, pretrained=str(SHIPPED.get(name, name)))
    return load(model, arguments, label=name, only="llava")


def _any_size(loaded: LoadedModel) -> bool:
    """Whether a checkpoint of LLaVA's type has a tower for images of any size."""
    return bool(loaded.model.config.vision_config.model_type == "pixtral")


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer `llava` and the control `duplicated`."""
    return {"duplicated": duplicated, "llava": llava}
