"""Names that `hf` serves do what an adapter must: one of each way in which they differ, beside the core suite's."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import tiny_checkpoints

from vtbench.registry import Registry
from vtbench.testing import assert_checks
from vtbench.testing.adapter_checks import adapter_checks
from vtbench_hf.named_models import NAMED

DIFFERENT = ("deepseek_vl", "lfm2_vl", "llama4", "molmo2", "qwen3_5")
"""Two towers, tiles and a state, early fusion, overlapping crops, linear attention."""


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_named_model(name: str, tmp_path: Path) -> None:
    directory = tiny_checkpoints.save(NAMED[name].model_types[0], tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_checks(
            adapter_checks(lambda: Registry().adapter(name, {"pretrained": str(directory)}, "cpu", "float32"))
        )


@pytest.mark.parametrize("name", sorted(NAMED))
def test_its_model_types_can_be_built(name: str) -> None:
    known = {*tiny_checkpoints.MODEL_TYPES, *tiny_checkpoints.NOT_BUILT}
    assert {*NAMED[name].model_types} <= known
