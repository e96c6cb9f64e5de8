"""A checkpoint's processor: its tokenizer, padding on the left, and its image processor.

The processor of a model that also takes videos has a video processor, which needs torchvision and files of its own.
Images need neither: where one of them is missing, the processor is loaded without its video processor.
"""

from __future__ import annotations

from typing import Any

import transformers
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

from vtbench.errors import AdapterError
from vtbench_hf.chat_template import choose_template
from vtbench_hf.errors import first_line

_NEEDS = "an image-text checkpoint needs tokenizer.json and a preprocessor_config.json or processor_config.json"


def load_processor(source: str, model_type: str, options: dict[str, Any], chat_template: str | None = None) -> Any:
    """Load tokenizer and image processor.

    Args:
        source: directory or hub name.
        model_type: of its config.
        options: keyword arguments of `from_pretrained`.
        chat_template: a Jinja template, a file that holds one, or the name of one of the checkpoint's, in place of
            the checkpoint's default.

    Raises:
        AdapterError: one is missing or broken, or needs a package that is not installed.
    """
    try:
        processor = _load(source, model_type, options)
    except (ImportError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if "torchvision" in str(error).lower():
            raise AdapterError(
                f"{source}: its processor needs torchvision, built for your torch; install it"
            ) from error
        raise AdapterError(f"{source}: its processor cannot be loaded ({first_line(error)}); {_NEEDS}") from error
    for part in ("tokenizer", "image_processor"):
        if getattr(processor, part, None) is None:
            raise AdapterError(f"{source} has no {part.replace('_', ' ')}; {_NEEDS}")
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


def _load(source: str, model_type: str, options: dict[str, Any]) -> Any:
    try:
        return transformers.AutoProcessor.from_pretrained(source, **options)
    except (ImportError, OSError, ValueError):  # which one without torchvision depends on the checkpoint's files
        processor_class = getattr(transformers, PROCESSOR_MAPPING_NAMES.get(model_type, ""), None)
        if processor_class is None or "video_processor" not in processor_class.get_attributes():
            raise
    return without_video(processor_class).from_pretrained(source, **options)
