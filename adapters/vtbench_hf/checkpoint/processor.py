"""A checkpoint's processor: its tokenizer, padding on the left, and its image processor.

The processor of a model that also takes videos has a video processor, which needs torchvision and files of its own.
Images need neither: where one of them is missing, the processor is loaded without its video processor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import transformers
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

from vtbench.errors import AdapterError
from vtbench_hf.chat_template import choose_template
from vtbench_hf.checkpoint.arguments import LoadArguments, as_bool
from vtbench_hf.checkpoint.packages import needs_packages
from vtbench_hf.errors import first_line

_NEEDS = "an image-text checkpoint needs tokenizer.json and a preprocessor_config.json or processor_config.json"


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What the user asks of the image processor."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """By the name that the image processor takes: `min_pixels`, `max_pixels`, `size`."""
    backend: str | None = None
    """`torchvision` or `pil`; transformers' choice if None."""

    @classmethod
    def of(cls, arguments: LoadArguments) -> ImageSettings:
        """Return what some arguments ask for.

        Raises:
            AdapterError: a value is wrong, contradicts another one, or needs torchvision.
        """
        given = {name: getattr(arguments, name) for name in ("min_pixels", "max_pixels", "size")}
        settings = {name: value for name, value in given.items() if value is not None}
        for name in settings.keys() - {"size"}:
            if settings[name] < 1:
                raise AdapterError(f"{name}={settings[name]} is no number of pixels")
        if len(settings) > 1 and "size" in settings:
            raise AdapterError("size and min_pixels or max_pixels say the same; leave one of them out")
        if settings.get("min_pixels", 0) > settings.get("max_pixels", math.inf):
            raise AdapterError(
                f"min_pixels={settings['min_pixels']} is above max_pixels={settings['max_pixels']}: no image fits"
            )
        if arguments.use_fast is None:
            return cls(settings)
        fast = as_bool("use_fast", arguments.use_fast)
        if fast and find_spec("torchvision") is None:
            raise AdapterError(
                "use_fast=true needs torchvision, built for your torch; install: pip install torchvision"
            )
        return cls(settings, "torchvision" if fast else "pil")

    def describe(self, processor: Any) -> dict[str, Any]:
        """Return what was asked for, and the backend where it is not Pillow, which rounds differently."""
        backend = backend_of(processor.image_processor)
        return {**self.settings, **({} if backend in (None, "pil") else {"backend": backend})}


def load_processor(
    source: str,
    model_type: str,
    options: dict[str, Any],
    chat_template: str | None = None,
    images: ImageSettings | None = None,
) -> Any:
    """Load tokenizer and image processor.

    Args:
        source: directory or hub name.
        model_type: of its config.
        options: keyword arguments of `from_pretrained`.
        chat_template: a Jinja template, a file that holds one, or the name of one of the checkpoint's, in place of
            the checkpoint's default.
        images: settings of the image processor in place of the checkpoint's.

    Raises:
        AdapterError: one is missing or broken, or needs a package that is not installed.
    """
    try:
        processor = _load(source, model_type, options)
    except (ImportError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if lacking := needs_packages(source, "processor", error):
            raise lacking from error
        raise AdapterError(f"{source}: its processor cannot be loaded ({first_line(error)}); {_NEEDS}") from error
    for part in ("tokenizer", "image_processor"):
        if getattr(processor, part, None) is None:
            raise AdapterError(f"{source} has no {part.replace('_', ' ')}; {_NEEDS}")
    if images is not None and (images.settings or images.backend):
        processor.image_processor = _image_processor(source, options, processor.image_processor, images)
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    processor.chat_template = choose_template(processor, source, chat_template)
    return processor


def without_video(processor_class: Any) -> Any:
    """Return a subclass of a processor class that has no video processor, and loads and saves without one."""

    class ImageOnly(processor_class):
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in super().get_attributes() if name != "video_processor"]

        @classmethod
        def from_args_and_dict(cls, args: Any, processor_dict: dict[str, Any], **more: Any) -> Any:
            return super().from_args_and_dict(args, processor_dict | {"video_processor": None}, **more)

    ImageOnly.__name__ = processor_class.__name__  # saved with the processor, as the class that loads it again
    return ImageOnly


def backend_of(image_processor: Any) -> str | None:
    """Return `torchvision` or `pil`; None where an image processor is neither, as in a checkpoint's own code."""
    from transformers.image_processing_backends import PilBackend, TorchvisionBackend

    if isinstance(image_processor, PilBackend):
        return "pil"
    return "torchvision" if isinstance(image_processor, TorchvisionBackend) else None


def _load(source: str, model_type: str, options: dict[str, Any]) -> Any:
    try:
        return transformers.AutoProcessor.from_pretrained(source, **options)
    except (ImportError, OSError, ValueError) as error:  # which one without torchvision depends on the files
        processor_class = getattr(transformers, PROCESSOR_MAPPING_NAMES.get(model_type, ""), None)
        if processor_class is None or "video_processor" not in processor_class.get_attributes():
            raise
        try:
            return without_video(processor_class).from_pretrained(source, **options)
        except Exception:
            raise error from None  # the reason is what was missing first


def _image_processor(source: str, options: dict[str, Any], loaded: Any, images: ImageSettings) -> Any:
    """Return the image processor anew, with settings in place of the checkpoint's.

    Raises:
        AdapterError: it has no such setting or backend, or refuses a value.
    """
    accepted = getattr(getattr(loaded, "valid_kwargs", None), "__annotations__", {})
    for name in images.settings:
        if name not in accepted and not hasattr(loaded, name):
            has = ", ".join(each for each in ("min_pixels", "max_pixels", "size") if each in accepted) or "none of them"
            raise AdapterError(f"{source}: its image processor ({type(loaded).__name__}) takes no {name}; it has {has}")
    backend = (
        {} if (images.backend or backend_of(loaded)) is None else {"backend": images.backend or backend_of(loaded)}
    )
    try:
        made = transformers.AutoImageProcessor.from_pretrained(source, **backend, **images.settings, **options)
    except (ImportError, OSError, ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"{source}: its image processor refuses {images.settings}: {first_line(error)}") from error
    if images.backend and backend_of(made) != images.backend:
        raise AdapterError(
            f"{source}: its image processor, {type(made).__name__}, has no form for {images.backend};"
            " leave use_fast out"
        )
    return made
