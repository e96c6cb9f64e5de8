"""The `hf` adapter: any image-text checkpoint that transformers can load. Also the base classes of further adapters.

`vtbench_hf.adapter.HFAdapter` serves every architecture through `generate`. `vtbench_hf.probed_adapter.ProbedAdapter`
is `hf`: a probe at load finds where a checkpoint's visual tokens are. `vtbench_hf.merged_adapter.MergedAdapter` is for
families in which image features replace the embeddings of placeholder tokens; `vtbench_families` has these.
docs/adapter.md lists the methods to override.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vtbench.hookspecs import hookimpl
from vtbench_hf.checkpoint.arguments import LoadArguments, with_load_arguments
from vtbench_hf.matrix import listing
from vtbench_hf.named_models import NAMED, named_factory

if TYPE_CHECKING:
    from vtbench.adapter import Adapter


@with_load_arguments()
def hf(arguments: LoadArguments) -> Adapter:
    """Any AutoModelForImageTextToText checkpoint: `pretrained=<directory or hub name>`.

    Except those of Fuyu and Idefics, whose processors take images and text in ways of their own: they have adapters.
    """
    from vtbench_hf.checkpoint.loader import load
    from vtbench_hf.checkpoint.model_types import CUSTOM_PROMPTS
    from vtbench_hf.probed_adapter import ProbedAdapter

    return ProbedAdapter(load("hf", arguments, never=CUSTOM_PROMPTS))


vars(hf)["matrix"] = listing


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer `hf`, and the names of models that it serves."""
    return {"hf": hf, **{name: named_factory(name, entry) for name, entry in NAMED.items()}}
