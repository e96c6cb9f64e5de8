"""Language-only controls: what a causal language model answers without sight.

`question_only` gets the question and no image: what language alone answers. `captioned` gets the scene told in
sentences in the place of the image: what perfect sight through words would answer. Both serve any checkpoint that
AutoModelForCausalLM loads, GGUF files too. docs/controls.md says how to read their scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vtbench.hookspecs import hookimpl
from vtbench_hf.checkpoint.arguments import OF_IMAGES, OF_PLACEMENT, LoadArguments, with_load_arguments

if TYPE_CHECKING:
    from vtbench.adapter import Adapter

_HELPS = {
    "pretrained": "directory of a causal language model, a GGUF file or a directory with one, or a name on the hub.",
    "gguf_file": "which of the checkpoint's GGUF files to load.",
}
_WITHOUT = (*OF_PLACEMENT, *OF_IMAGES)


@with_load_arguments(without=_WITHOUT, **_HELPS)
def question_only(arguments: LoadArguments, *, gguf_file: str | None = None) -> Adapter:
    """Any causal language model, asked without the image: `pretrained=<directory, GGUF file or hub name>`."""
    from vtbench_language.adapter import LanguageAdapter
    from vtbench_language.loader import load
    from vtbench_language.told_samples import without_images

    return LanguageAdapter(load("question_only", arguments, gguf_file), "question_only", without_images)


@with_load_arguments(without=_WITHOUT, **_HELPS)
def captioned(arguments: LoadArguments, *, gguf_file: str | None = None) -> Adapter:
    """Any causal language model, told the scene in sentences: `pretrained=<directory, GGUF file or hub name>`.

    A sample without a scene needs a caption of its own, from the column that its task names under `data: caption`.
    """
    from vtbench_language.adapter import LanguageAdapter
    from vtbench_language.loader import load
    from vtbench_language.told_samples import with_captions

    return LanguageAdapter(load("captioned", arguments, gguf_file), "captioned", with_captions)


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer the controls."""
    return {"captioned": captioned, "question_only": question_only}
