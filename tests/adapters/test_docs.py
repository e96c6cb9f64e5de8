"""The code in docs/adapter.md runs as it stands there."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest
import tiny_models

from vtbench.adapter import Adapter
from vtbench.errors import AdapterError
from vtbench.registry import Registry
from vtbench_hf.adapter import HFAdapter

PAGE = (Path(__file__).parents[2] / "docs" / "adapter.md").read_text(encoding="utf-8")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write the page's Python files as the package they name, and return its modules."""
    for name, code in re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    names = ("my_models", "my_models.parrot", "my_models.places")
    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        del sys.modules[name]


def test_the_smallest_adapter_meets_the_protocol(package):
    parrot = package["my_models.parrot"].Parrot()
    assert isinstance(parrot, Adapter)
    assert [o.text for o in parrot.generate([tiny_models.sample(0, "where?")], 3)] == ["where?"]


def test_the_transformers_adapter_gives_places(package):
    adapter = package["my_models.places"].Qwen2VL(tiny_models.loaded("qwen2_vl"))
    (visual,) = adapter.visual_tokens([tiny_models.sample(0, "where?", size=(112, 56))], ["connector"])
    assert visual.boxes.shape == (visual.tokens.shape[1], 4)
    assert visual.boxes[0].tolist() == [0, 0, 0.25, 0.5]
    assert visual.boxes[-1].tolist() == [0.75, 0.5, 1, 1]


def test_it_registers(package):
    registry = Registry({"my-models": package["my_models"]})
    assert registry.adapters()["qwen"].summary == "Qwen2-VL, with places for its tokens."
    with pytest.raises(AdapterError, match=r"there is no directory '\./none'"):
        registry.adapter("qwen", {"pretrained": "./none"}, device="cpu")


def test_every_method_named_on_the_page_exists():
    named = set(re.findall(r"^\| `(_\w+)\(", PAGE, re.MULTILINE)) | set(re.findall(r"`(_\w+)\(", PAGE))
    assert named >= {"_inputs", "_decode", "_score", "_layer", "_layer_names", "_boxes"}
    for name in named:
        assert callable(inspect.getattr_static(HFAdapter, name)), name
