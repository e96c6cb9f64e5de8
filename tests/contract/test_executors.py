"""Every registered executor keeps the contract; Ray's on a fake cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vtbench.registry import Registry
from vtbench.testing import assert_checks, executor_checks

sys.path.append(str(Path(__file__).parents[1] / "executors"))
from fake_ray import install_fake_ray


@pytest.mark.parametrize("spec", ["local", "local:workers=1"])
def test_this_machine(spec: str) -> None:
    registry = Registry()
    assert_checks(executor_checks(lambda: registry.executor(spec), registry))


@pytest.mark.parametrize("spec", ["ray", "ray:workers=1"])
def test_a_cluster(spec: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    install_fake_ray(monkeypatch, [{"CPU": 2.0}, {"CPU": 2.0}])
    registry = Registry()
    assert_checks(executor_checks(lambda: registry.executor(spec), registry))
