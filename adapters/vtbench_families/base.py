"""The base class of the families: named layers, a choice of image size, and a check of a checkpoint's consistency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vtbench.errors import AdapterError
from vtbench_hf.adapter import HFAdapter
from vtbench_hf.checkpoint.loader import LoadedModel
from vtbench_hf.visual_features import DECODER_DEPTHS


class Family(HFAdapter):
    """One family of models. Stands before `MergedAdapter` in the bases where that serves the family, else alone.

    Args:
        loaded: the model and its processor.
        image_size: side in pixels of the images that tasks draw; the family's own choice by default.

    Raises:
        AdapterError: processor and config.json disagree, or the family does not take images of `image_size` unchanged.
    """

    def __init__(self, loaded: LoadedModel, image_size: int | None = None) -> None:
        super().__init__(loaded)
        for what, of_processor, of_model in self.consistency_checks():
            if of_processor != of_model:
                raise AdapterError(
                    f"{loaded.checkpoint}: its processor has {what} {of_processor}, its config.json {of_model}:"
                    " they do not belong together"
                )
        if image_size is not None:
            self._check_image_size(image_size)
            self.image_size = image_size

    def consistency_checks(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield what processor and config.json both define: its name, the processor's value, config.json's value."""
        yield from ()

    def accepts_image_size(self, side: int) -> bool:
        """Return whether square images of that side in pixels reach the model unchanged."""
        return side == self.image_size

    def accepted_image_sizes(self) -> str:
        """Return which sides `accepts_image_size` accepts, as the end of an error message."""
        return f"its vision tower sees {self.image_size} pixels and no other size"

    def has_visual_tokens(self) -> bool:
        """Return True: a family's layers are known."""
        return True

    def layer_names(self) -> tuple[str, ...]:
        """Return connector, encoder and the decoder at four depths."""
        return ("connector", "encoder", *DECODER_DEPTHS)

    def _check_image_size(self, side: int) -> None:
        if isinstance(side, bool) or not isinstance(side, int) or side < 1:
            raise AdapterError(f"image_size={side} is not a side in pixels")
        if not self.accepts_image_size(side):
            raise AdapterError(
                f"{self.loaded.checkpoint} cannot take images of image_size={side}: {self.accepted_image_sizes()}"
            )


class TiledFamily(Family):
    """A family that cuts an image into tiles of `image_size` pixels and takes images of whole tiles unchanged."""

    def accepts_image_size(self, side: int) -> bool:
        """Return whether the side is a multiple of a tile's."""
        return self.image_size is not None and side % self.image_size == 0

    def accepted_image_sizes(self) -> str:
        """Return it as the end of an error message."""
        return f"sides that are multiples of its tiles' {self.image_size} pixels are taken"
