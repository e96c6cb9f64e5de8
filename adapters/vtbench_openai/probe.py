"""The vision half of what an endpoint serves, from a local checkpoint: samples in, visual tokens out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vtbench.errors import AdapterError, nearest
from vtbench.registry import Registry
from vtbench.types import Sample, VisualTokens

LAYERS = ("connector", "encoder")
"""What does not depend on how the decoder is served."""


class Probe:
    """The adapter of the checkpoint's own family, asked for visual tokens alone. It loads the checkpoint in whole.

    Args:
        checkpoint: directory or hub name, or a name that the `llava` adapter knows (`embedded`, `neutral`).
        device: where it runs.
        dtype: of its weights.

    Raises:
        AdapterError: it cannot be loaded, or shows no visual tokens.
    """

    def __init__(self, checkpoint: str, device: str, dtype: str) -> None:
        from vtbench_hf.serving import server_of

        name = server_of(_model_type(checkpoint))
        self._inner = Registry().adapter(name, {"pretrained": checkpoint}, device, dtype)
        self.layers = tuple(layer for layer in LAYERS if layer in self._inner.layers)
        self.image_size = self._inner.image_size
        if not self.layers:
            self._inner.close()
            raise AdapterError(f"model 'openai': probe={checkpoint} shows no visual tokens; leave probe= out")

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the batch's visual tokens at each of `layers`."""
        if unknown := [layer for layer in layers if layer not in self.layers]:
            raise AdapterError(f"the probe has no layer {unknown[0]!r}.{nearest(unknown[0], list(self.layers))}")
        return self._inner.visual_tokens(samples, layers)

    def describe(self) -> Mapping[str, Any]:
        """Say which checkpoint it is."""
        about = self._inner.describe()
        return {key: about.get(key) for key in ("checkpoint", "revision", "fingerprint", "architecture", "dtype")}

    def close(self) -> None:
        """Drop the checkpoint."""
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
            return ""  # the adapter says what is wrong with it
    return ""
