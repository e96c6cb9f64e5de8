"""Fixtures: a task with the results of a run that nothing interrupted, and random numbers."""

from __future__ import annotations

import os
from random import Random

import pytest
from killed_runs import Bench

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is first imported: the tests run in two processes


@pytest.fixture(scope="session", params=[False, True], ids=["steady", "moody"])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Of a model whose answers do not depend on the batch, and of one whose do."""
    return Bench(tmp_path_factory.mktemp("bench"), moody=request.param)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> Random:
    """Seeded by the name of the test."""
    return Random(request.node.name)
