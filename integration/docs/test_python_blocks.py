"""Every block of Python in README.md and docs/*.md runs, or is listed with the suite that runs what it does."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from documented import ROOT, Block, python_blocks
from elsewhere import BLOCKS, elsewhere
from names import provide
from study_stand_in import study_of_fakes

ALL = python_blocks()
SMALLER = {
    ("cues.md", "limit=1000"): "limit=8",
    **{(page, "limit=200"): "limit=4" for page in ("README.md", "api.md", "quickstart.md")},
    ("training.md", "FineTune(mix="): "FineTune(steps=2, batch_size=4, mix=",
}
"""What of a page's code is written otherwise, so that it is small."""


def random(*shape: int) -> np.ndarray:
    """Return random numbers in [0, 1)."""
    return np.random.default_rng(sum(shape)).random(shape, dtype=np.float32)


def given(block: Block) -> dict[str, Any]:
    """Return what the text around a block has named."""
    if "MyModel" in block.code:
        from vtbench import BaseAdapter

        return {"MyModel": type("MyModel", (BaseAdapter,), {"generate": lambda self, samples, max_new_tokens: []})}
    if "adapter.attention_map" in block.code:
        return attention()
    if "redundancy_score(tokens" in block.code:
        return {"tokens": random(80, 9, 6), "images": random(80, 8, 8, 3)}
    if "mutual_information(x" in block.code:
        return {"x": random(200, 2), "y": random(200, 1)}
    return {}


def attention() -> dict[str, Any]:
    """Return an adapter that has maps of attention, and samples."""
    from vtbench.registry import Registry
    from vtbench.task.locations import open_task, task_locations

    registry = Registry()
    adapter = registry.create("model", "qformer", {"device": "cpu", "dtype": "float32"})
    task = open_task(task_locations(["coarse"], registry)[0], registry)
    return {"adapter": adapter, "samples": [task.sample(index, adapter.image_size) for index in range(2)]}


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Return a maker of modules that can be imported, as dataclasses and `from mine import` ask for."""

    def made(name: str) -> ModuleType:
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return made


@pytest.mark.parametrize("block", [block for block in ALL if not elsewhere(block)], ids=lambda block: block.id)
def test_a_block_runs(
    block: Block,
    scratch: Path,
    store: Path,
    modules: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provide(block, store, scratch)
    if block.page == "study.md":
        study_of_fakes(monkeypatch)
    if "from mine import" in block.code:
        (metric,) = (other for other in ALL if "def answer_length" in other.code)
        exec(metric.code, modules("mine").__dict__)
    code = dedent(block.code)
    for (page, words), smaller in SMALLER.items():
        if page == block.page:
            code = code.replace(words, smaller)
    module = modules(f"documented_{block.number}")
    module.__dict__.update(given(block))
    exec(compile(code, str(ROOT / block.page), "exec"), module.__dict__)


def test_what_is_written_otherwise_and_what_runs_elsewhere_is_documented() -> None:
    for page, words in SMALLER:
        assert any(words in block.code for block in ALL if block.page == page), words
    for entry in BLOCKS:
        assert [block for block in ALL if re.search(entry.pattern, block.code)], entry.pattern
        assert (ROOT / entry.suite).exists()
