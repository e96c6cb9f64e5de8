"""A checkpoint before its weights are loaded: its directory, config and processor.

The engine and the vision model are both loaded from that directory, so they are always of one revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from vtbench.errors import AdapterError
from vtbench_hf.chat_template import check_template_args
from vtbench_hf.checkpoint.files import check_weights
from vtbench_hf.checkpoint.loader import LoadedModel, choose_dtype
from vtbench_hf.checkpoint.processor import load_processor
from vtbench_hf.errors import first_line
from vtbench_llava import SHIPPED

_SUBDIRECTORIES = ["*/*"]
_TEXT_FILES = ["*.json", "*.jinja", "*.txt", "*.model", "*.py"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Directory, config and processor of a checkpoint."""

    name: str
    """Name or path that the user gave."""
    directory: Path
    config: Any
    processor: Any
    trust_remote_code: bool = False
    chat_template_args: Mapping[str, Any] = field(default_factory=dict)
    """Variables of the chat template."""

    def engine_arguments(self, dtype: str, device: str) -> dict[str, Any]:
        """Return the engine's arguments that follow from the checkpoint.

        Args:
            dtype: as `--dtype` takes it.
            device: `cpu`, `cuda`, ...

        Raises:
            AdapterError: there is no such dtype.
        """
        kind = str(choose_dtype(dtype, torch.device(device))).removeprefix("torch.")
        return {"dtype": kind, "trust_remote_code": self.trust_remote_code}

    @property
    def image_size(self) -> int | None:
        """Side of the vision encoder's input images in pixels; None if it takes several sizes."""
        size = getattr(getattr(self.config, "vision_config", None), "image_size", None)
        return size if isinstance(size, int) else None

    def fingerprint(self) -> str | None:
        """Return the SHA-256 of its weights, computed as by `--model hf`."""
        return LoadedModel(None, self.processor, self.name, self.directory).fingerprint()

    def parameters(self) -> int | None:
        """Return the number of parameters of the whole model; None if transformers does not know its architecture."""
        try:
            with torch.device("meta"):
                model = transformers.AutoModelForImageTextToText.from_config(
                    self.config, trust_remote_code=self.trust_remote_code
                )
        except (ValueError, ImportError):
            return None
        return int(model.num_parameters())


def open_checkpoint(
    pretrained: str | None,
    revision: str | None,
    trust_remote_code: bool,
    chat_template: str | None,
    token: str | bool | None = None,
    chat_template_args: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Find a checkpoint and read its config and processor.

    Args:
        pretrained: directory, hub name, or the name of a checkpoint that ships with vtbench; by default `embedded`.
        revision: branch, tag or commit on the hub.
        trust_remote_code: run code that comes with it.
        chat_template: used in place of the processor's.
        token: access token of the hub.
        chat_template_args: variables of the chat template.

    Raises:
        AdapterError: there is no such checkpoint, or it is broken; names the file. Or the chat template has no such
            variable.
    """
    name = "embedded" if pretrained is None else pretrained
    given = SHIPPED.get(name, Path(name).expanduser())
    directory = given if given.is_dir() else _from_hub(name, revision, token)
    if not (directory / "config.json").is_file():
        raise AdapterError(
            f"{directory} has no config.json: a checkpoint that transformers can load holds config.json, weights,"
            " tokenizer and processor"
        )
    common = {"trust_remote_code": trust_remote_code}
    try:
        config = transformers.AutoConfig.from_pretrained(directory, **common)
    except (OSError, ValueError, KeyError) as error:
        raise AdapterError(f"{directory}: its config cannot be used ({first_line(error)})") from error
    check_weights(directory)
    processor = load_processor(str(directory), config.model_type, common, chat_template)
    check_template_args(processor, chat_template_args or {}, "vllm")
    return Checkpoint(name, directory, config, processor, trust_remote_code, chat_template_args or {})


def _from_hub(name: str, revision: str | None, token: str | bool | None) -> Path:
    """Return the directory of a hub checkpoint, downloaded once; of its weights, safetensors if there are any."""
    try:
        for weights in ("*.safetensors", "*.bin"):
            found = snapshot_download(
                name,
                revision=revision,
                token=token,
                allow_patterns=[*_TEXT_FILES, weights],
                ignore_patterns=_SUBDIRECTORIES,
            )
            if any(Path(found).glob(weights)):
                break
    except HFValidationError as error:
        raise AdapterError(
            f"model 'vllm': pretrained: there is no directory {name!r}; give a checkpoint's directory or a hub name"
        ) from error
    except (OSError, HfHubHTTPError) as error:
        raise AdapterError(
            f"model 'vllm': pretrained: there is no directory {name!r}, and the hub gives no checkpoint of"
            f" that name ({first_line(error)})"
        ) from error
    return Path(found)
