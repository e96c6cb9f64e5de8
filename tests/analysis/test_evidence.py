"""Evidence from stored scores: accuracy, chance and retention of a probe."""

from __future__ import annotations

import pytest
from analysis_fakes import LOST_SCORE, cue_score, probe_reading

from vtbench_analysis.diagnosis.evidence import Evidence, cue_probe, linear_cues


def test_a_cue_score_becomes_a_probe() -> None:
    lost = cue_probe("cue_position", LOST_SCORE)
    assert lost
    assert (lost.name, lost.lost_at) == ("position", "connector")
    assert lost.retention.value == pytest.approx(0.05 / 0.75)
    assert lost.best_before
    assert lost.best_before.value == pytest.approx(0.65 / 0.75)
    assert cue_probe("cue_count", cue_score(None)) is None
    grey = probe_reading("connector", 0.5, control="grey")
    given = cue_probe("cue_size", cue_score(0.75, probe_reading("connector", 0.75), grey, flags=("told_gives_away",)))
    assert given
    assert (given.chance, given.retention.value) == (0.5, pytest.approx(0.5))


def test_scores_of_one_path_of_several_are_named() -> None:
    evidence = Evidence("t", None, flags={"rs": ("unconverged", "partial_path"), "discarded": ("pooled",)})
    assert evidence.partial_paths == ("rs",)


@pytest.mark.parametrize(("flags", "names"), [((), ["shape"]), (("unconverged",), ["shape"]), (("reduced",), [])])
def test_a_linear_reader_of_few_coordinates_is_no_evidence(flags: tuple[str, ...], names: list[str]) -> None:
    explained = {"shape": {"share": 0.3, "interval": [0.2, 0.4]}, "size": {"share": None, "interval": None}}
    assert list(linear_cues({"flags": flags, "detail": {"explained": explained}})) == names
