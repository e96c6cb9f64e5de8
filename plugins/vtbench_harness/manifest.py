"""The entry point `lmms_eval.models` of the model `vtbench`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest


def manifest() -> ModelManifest:
    """Return the class that `lmms-eval --model vtbench` imports."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest("vtbench", simple_class_path="vtbench_harness.lmms_eval_model.VtbenchModel")
