"""Findings in plain language: a headline, the numbers behind it, and recommendations tied to those numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vtbench.stats import Estimate
from vtbench_analysis.diagnosis.evidence import CUE_PREFIX, AnswerGroup, Evidence
from vtbench_analysis.diagnosis.rules import EXPLAINED, MIN_ACCURACY, Cause, Finding, Reason

FEW_TOKENS = 0.5
"""A token budget is recommended where the drop curve's f95 is significantly below this fraction."""
MUCH_DISCARDED = 0.5
"""A higher resolution is recommended where significantly more than this share of the image information is discarded."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Something to try, and the numbers that speak for it."""

    action: str
    grounds: str


def percent_text(found: Estimate) -> str:
    """Format a share with its interval in percent.

    >>> percent_text(Estimate(0.524, interval=(0.46, 0.58)))
    '52.4 % (46.0 to 58.0)'
    """
    return f"{100 * (found.value or 0.0):.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f})"


def number_text(found: Estimate) -> str:
    """Format a plain number with its interval.

    >>> number_text(Estimate(0.61, interval=(0.6, 0.62)))
    '0.610 (0.600 to 0.620)'
    """
    return f"{found.value or 0.0:.3f} ({found.low:.3f} to {found.high:.3f})"


def join_names(names: Iterable[str]) -> str:
    """Join names with commas and "and".

    >>> join_names(["left", "right", "front"])
    'left, right and front'
    """
    *most, last = list(names) or [""]
    return f"{', '.join(most)} and {last}" if most else last


_REASONS = {
    Reason.NOT_PROBED: "whether the tokens hold what is asked was not measured",
    Reason.INCONCLUSIVE: "the numbers lie within each other's intervals, or between the thresholds",
    Reason.UNKNOWN_CUES: "it is not known which cues these questions need",
    Reason.NO_ANSWERS: "no answers were scored",
    Reason.UNPARSED: "no answer could be parsed, so it is not known what the model sees",
}


def headline(finding: Finding, evidence: Evidence) -> str:
    """Say in a sentence or two what is wrong."""
    kinds = join_names(group.kind or evidence.task for group in finding.groups)
    cues = join_names(finding.cue_names)
    if finding.cause is Cause.NOTHING_WRONG:
        return f"Nothing is wrong: no kind of question is significantly below {100 * MIN_ACCURACY:.0f} % accuracy."
    if finding.cause is Cause.FORMAT and all(group.ranked for group in finding.groups):
        return f"Format: on {kinds} the model ranks the choices better than it writes the answer."
    if finding.cause is Cause.FORMAT:
        return f"Format: answers on {kinds} are often not in a form that can be parsed."
    if finding.cause is Cause.DECODER:
        return f"The decoder: the tokens hold {cues}, but answers on {kinds} do not use it."
    if finding.cause is Cause.COLLAPSED:
        return _collapsed_headline(finding, kinds, cues)
    assert finding.reason
    return f"Cannot tell{f' why answers on {kinds} fail' if kinds else ''}: {_REASONS[finding.reason]}."


def _collapsed_headline(finding: Finding, kinds: str, cues: str) -> str:
    if finding.linear_cues:
        return (
            f"{'Probably collapsed' if finding.suspected else 'Collapsed'} before the decoder: answers on {kinds} need "
            f"{cues}, of which a linear reader of the visual tokens explains less than {100 * EXPLAINED:.0f} %."
        )
    if finding.suspected:
        return (
            f"Probably collapsed before the decoder: answers on {kinds} need {cues}, which the tokens lack. No stage "
            "before shows more of it, so it may be too much for a small probe."
        )
    stages = join_names(dict.fromkeys(cue.lost_at for cue in finding.cues if cue.lost_at))
    where = f" at the {stages}" if stages else ""
    return f"Collapsed before the decoder: answers on {kinds} need {cues}, which is lost{where}."


def supporting_numbers(finding: Finding, evidence: Evidence) -> list[str]:
    """Return the numbers behind a finding, one sentence each."""
    found = [group_text(group, evidence.task) for group in finding.groups]
    for cue in finding.cues:
        before = f", at the best stage before {percent_text(cue.best_before)}" if cue.best_before else ""
        found.append(
            f"{cue.name}: a probe at the connector is right {percent_text(cue.accuracy)}, chance "
            f"{100 * cue.chance:.1f}; retained {percent_text(cue.retention)}{before}"
        )
    found += [
        f"{cue.name}: a linear reader of the visual tokens explains {percent_text(cue.explained)} of it"
        for cue in finding.linear_cues
    ]
    if finding.linear_cues and evidence.answers_need_tokens is not None:
        gain = "better" if evidence.answers_need_tokens else "no better"
        found.append(f"answers with all visual tokens are {gain} than answers with none (drop curve)")
    return found


def group_text(group: AnswerGroup, task: str) -> str:
    """Say how accurate the answers of one group are."""
    chance = f", chance {100 * group.chance:.1f}" if group.chance else ""
    text = f"{group.kind or task}: right {percent_text(group.accuracy)}{chance}"
    content, format_cost = group.content_accuracy, percent_text(group.format_cost)
    if group.ranked and content:
        return f"{text}; by ranking {percent_text(content)}, more by {format_cost}"
    parsed = f", of the others right {percent_text(content)}" if content else ""
    return f"{text}; not parsed {format_cost}{parsed}"


def recommendations(finding: Finding, evidence: Evidence) -> tuple[Recommendation, ...]:
    """Return what to try, the most promising first."""
    by_cause = {
        Cause.NOTHING_WRONG: _for_nothing_wrong,
        Cause.FORMAT: _for_format,
        Cause.COLLAPSED: _for_collapsed,
        Cause.DECODER: _for_decoder,
        Cause.UNDETERMINED: _for_undetermined,
    }[finding.cause]
    return tuple(by_cause(finding, evidence))


def _for_nothing_wrong(finding: Finding, evidence: Evidence) -> Iterator[Recommendation]:
    yield from _token_budget(evidence)


def _for_format(finding: Finding, evidence: Evidence) -> Iterator[Recommendation]:
    costs = "; ".join(f"{group.kind or evidence.task}: {percent_text(group.format_cost)}" for group in finding.groups)
    if all(group.ranked for group in finding.groups):
        yield Recommendation(
            "read `rank_acc` meanwhile: it does not depend on the answer's format", f"it is higher by {costs}"
        )
    yield Recommendation(
        "ask for the answer's format in the prompt, allow longer answers (`max_new_tokens`), or fine-tune a few steps "
        "on answers of this format",
        f"the format costs {costs}",
    )


def _for_collapsed(finding: Finding, evidence: Evidence) -> Iterator[Recommendation]:
    lost = join_names(
        [
            *(f"{cue.name} retained {percent_text(cue.retention)}" for cue in finding.cues),
            *(f"{cue.name} explained {percent_text(cue.explained)}" for cue in finding.linear_cues),
        ]
    )
    yield Recommendation(
        "mix: fine-tune on a mix with more of the families that need these cues, e.g. "
        "`--mix coarse=1,attribute=1,relational=2,scene_graph=2`",
        lost,
    )
    discarded = evidence.token_scores.get("discarded")
    at_encoder = [cue.name for cue in finding.cues if cue.lost_at == "encoder"]
    grounds = [f"{join_names(at_encoder)} is lost in the vision tower"] if at_encoder else []
    if discarded and discarded.low > MUCH_DISCARDED:
        grounds.append(f"discarded {number_text(discarded)}")
    if grounds:
        yield Recommendation(
            "resolution: larger images or smaller patches, with the vision tower trained", "; ".join(grounds)
        )


def _for_decoder(finding: Finding, evidence: Evidence) -> Iterator[Recommendation]:
    kinds = join_names(group.kind or evidence.task for group in finding.groups)
    decoded = join_names(
        [
            *(f"{cue.name} {percent_text(cue.accuracy)}" for cue in finding.cues),
            *(f"{cue.name} {percent_text(cue.explained)} of the variance" for cue in finding.linear_cues),
        ]
    )
    yield Recommendation(
        f"mix: fine-tune the decoder on more questions of {kinds}, with the vision tower frozen (`--freeze vision`)",
        f"the tokens tell a reader: {decoded}",
    )
    yield from _token_budget(evidence)


def _for_undetermined(finding: Finding, evidence: Evidence) -> Iterator[Recommendation]:
    if finding.reason is Reason.NOT_PROBED:
        yield from _missing_measurements(finding, evidence)
    elif finding.reason is Reason.INCONCLUSIVE:
        yield Recommendation(
            "run again on more samples (a larger `--limit`)", "the deciding numbers lie inside the intervals"
        )
    elif finding.reason is Reason.UNPARSED:
        if any(group.chance for group in finding.groups):
            yield Recommendation("run again with `--metrics rank_accuracy`", "a ranking of the choices needs no text")
        yield Recommendation("run again with `--metrics cues`", "probes of the tokens do not depend on the text")
    elif finding.reason is Reason.NO_ANSWERS:
        yield Recommendation(
            "run again with `--metrics accuracy` or `scene_graph`", "without answers nothing can be right or wrong"
        )


def _missing_measurements(finding: Finding, evidence: Evidence) -> Iterator[Recommendation]:
    missing = sorted({cue for group in finding.groups for cue in group.required_cues} - set(evidence.cues))
    tried = [cue for cue in missing if f"{CUE_PREFIX}{cue}" in evidence.flags]
    if tried:
        yield Recommendation(
            "run again on more samples (a larger `--limit`), or on a task that shows these cues",
            join_names(_no_value(f"{CUE_PREFIX}{cue}", evidence) for cue in tried),
        )
    if untried := [cue for cue in missing if cue not in tried]:
        yield Recommendation("run again with `--metrics cues` beside the others", f"not probed: {join_names(untried)}")
    if not evidence.linear_cues:
        yield Recommendation("run again with `--metrics redundancy`", _no_value("cue_information", evidence))


def _token_budget(evidence: Evidence) -> Iterator[Recommendation]:
    f95 = evidence.token_scores.get("drop_f95")
    if f95 and f95.high < FEW_TOKENS:
        yield Recommendation(
            "budget: drop visual tokens, which makes the prompt shorter at the same answers",
            f"drop_f95 {number_text(f95)}: this fraction of them, at random, retains 95 % of what the image adds",
        )


def _no_value(score: str, evidence: Evidence) -> str:
    flags = evidence.flags.get(score, ())
    return f"{score} has no value ({', '.join(flags)})" if flags else f"{score} is not in this run"
