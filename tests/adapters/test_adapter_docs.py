"""The code in docs/adapter.md runs as it stands there."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path

import plain
import pytest
import tiny_models
from transformers import AutoModelForImageTextToText

from vtbench.adapter import Adapter
from vtbench.errors import AdapterError
from vtbench.registry import Registry
from vtbench_families import FAMILIES
from vtbench_families.base import Family
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_hf.visual_features import DECODER_DEPTHS

PAGE = (Path(__file__).parents[2] / "docs" / "adapter.md").read_text(encoding="utf-8")


class MergedFamily(Family, MergedAdapter):
    """Has every method that can be overridden."""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write the page's Python files as the package they name, and return its modules."""
    for name, code in re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    names = ("my_models", "my_models.gemma", "my_models.parrot")
    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        del sys.modules[name]


def test_the_smallest_adapter_meets_the_protocol(package):
    parrot = package["my_models.parrot"].Parrot()
    assert isinstance(parrot, Adapter)
    assert [o.text for o in parrot.generate([tiny_models.sample(0, "where?")], 3)] == ["where?"]


@pytest.fixture
def gemma3(package, tmp_path):
    """Give the page's adapter of a random checkpoint, and its directory."""
    directory = tiny_models.save("gemma3", tmp_path / "tiny")
    registry = Registry({"my-models": package["my_models"]})
    return registry.adapter("gemma3", {"pretrained": str(directory)}, device="cpu", dtype="float32"), directory


def test_the_worked_example_answers_as_plain_transformers(gemma3):
    adapter, directory = gemma3
    samples = tiny_models.batch()
    model = AutoModelForImageTextToText.from_pretrained(directory).eval()
    inputs = plain.processed("gemma3", tiny_models.FAMILIES["gemma3"]()[1], samples)
    expected = plain.greedy(model, inputs, 7)
    said = [output.text for output in adapter.generate(samples, 7)]
    assert said == [text.strip() for text in adapter.tokenizer.batch_decode(expected, True)]
    assert len(set(said)) > 1


def test_the_worked_example_gives_boxes(gemma3):
    adapter, _ = gemma3
    found = adapter.visual_tokens(tiny_models.batch(), adapter.layers)
    counts = {"connector": 4, "encoder": 16} | dict.fromkeys(DECODER_DEPTHS, 4)
    assert {visual.layer: visual.tokens.shape[1] for visual in found} == counts
    assert all(visual.boxes.shape == (visual.tokens.shape[1], 4) for visual in found)
    assert found[0].boxes.tolist() == [[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]]


def test_the_worked_example_refuses_what_does_not_fit(package, gemma3, tmp_path):
    registry = Registry({"my-models": package["my_models"]})
    assert registry.named("model")["gemma3"].summary == "Gemma 3, with a box for each token."
    for arguments, says in (
        ({"pretrained": "./none"}, r"there is no directory '\./none'"),
        ({"pretrained": str(tiny_models.save("paligemma", tmp_path / "other"))}, "--model paligemma runs it"),
        ({"pretrained": str(gemma3[1]), "image_size": 30}, "sees 28 pixels and no other size"),
    ):
        with pytest.raises(AdapterError, match=says):
            registry.adapter("gemma3", arguments, device="cpu")


def test_the_worked_example_is_short():
    files = re.findall(r"```python\n# my_models/(?:gemma|__init__)\.py\n(.*?)```", PAGE, re.DOTALL)
    assert len(files) == 2
    assert sum(len(code.splitlines()) for code in files) < 60


def test_every_method_named_on_the_page_exists():
    table = PAGE[PAGE.index("### Methods to override") :]
    named = set(re.findall(r"^\| `(\w+)\(", table, re.MULTILINE))
    assert named >= {"layer_names", "connector_features", "visual_token_mask", "token_boxes", "consistency_checks"}
    for name in named:
        assert callable(inspect.getattr_static(MergedFamily, name)), name
        assert inspect.getdoc(getattr(MergedFamily, name)), name


def test_every_method_that_a_family_overrides_is_on_the_page():
    table = PAGE[PAGE.index("### Methods to override") :]
    listed = set(re.findall(r"^\| `(\w+)\(", table, re.MULTILINE))
    protocol = {"generate", "rank", "visual_tokens", "attention_map"}
    for entry in FAMILIES.values():
        module, _, name = entry.adapter.partition(".")
        kind = getattr(importlib.import_module(f"vtbench_families.{module}"), name)
        bases = [base for base in kind.__mro__ if base.__module__.startswith("vtbench_families")]
        own = {method for base in bases for method in vars(base)}
        public = {method for method in own if not method.startswith("_") and method != "answer_input_values"}
        assert public - protocol <= listed
