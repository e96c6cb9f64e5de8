"""The examples in the plugin's docstrings say what happens, and where there is a formula there is an example."""

from __future__ import annotations

import doctest
import inspect
import re
from importlib import import_module
from pkgutil import walk_packages

import pytest
import torch

import vtbench_redundancy

torch.set_num_threads(1)
MODULES = sorted(m.name for m in walk_packages(vtbench_redundancy.__path__, "vtbench_redundancy."))
SOURCE = re.compile(r"\beq\. \d|doi:|arXiv|\b(19|20)\d\d\b")


def has_examples(name: str) -> bool:
    """Whether a module has examples of its own, not of what it imports."""
    return any(test.examples for test in doctest.DocTestFinder().find(import_module(name)))


def has_formula(name: str) -> bool:
    """Whether a public function of the module names the source of what it computes."""
    module = import_module(name)
    public = [f for key, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == name and key[0] != "_"]
    return any(SOURCE.search(f.__doc__ or "") for f in public)


@pytest.mark.parametrize("name", [name for name in MODULES if has_formula(name)])
def test_a_formula_has_an_example(name: str) -> None:
    assert has_examples(name)


@pytest.mark.parametrize("name", [name for name in MODULES if has_examples(name)])
def test_examples(name: str) -> None:
    found = doctest.testmod(import_module(name))
    assert (found.failed, found.attempted > 0) == (0, True)


def test_both_tests_find_modules() -> None:
    for name in (
        *("estimators.gaussian", "estimators.ksg", "features.token_geometry", "scores.token_patch_map"),
        "scores.token_use",
    ):
        assert has_formula(f"vtbench_redundancy.{name}")
    assert has_examples("vtbench_redundancy.inputs.rows")
