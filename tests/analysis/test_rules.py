"""Each rule on synthetic evidence with a known cause, and no conclusion from differences inside the intervals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vtbench.stats import Estimate
from vtbench_analysis.diagnosis.evidence import AnswerGroup, CueProbe, Evidence, LinearCue
from vtbench_analysis.diagnosis.explanations import headline, recommendations, supporting_numbers
from vtbench_analysis.diagnosis.rules import Cause, Reason, find_causes


def about(value: float, reach: float = 0.02) -> Estimate:
    return Estimate(value, interval=(value - reach, value + reach))


def group(accuracy: float, content: float | None = None, kind: str = "left", reach: float = 0.02) -> AnswerGroup:
    content = accuracy if content is None else content
    cost = about(content - accuracy, reach / 2)
    return AnswerGroup(
        kind, 400, 0.5, about(accuracy, reach), about(content, reach), cost, True, ("position", "binding")
    )


def cue(name: str, accuracy: float, chance: float = 0.25, before: float | None = 0.9, reach: float = 0.02) -> CueProbe:
    retention = about((accuracy - chance) / (1 - chance), reach / (1 - chance))
    return CueProbe(name, about(accuracy, reach), chance, retention, about(before) if before else None, "connector")


def evidence(*groups: AnswerGroup, cues: tuple[CueProbe, ...] = (), **numbers: Estimate) -> Evidence:
    overall = group(sum(g.accuracy.value for g in groups) / len(groups), kind="")
    return Evidence("relational", overall, groups, {c.name: c for c in cues}, numbers)


def read(position: float, *groups: AnswerGroup, discarded: float = 0.8, gain: bool | None = None) -> Evidence:
    """Evidence without probes, where a linear reader explains so much of the position; whether answers need tokens."""
    scores = {"discarded": about(discarded)} | ({"drop_area": about(0.5)} if gain else {})
    flags = {"drop_area": ("no_signal",)} if gain is False else {}
    explained = {"position": position, "shape": 0.6, "colour": 0.4}
    linear = {name: LinearCue(name, about(share)) for name, share in explained.items()}
    return replace(evidence(*groups, **scores), flags=flags, linear_cues=linear)


HELD = (cue("position", 0.98), cue("binding", 0.97))
LOST = (cue("position", 0.40), cue("binding", 0.97))


def only(found):
    (finding,) = find_causes(found)
    return finding


def test_accurate_answers_have_nothing_wrong_whatever_the_tokens():
    finding = only(evidence(group(0.97), cues=LOST, delta_rs=about(0.3)))
    assert finding.cause is Cause.NOTHING_WRONG


def test_right_ranking_and_wrong_text_is_format():
    finding = only(evidence(group(0.3, content=0.97), cues=HELD))
    assert finding.cause is Cause.FORMAT
    assert "rank_acc" in recommendations(finding, evidence(group(0.3, content=0.97)))[0].action


def test_a_lost_cue_is_collapse():
    found = evidence(group(0.6), cues=LOST)
    finding = only(found)
    assert (finding.cause, finding.suspected, [c.name for c in finding.cues]) == (Cause.COLLAPSED, False, ["position"])
    assert "lost at the connector" in headline(finding, found)


def test_a_cue_that_no_stage_retains_is_only_suspected():
    low = (cue("position", 0.40, before=0.2), HELD[1])
    assert only(evidence(group(0.6), cues=low)).suspected


def test_retained_cues_that_answers_do_not_use_are_the_decoder():
    found = evidence(group(0.6), cues=HELD)
    finding = only(found)
    assert finding.cause is Cause.DECODER
    assert "--freeze vision" in recommendations(finding, found)[0].action


def test_format_and_collapse_are_found_together():
    causes = [finding.cause for finding in find_causes(evidence(group(0.3, content=0.6), cues=LOST))]
    assert causes == [Cause.FORMAT, Cause.COLLAPSED]


@pytest.mark.parametrize(("gain", "suspected"), [(None, True), (True, True), (False, False)])
def test_a_cue_that_a_linear_reader_does_not_find_is_collapse(gain, suspected):
    found = read(0.05, group(0.52), gain=gain)
    finding = only(found)
    assert (finding.cause, finding.suspected) == (Cause.COLLAPSED, suspected)
    assert [cue.name for cue in finding.linear_cues] == ["position"]
    assert headline(finding, found).startswith("Probably collapsed" if suspected else "Collapsed")
    assert any(text.startswith("position: a linear reader") for text in supporting_numbers(finding, found))
    assert any("no better than answers with none" in text for text in supporting_numbers(finding, found)) == (
        gain is False
    )
    advice = {each.action.partition(":")[0]: each.grounds for each in recommendations(finding, found)}
    assert advice.keys() == {"mix", "resolution"}
    assert "0.800" in advice["resolution"]


def test_tokens_that_keep_the_image_are_not_called_collapsed():
    """Raw patches hold every cue, and none where a linear reader finds it."""
    assert only(read(0.05, group(0.52), discarded=0.1)).reason is Reason.NOT_PROBED


def test_a_cue_that_a_linear_reader_finds_and_answers_do_not_use_is_the_decoder():
    found = read(0.6, group(0.52))
    finding = only(found)
    assert finding.cause is Cause.DECODER
    assert "position 60.0 % (58.0 to 62.0) of the variance" in recommendations(finding, found)[0].grounds


def test_a_needed_cue_that_nothing_measured_leaves_the_decoder_unblamed():
    """What is in front needs occlusion, which is no column of a scene."""
    front = replace(group(0.52), kind="front", required_cues=("occlusion", "binding"))
    assert only(read(0.6, front)).reason is Reason.NOT_PROBED


def test_a_linear_reader_does_not_overrule_a_probe_that_decides_nothing():
    found = replace(read(0.6, group(0.52)), cues={"binding": HELD[1]})
    assert only(found).cause is Cause.UNDETERMINED


def test_a_cue_that_is_found_no_better_than_it_is_used_decides_nothing():
    assert only(read(0.6, group(0.8))).reason is Reason.NOT_PROBED  # answers go 60 % of the way from chance


def test_what_a_linear_reader_finds_says_nothing_about_other_questions():
    texture = AnswerGroup("texture", 400, 0.25, about(0.5), about(0.5), about(0.0), True, ("texture",))
    finding = only(read(0.05, texture))
    assert (finding.cause, finding.reason) == (Cause.UNDETERMINED, Reason.NOT_PROBED)


def test_probes_overrule_the_linear_reader():
    assert only(replace(read(0.05, group(0.6)), cues={cue.name: cue for cue in HELD})).cause is Cause.DECODER


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (evidence(group(0.6)), Reason.NOT_PROBED),
        (evidence(group(0.6), cues=(cue("position", 0.7), HELD[1])), Reason.INCONCLUSIVE),
        (evidence(group(0.6), cues=(cue("position", 0.55, reach=0.1), HELD[1])), Reason.INCONCLUSIVE),
        (evidence(group(0.6), cues=(cue("position", 0.98, reach=0.2), HELD[1])), Reason.INCONCLUSIVE),
        (evidence(group(0.86), cues=(cue("position", 0.86), cue("binding", 0.86))), Reason.INCONCLUSIVE),
        (evidence(group(0.86, content=0.885)), Reason.INCONCLUSIVE),
        (evidence(AnswerGroup("mine", 90, 0.5, about(0.6), about(0.6), about(0.0), True, ())), Reason.UNKNOWN_CUES),
        (evidence(AnswerGroup("graph", 90, 0.0, about(0.6), None, about(0.9), False, ())), Reason.UNPARSED),
        (Evidence("probe", None), Reason.NO_ANSWERS),
    ],
)
def test_undetermined_causes_have_a_reason(found, reason):
    finding = find_causes(found)[-1]
    assert (finding.cause, finding.reason) == (Cause.UNDETERMINED, reason)
    assert headline(finding, found).startswith("Cannot tell")
    assert reason is Reason.UNKNOWN_CUES or recommendations(finding, found)


def test_a_cue_that_too_few_samples_show_asks_for_more_of_them():
    found = Evidence(
        "relational", group(0.6), (group(0.6),), {"binding": HELD[1]}, {}, {"cue_position": ("few_samples",)}
    )
    advice = recommendations(only(found), found)
    assert "--limit" in advice[0].action
    assert "few_samples" in advice[0].grounds
    assert not any("cues` beside" in each.action for each in advice)


def test_no_finding_on_a_difference_inside_the_intervals():
    assert only(evidence(group(0.88, reach=0.05))).cause is Cause.NOTHING_WRONG
    assert only(evidence(group(0.6, content=0.64, reach=0.1), cues=HELD)).cause is Cause.DECODER  # and not the form


def test_a_family_that_fails_as_a_whole_is_judged_as_a_whole():
    found = evidence(*[group(0.86, kind=kind, reach=0.06) for kind in ("left", "right")], cues=HELD)
    assert [g.kind for g in only(found).groups] == [""]


def test_kinds_of_one_cause_are_one_finding():
    finding = only(evidence(group(0.6, kind="left"), group(0.95, kind="above"), group(0.5, kind="right"), cues=HELD))
    assert [g.kind for g in finding.groups] == ["left", "right"]


def test_a_budget_is_advised_where_few_tokens_do():
    found = evidence(group(0.97), drop_f95=Estimate(0.2, interval=(0.15, 0.3)))
    assert "0.200 (0.150 to 0.300)" in recommendations(only(found), found)[0].grounds
    assert not recommendations(only(found), evidence(group(0.97), drop_f95=Estimate(0.4, interval=(0.3, 0.6))))
