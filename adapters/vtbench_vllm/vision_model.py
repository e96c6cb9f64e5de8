"""The vision model of a checkpoint: encoder and connector without the decoder, for engines without visual tokens.

It is the adapter of the checkpoint's model family, loaded from a directory with the checkpoint's files and a
config.json whose language model has no layers. So every family's adapter can be used, and only the weights of the
encoder and the connector are read. Where the model allows no decoder without layers, they stay on the disk.
"""

from __future__ import annotations

import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText

from vtbench.adapter import Adapter
from vtbench.errors import AdapterError
from vtbench.registry import Registry
from vtbench_hf.checkpoint.model_types import adapter_for
from vtbench_hf.errors import first_line
from vtbench_hf.probed_adapter import ProbedAdapter
from vtbench_hf.visual_features import DECODER_DEPTHS
from vtbench_vllm.checkpoint import Checkpoint


def load_vision_model(checkpoint: Checkpoint, device: str, dtype: str) -> Adapter:
    """Load the vision model with the adapter of the checkpoint's family.

    Args:
        checkpoint: of the whole model.
        device: `cpu`, `cuda`, ...
        dtype: as `--dtype` takes it.

    Raises:
        AdapterError: it cannot be loaded; the message tells how to run without it.
    """
    family = adapter_for(checkpoint.config.model_type)
    arguments = {"trust_remote_code": True} if checkpoint.trust_remote_code and family == "hf" else {}
    make = Registry(warn=lambda _: None).adapter
    with tempfile.TemporaryDirectory(prefix="vtbench-") as scratch:
        directory = Path(scratch) / "vision"
        write_vision_checkpoint(checkpoint, directory)
        try:
            adapter = make(family, {"pretrained": str(directory), **arguments}, device, dtype)
        except AdapterError as error:
            try:  # some models allow no decoder of zero layers: then its layers stay in their files
                whole = {"pretrained": str(checkpoint.directory), "device_map": layers_on_disk(checkpoint, device)}
                adapter = make(family, {**whole, **arguments}, "auto", dtype)
            except (AdapterError, ValueError, AttributeError, ImportError, StopIteration) as other:
                message = f"{error}; with its layers on the disk: {first_line(other)}"
                message = message.replace(str(directory), str(checkpoint.directory))
                raise AdapterError(f"{message} (visual_tokens=false runs without the vision model)") from error
    if not isinstance(adapter, ProbedAdapter):  # which looks at all that enters the decoder, the texts' embeddings too
        _drop_embeddings(getattr(adapter, "model", None))
    return adapter


def vision_layers(vision_model: Adapter) -> tuple[str, ...]:
    """Return the names of the layers before the decoder, which are those of a vision model."""
    return tuple(name for name in vision_model.layers if name not in DECODER_DEPTHS)


def write_vision_checkpoint(checkpoint: Checkpoint, directory: Path) -> None:
    """Make a directory of links to the checkpoint's files, with a config without decoder layers."""
    config = deepcopy(checkpoint.config)
    decoder = config.get_text_config(decoder=True)
    decoder.num_hidden_layers = 0
    if getattr(decoder, "layer_types", None):
        decoder.layer_types = []
    vars(config).pop("quantization_config", None)  # usually applies to the decoder only
    directory.mkdir()
    for path in checkpoint.directory.iterdir():
        if path.name != "config.json":
            (directory / path.name).symlink_to(path.resolve())
    config.save_pretrained(directory)


def layers_on_disk(checkpoint: Checkpoint, device: str) -> dict[str, str]:
    """Return a device map that leaves the decoder's layers on the disk, from which the vision model reads nothing.

    Raises:
        StopIteration: the model's decoder has no list of layers.
    """
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(checkpoint.config)
    names = {id(module): name for name, module in model.named_modules()}
    layers = names[id(next(m for m in model.get_decoder().modules() if isinstance(m, torch.nn.ModuleList)))]
    found = {layers: "disk"}
    holders = ["", *(layers[:i] for i, character in enumerate(layers) if character == ".")]
    for holder in holders:  # what stands beside the layers, on each level of the model
        module = model.get_submodule(holder)
        own = [name for name, _ in module.named_parameters(recurse=False)]
        for name in (*own, *(name for name, _ in module.named_children())):
            path = f"{holder}.{name}".lstrip(".")
            if path not in (layers, *holders):
                found[path] = device
    return found


def _drop_embeddings(model: Any) -> None:
    """Free the token embeddings, which may be larger than the vision encoder and which images do not use."""
    if model is None:
        return
    place = {"device": model.device, "dtype": model.dtype}
    if model.get_output_embeddings() is not None:
        model.set_output_embeddings(torch.nn.Linear(1, 1, bias=False, **place))
    model.set_input_embeddings(torch.nn.Embedding(1, 1, **place))
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
