"""Every name that `hf` serves does what an adapter must, under the budgets of the core suite too."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import tiny_checkpoints

from vtbench.registry import Registry
from vtbench.testing import assert_checks
from vtbench.testing.adapter_checks import adapter_checks
from vtbench_hf.named_models import NAMED

SLOW = {"gemma3n"}
"""Its tower takes images of 768 pixels, five seconds each; the matrix asks it once."""


@pytest.mark.parametrize("name", sorted({*NAMED} - SLOW))
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
