"""A study that is trained first and measured later: what binds its checkpoints, and what may change until then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vtbench.errors import VtbenchError
from vtbench.executor import JobResult
from vtbench_study import study, study_directory
from vtbench_study.plan import OFF, Plan
from vtbench_study.study import train_study
from vtbench_study.study_directory import claim_directory

PLAN = Plan(seeds=(0,))


def claim(plan: Plan, directory: Path, measured: bool) -> dict:
    claim_directory(plan, directory, measured=measured)
    found: dict = json.loads((directory / "plan.json").read_text())
    return found


def test_training_alone_starts_a_training_for_each_model_that_is_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def run(self, jobs):
        started.extend((job.name, job.command[-1]) for job in jobs)
        return (JobResult(job.name, 0.0, None) for job in jobs)

    monkeypatch.setattr(study.Local, "run", run)
    (tmp_path / "models/coarse-0/model").mkdir(parents=True)
    names = train_study(PLAN, tmp_path)
    assert names == [cell.name for cell in PLAN.cells() if cell.kind != "base"]
    assert started == [(name, "train") for name in names if name != "coarse-0"]
    assert not (tmp_path / "study.json").exists()


def test_until_something_is_measured_its_measurements_may_change(tmp_path: Path) -> None:
    claim(PLAN, tmp_path, measured=False)
    fewer = Plan(seeds=(0,), images=500, quick=True)
    assert claim(fewer, tmp_path, measured=True)["plan"]["images"] == 500
    with pytest.raises(VtbenchError, match=r"another study, which differs in steps \(1200 there, 7 here\)"):
        claim(Plan(seeds=(0,), steps=7), tmp_path, measured=True)
    (tmp_path / "runs/base/probe").mkdir(parents=True)
    with pytest.raises(VtbenchError, match=r"differs in images \(500 there, 2000 here\), quick"):
        claim(PLAN, tmp_path, measured=True)


def test_what_trained_the_models_and_what_measured_them_are_both_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_directory, "git_commit", lambda: "old")
    claim(PLAN, tmp_path, measured=False)
    monkeypatch.setattr(study_directory, "git_commit", lambda: "new")
    facts = claim(PLAN, tmp_path, measured=True)["facts"]
    assert (facts["git"], facts["trained"]["git"]) == ("new", "old")


def test_a_study_of_an_older_version_is_continued_with_the_newer_arms_and_without(tmp_path: Path) -> None:
    older = {name: value for name, value in PLAN.document().items() if name not in OFF}
    (tmp_path / "plan.json").write_text(json.dumps({"plan": older, "facts": {}}))
    found = claim(Plan(seeds=(0,), full_rate=(), snapshots=()), tmp_path, measured=False)
    assert not found["plan"].get("full_rate")
    with pytest.raises(VtbenchError, match="which differs in snapshots"):
        claim(PLAN, tmp_path, measured=False)
    assert claim(Plan(seeds=(0,), snapshots=()), tmp_path, measured=False)["plan"]["full_rate"]


def families(**more) -> Plan:
    """A study of the families, and of what else is named."""
    return Plan(**{"seeds": (0,), "mixes": {}, "penalties": {}, "full_rate": ()} | more)


def test_arms_may_be_added_to_a_measured_study_and_none_may_change(tmp_path: Path) -> None:
    claim(families(), tmp_path, measured=True)
    (tmp_path / "runs/base/probe").mkdir(parents=True)
    mix = {"half": {"coarse": 1.0, "scene_graph": 1.0}}
    more = families(mixes=mix, penalties={"coarse": "cosine:0.1"}, full_rate=("coarse",))
    assert Plan.from_document(claim(more, tmp_path, measured=True)["plan"]) == more
    for fewer, name in (
        (families(penalties={"coarse": "cosine:0.1"}, full_rate=("coarse",)), "mixes"),
        (families(mixes=mix, penalties={"coarse": "cosine:0.2"}, full_rate=("coarse",)), "penalties"),
        (families(mixes=mix, penalties={"coarse": "cosine:0.1"}, full_rate=("attribute",)), "full_rate"),
        (families(mixes={"half": {"coarse": 2.0}}, penalties={"coarse": "cosine:0.1"}, full_rate=("coarse",)), "mixes"),
    ):
        with pytest.raises(VtbenchError, match=f"another study, which differs in {name}"):
            claim(fewer, tmp_path, measured=True)
    assert Plan.from_document(json.loads((tmp_path / "plan.json").read_text())["plan"]) == more


def test_seeds_may_be_added_until_something_is_measured(tmp_path: Path) -> None:
    claim(families(), tmp_path, measured=False)
    assert claim(families(seeds=(0, 1)), tmp_path, measured=False)["plan"]["seeds"] == [0, 1]
    with pytest.raises(VtbenchError, match="another study, which differs in seeds"):
        claim(families(seeds=(1, 2)), tmp_path, measured=False)
    claim(families(seeds=(0, 1)), tmp_path, measured=True)
    (tmp_path / "runs/base/probe").mkdir(parents=True)
    with pytest.raises(VtbenchError, match="another study, which differs in seeds"):
        claim(families(seeds=(0, 1, 2)), tmp_path, measured=True)
