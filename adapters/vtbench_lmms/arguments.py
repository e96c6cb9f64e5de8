"""The arguments of `--model lmms` and their checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge

from vtbench.adapter import Generation
from vtbench.errors import AdapterError
from vtbench.settings import checked, split_settings

Pixels = Annotated[int, Ge(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LmmsArguments:
    """Which model of lmms-eval is loaded, and where."""

    model: Annotated[str | None, "Name of the model in lmms-eval."] = None
    python: Annotated[
        str | None, "Interpreter of an environment that has lmms-eval; by default the one that runs vtbench."
    ] = None
    image_size: Annotated[
        Pixels | None, "Side in pixels at which tasks render their images; by default that of the checkpoint's config."
    ] = None
    force_simple: Annotated[bool, "Use the older `simple` class of a model that has two classes."] = False
    generation: Annotated[Generation | None, "How the model generates; the host passes it (`--gen`)."] = None
    device: Annotated[str, "`auto`: lmms-eval's choice on a machine with a GPU, else `cpu`."] = "auto"
    dtype: Annotated[str, "Number format of the weights, passed to models that take one."] = "auto"


def checked_arguments(arguments: Mapping[str, Any]) -> tuple[LmmsArguments, dict[str, Any]]:
    """Check the arguments.

    Returns:
        The adapter's own arguments, and those of the model, with `~` in `pretrained` expanded.

    Raises:
        AdapterError: names the argument that is invalid.
    """
    given, model_args = split_settings(LmmsArguments, arguments)
    settings = checked(LmmsArguments, given, "model 'lmms': {}".format, AdapterError)
    if not settings.model:
        raise AdapterError("model 'lmms' needs a model of lmms-eval: --model-args model=huggingface,pretrained=DIR")
    generation = settings.generation or Generation()
    for name, value, why in (
        ("seed", generation.seed, "its models draw from one generator for a whole process, or outside it"),
        ("top_k", generation.top_k, "most of its models drop it without a word; top_p=P is passed on"),
    ):
        if value:
            raise AdapterError(f"model 'lmms': --gen {name}: lmms-eval takes none ({why}); leave {name} out")
    if isinstance(model_args.get("pretrained"), str):
        model_args["pretrained"] = _checkpoint_path(model_args["pretrained"])
    return settings, model_args


def _checkpoint_path(pretrained: str) -> str:
    """Return a directory with `~` expanded; anything that may be a hub name is returned as it is.

    Raises:
        AdapterError: it can only be a directory, and there is none.
    """
    path = Path(pretrained).expanduser()
    if path.is_dir():
        return str(path)
    if pretrained.startswith(("/", ".", "~")) or pretrained.count("/") > 1:
        raise AdapterError(f"model 'lmms': pretrained: {pretrained} is not a directory")
    return pretrained
