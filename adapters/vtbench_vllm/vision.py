"""The vision half of a checkpoint, for engines that show no visual tokens: tower and connector, without the decoder.

In: a checkpoint. Out: the adapter of its family, which gives the tokens at `connector` and `encoder`. It is loaded from
a directory that is the checkpoint's but for a config.json that gives the language model no layers: so every family's
own adapter serves, and only the weights of the vision half are read.
"""

from __future__ import annotations

import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from vtbench.adapter import Adapter
from vtbench.errors import AdapterError
from vtbench.registry import Registry
from vtbench_hf.serving import server_of
from vtbench_hf.visual import QUARTERS
from vtbench_vllm.checkpoint import Checkpoint


def load_half(checkpoint: Checkpoint, device: str, dtype: str) -> Adapter:
    """Load the vision half with the adapter of the checkpoint's family.

    Args:
        checkpoint: whose.
        device: `cpu`, `cuda`, ...
        dtype: as `--dtype` takes it.

    Raises:
        AdapterError: it cannot be loaded; says how to do without.
    """
    family = server_of(checkpoint.config.model_type)
    arguments = {"trust_remote_code": True} if checkpoint.trust_remote_code and family == "hf" else {}
    with tempfile.TemporaryDirectory(prefix="vtbench-") as made:
        half = Path(made) / "half"
        write_half(checkpoint, half)
        try:
            adapter = Registry(warn=lambda _: None).adapter(
                family, {"pretrained": str(half), **arguments}, device, dtype
            )
        except AdapterError as error:
            said = str(error).replace(str(half), str(checkpoint.directory))
            raise AdapterError(f"{said} (visual_tokens=false does without its vision half)") from error
    _drop_words(getattr(adapter, "model", None))
    return adapter


def half_layers(half: Adapter) -> tuple[str, ...]:
    """Return the names of the layers that a vision half has: those before the decoder."""
    return tuple(name for name in half.layers if name not in QUARTERS)


def write_half(checkpoint: Checkpoint, directory: Path) -> None:
    """Make a directory of links to the checkpoint's files, with a config of no decoder layers."""
    config = deepcopy(checkpoint.config)
    decoder = config.get_text_config(decoder=True)
    decoder.num_hidden_layers = 0
    if getattr(decoder, "layer_types", None):
        decoder.layer_types = []
    vars(config).pop("quantization_config", None)  # of the decoder's weights; the vision half's are as a rule plain
    directory.mkdir()
    for path in checkpoint.directory.iterdir():
        if path.name != "config.json":
            (directory / path.name).symlink_to(path.resolve())
    config.save_pretrained(directory)


def _drop_words(model: Any) -> None:
    """Free the embeddings of words, at times larger than the vision tower: no picture needs them."""
    if model is None:
        return
    place = {"device": model.device, "dtype": model.dtype}
    if model.get_output_embeddings() is not None:
        model.set_output_embeddings(torch.nn.Linear(1, 1, bias=False, **place))
    model.set_input_embeddings(torch.nn.Embedding(1, 1, **place))
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
