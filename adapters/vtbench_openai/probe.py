"""Visual tokens of the model that an endpoint serves, computed from a local copy of its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vtbench.errors import AdapterError, nearest
from vtbench.registry import Registry
from vtbench.types import Sample, VisualTokens

LAYERS = ("connector", "encoder")
"""Layers before the decoder: what they give does not depend on how the decoder is served."""


class Probe:
    """The adapter of the checkpoint's model family, used for visual tokens only. It loads the whole checkpoint.

    Args:
        checkpoint: directory or hub name, or a name that the `llava` adapter knows (`embedded`, `neutral`).
        device: where it runs.
        dtype: of its weights.

    Raises:
        AdapterError: the checkpoint cannot be loaded, or its adapter gives no visual tokens.
    """

    def __init__(self, checkpoint: str, device: str, dtype: str) -> None:
        from vtbench_hf.checkpoint.model_types import adapter_for

        name = adapter_for(_model_type(checkpoint))
        self._inner = Registry().adapter(name, {"pretrained": checkpoint}, device, dtype)
        self.layers = tuple(layer for layer in LAYERS if layer in self._inner.layers)
        self.image_size = self._inner.image_size
        if not self.layers:
            self._inner.close()
            raise AdapterError(f"model 'openai': probe: {checkpoint} gives no visual tokens; leave probe= out")

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the batch's visual tokens at each of `layers`.

        Raises:
            AdapterError: the probe does not have one of the layers.
        """
        if unknown := [layer for layer in layers if layer not in self.layers]:
            raise AdapterError(f"the probe has no layer {unknown[0]!r}.{nearest(unknown[0], list(self.layers))}")
        return self._inner.visual_tokens(samples, layers)

    def describe(self) -> Mapping[str, Any]:
        """Return the facts that identify the checkpoint."""
        facts = self._inner.describe()
        return {key: facts.get(key) for key in ("checkpoint", "revision", "fingerprint", "architecture", "dtype")}

    def close(self) -> None:
        """Free the checkpoint."""
        self._inner.close()


def _model_type(checkpoint: str) -> str:
    from vtbench_llava import SHIPPED

    if checkpoint in SHIPPED:
        return "llava"
    path = Path(checkpoint).expanduser() / "config.json"
    if path.is_file():
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["model_type"])
        except (ValueError, KeyError, TypeError):
            return ""  # the adapter reports what is wrong with the config
    return ""
