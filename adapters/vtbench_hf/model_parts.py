"""The parts of a model that training can freeze or give a rate of their own: vision tower, connector, language model.

A part is a list of dotted names of modules or parameters, as `torch.nn.Module.get_submodule` takes them. Every
parameter of a model is in exactly one part.
"""

from __future__ import annotations

from collections.abc import Mapping

ModelParts = Mapping[str, tuple[str, ...]]
"""Module names by part: `vision`, `connector` (all that joins vision to language) and `text`.

A family without a vision tower has no `vision`.
"""

TOWER_AND_PROJECTOR: ModelParts = {
    "vision": ("model.vision_tower",),
    "connector": ("model.multi_modal_projector",),
    "text": ("model.language_model", "lm_head"),
}
"""The parts of LLaVA and of the families that use its module names."""
