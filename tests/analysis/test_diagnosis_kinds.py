"""A kind of question has a known meaning in scenes of the benchmark only."""

from __future__ import annotations

import pytest

from vtbench.types import Record
from vtbench_analysis.diagnosis.evidence import _required_cues


@pytest.mark.parametrize(("scene_hash", "cues"), [("abc", ("colour", "binding")), ("", ())])
def test_a_users_own_kind_needs_no_cue(scene_hash, cues):
    assert _required_cues([Record("t", "t/0", 0, "?", "red", kind="colour", scene_hash=scene_hash)]) == cues
