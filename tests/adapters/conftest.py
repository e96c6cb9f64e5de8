"""The adapters of transformers' families, each on a random checkpoint written as plain transformers writes it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models
from transformers import AutoModelForImageTextToText

from vtbench.registry import Registry


@pytest.fixture(scope="session")
def adapter_of():
    """Give a function that makes the adapter of a checkpoint of `tiny_models`."""
    registry = Registry()

    def make(name: str, directory: Path, **arguments: Any) -> Any:
        adapter = tiny_models.ADAPTERS[name.partition(",")[0]]
        # With Pillow, as the processors of `tiny_models`: torchvision rounds differently.
        given = {"pretrained": str(directory), "use_fast": False, **arguments}
        return registry.adapter(adapter, given, device="cpu", dtype="float32")

    return make


@pytest.fixture(scope="session", params=tiny_models.ADAPTED_FAMILIES)
def family(request, tmp_path_factory, adapter_of):
    """Give the adapter of a checkpoint, what transformers loads of it, and a processor that no adapter has seen."""
    name = request.param
    directory = tiny_models.save(name, tmp_path_factory.mktemp("checkpoint") / "tiny")
    return SimpleNamespace(
        name=name,
        adapter=adapter_of(name, directory),
        model=AutoModelForImageTextToText.from_pretrained(directory).eval(),
        processor=tiny_models.FAMILIES[name]()[1],
    )
