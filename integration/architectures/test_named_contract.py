"""Two of the names of `hf` that differ the most from LLaVA keep the whole contract of adapters, under token budgets."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import tiny_checkpoints
from contract_budgets import BUDGETS

from vtbench.adapter import Generation
from vtbench.registry import Registry
from vtbench.testing import adapter_checks, assert_checks
from vtbench_hf.named_models import NAMED


@pytest.mark.parametrize("name", ["gemma4", "qwen3_vl"])
def test_a_named_model_keeps_the_contract(name: str, tmp_path: Path) -> None:
    directory = tiny_checkpoints.save(NAMED[name].model_types[0], tmp_path / name)
    make = partial(Registry().adapter, name, {"pretrained": str(directory)}, "cpu", "float32")
    assert_checks(adapter_checks(make, budgets=BUDGETS, drawing=partial(make, Generation(temperature=2.0))))
