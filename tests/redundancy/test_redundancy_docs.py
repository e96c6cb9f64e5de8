"""The examples in the plugin's docstrings say what happens."""

from __future__ import annotations

import doctest

import pytest

import vtbench_redundancy.arrays
import vtbench_redundancy.gaussian
import vtbench_redundancy.truth


@pytest.mark.parametrize("name", ["arrays", "gaussian", "truth"])
def test_examples(name: str) -> None:
    result = doctest.testmod(getattr(vtbench_redundancy, name))
    assert result.attempted > 0
    assert result.failed == 0
