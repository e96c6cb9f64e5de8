"""The arguments that load a checkpoint of transformers, shared by the adapters' factories.

A factory takes one `LoadArguments` and what is its own; `with_load_arguments` gives it a keyword parameter for each
field, because the parameters of a factory are what `--model-args` accepts. Importing this imports no backend.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

from vtbench.adapter import Generation
from vtbench.errors import AdapterError
from vtbench.settings import check_value, help_texts

_HOSTS = frozenset({"generation", "chat_template_args"})
"""Fields that the host passes, never `--model-args`; a factory's docstring leaves them out."""
OF_PLACEMENT = ("device_map", "max_memory", "offload_folder", "quantization", "peft")
"""Fields of models that are too large for one device, or that carry a LoRA."""
OF_IMAGES = ("min_pixels", "max_pixels", "size", "use_fast")
"""Settings of the image processor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadArguments:
    """Which checkpoint to load, and how. The help text of a field is its line in a factory's docstring."""

    pretrained: Annotated[
        str | None, "directory of a checkpoint in the transformers format, or its name on the hub."
    ] = None
    revision: Annotated[str | None, "branch, tag or commit on the hub."] = None
    dtype: Annotated[str, "`auto` (bfloat16 on a GPU, float32 on a CPU), `float32`, `bfloat16` or `float16`."] = "auto"
    device: Annotated[str, "`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."] = "auto"
    attn_implementation: Annotated[
        str | None, "`eager`, `sdpa`, `flash_attention_2`; transformers' choice by default."
    ] = None
    trust_remote_code: Annotated[bool | str, "run code that comes with the checkpoint; off by default."] = False
    device_map: Annotated[
        str | Mapping[str, Any] | None,
        "`auto`, `balanced`, `balanced_low_0` or `sequential`, or modules and their devices:"
        " {model.visual: 0, model.language_model: 1, lm_head: 1}; in place of `device`.",
    ] = None
    max_memory: Annotated[
        Mapping[int | str, int | str] | None, "what `device_map=auto` may use of each device: {0: 20GiB, cpu: 60GiB}."
    ] = None
    offload_folder: Annotated[
        str | None, "where weights go that a device map leaves on the disk, if their files cannot be read in place."
    ] = None
    quantization: Annotated[str | None, "`8bit` or `4bit`: linear layers are quantised by bitsandbytes."] = None
    peft: Annotated[str | None, "directory of a LoRA, as peft writes it, over the checkpoint."] = None
    min_pixels: Annotated[int | None, "least pixels of an image, where the image processor has the setting."] = None
    max_pixels: Annotated[int | None, "most pixels of an image, where the image processor has the setting."] = None
    size: Annotated[
        int | Mapping[str, int] | None, "size of an image as its processor has it: 336, or {shortest_edge: 336}."
    ] = None
    use_fast: Annotated[
        bool | str | None, "process images with torchvision (true) or Pillow (false); transformers' choice by default."
    ] = None
    chat_template: Annotated[
        str | None,
        "a Jinja template, a file with one, or the name of one of the checkpoint's, in place of its default.",
    ] = None
    generation: Annotated[Generation | None, "how the model generates; the host passes it (`--gen`)."] = None
    chat_template_args: Annotated[
        Mapping[str, Any] | None, "variables of the chat template; the host passes them (`--chat-template-args`)."
    ] = None

    def __post_init__(self) -> None:
        """Check the types of the settings of size and of images, which are numbers and mappings.

        Raises:
            AdapterError: one has another type.
        """
        given = [name for name in (*OF_PLACEMENT, *OF_IMAGES) if getattr(self, name) is not None]
        kinds = get_type_hints(type(self)) if given else {}
        for name in given:
            object.__setattr__(self, name, check_value(kinds[name], getattr(self, name), name, AdapterError))


def as_bool(key: str, value: object) -> bool:
    """Return a switch's value: a bool, or `true` / `false` in the usual spellings.

    Raises:
        AdapterError: it is something else.
    """
    text = str(value).strip().lower()
    if text in {"true", "1", "yes", "on"}:
        return True
    if text in {"false", "0", "no", "off"}:
        return False
    raise AdapterError(f"{key}={value} is not a switch: write {key}=true or {key}=false")


_RAISES = "    AdapterError: the checkpoint or an argument cannot be used; one line that says why and what to do."


def with_load_arguments(
    *, without: Collection[str] = (), **helps: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a factory `make(arguments, *, own=...)` so that it takes the fields of `LoadArguments` by keyword.

    The signature of the decorated factory has the fields first and its own parameters after them. Its docstring gets
    the sections `Args` and `Raises`.

    Args:
        without: fields that the factory does not take; they keep their defaults.
        helps: help text of the factory's own parameters, and of fields in place of the shared text.

    >>> @with_load_arguments(without=["chat_template"], image_size="side in pixels.")
    ... def tiny(arguments, *, image_size=None):
    ...     '''A tiny model.'''
    ...     return arguments.pretrained, image_size
    >>> tiny(pretrained="./checkpoint", image_size=28)
    ('./checkpoint', 28)
    >>> list(inspect.signature(tiny).parameters)[-2:]
    ['trust_remote_code', 'image_size']
    """

    def decorate(make: Callable[..., Any]) -> Callable[..., Any]:
        shared = [each for each in fields(LoadArguments) if each.name not in without]
        names = {each.name for each in shared}
        own = list(inspect.signature(make).parameters.values())[1:]

        def factory(**given: Any) -> Any:
            signature.bind(**given)
            arguments = LoadArguments(**{name: value for name, value in given.items() if name in names})
            try:
                return make(arguments, **{name: value for name, value in given.items() if name not in names})
            except RuntimeError as error:
                if "torchvision::" not in str(error):
                    raise
                raise AdapterError(
                    f"torchvision was built for another torch than the one here ({str(error).splitlines()[0]}); install"
                    " the two together, or remove torchvision"
                ) from error

        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [inspect.Parameter(f.name, keyword, default=f.default, annotation=f.type) for f in shared]
        signature = inspect.Signature([*parameters, *(p.replace(kind=keyword) for p in own)])
        texts = help_texts(LoadArguments) | helps
        lines = [f"    {p}: {texts[p]}" for p in signature.parameters if p in texts and p not in _HOSTS]
        factory.__name__, factory.__qualname__, factory.__module__ = make.__name__, make.__qualname__, make.__module__
        factory.__doc__ = "\n".join([inspect.getdoc(make) or "", "", "Args:", *lines, "", "Raises:", _RAISES])
        vars(factory)["__signature__"] = signature
        return factory

    return decorate
