"""Findings in plain language: `Finding` and `Evidence` in, sentences with their numbers out."""

from __future__ import annotations

from collections.abc import Iterable

from vtbench_analysis.evidence import Evidence, Measured, Part
from vtbench_analysis.rules import Cause, Finding, Why


def share(measured: Measured) -> str:
    """Write a share with its interval.

    >>> share(Measured(0.524, 0.46, 0.58))
    '52.4 % (46.0 to 58.0)'
    """
    return f"{100 * measured.value:.1f} % ({100 * measured.low:.1f} to {100 * measured.high:.1f})"


def span(measured: Measured) -> str:
    """Write a plain number with its interval.

    >>> span(Measured(0.61, 0.6, 0.62))
    '0.610 (0.600 to 0.620)'
    """
    return f"{measured.value:.3f} ({measured.low:.3f} to {measured.high:.3f})"


def names(words: Iterable[str]) -> str:
    """Join words.

    >>> names(["left", "right", "front"])
    'left, right and front'
    """
    *most, last = list(words) or [""]
    return f"{', '.join(most)} and {last}" if most else last


_WHY = {
    Why.NOT_PROBED: "whether the tokens hold what is asked was not measured",
    Why.BETWEEN: "the numbers lie within each other's intervals, or between the thresholds",
    Why.NO_CUES: "it is not known which cues these questions need",
    Why.NO_ANSWERS: "no answers were scored",
    Why.UNREADABLE: "no answer could be read, so it is not known what the model sees",
}


def headline(finding: Finding, evidence: Evidence) -> str:
    """Say in a sentence or two what is wrong."""
    kinds = names(part.kind or evidence.task for part in finding.parts)
    cues = names(cue.name for cue in finding.cues)
    if finding.cause is Cause.FINE:
        return "Nothing is wrong: no kind of question surely falls short."
    if finding.cause is Cause.FORM and all(part.ranked for part in finding.parts):
        return f"Format: on {kinds} the model knows more than it writes."
    if finding.cause is Cause.FORM:
        return f"Format: answers on {kinds} are often not in a form that can be read."
    if finding.cause is Cause.DECODER:
        return f"The decoder: the tokens hold {cues}, but answers on {kinds} do not use it."
    if finding.cause is Cause.COLLAPSED:
        return _collapsed(finding, kinds, cues)
    assert finding.why
    return f"Cannot tell{f' why answers on {kinds} fail' if kinds else ''}: {_WHY[finding.why]}."


def _collapsed(finding: Finding, kinds: str, cues: str) -> str:
    if not finding.cues:
        return (
            f"Probably collapsed before the decoder: answers on {kinds}, which need places, fail while the tokens "
            "repeat each other more than the picture does."
        )
    if finding.suspected:
        return (
            f"Probably collapsed before the decoder: answers on {kinds} need {cues}, which the tokens lack. No stage "
            "before shows more of it, so it may be too much for a small probe."
        )
    stages = names(dict.fromkeys(cue.lost_at for cue in finding.cues if cue.lost_at))
    where = f" at the {stages}" if stages else ""
    return f"Collapsed before the decoder: answers on {kinds} need {cues}, which is lost{where}."


def reasons(finding: Finding, evidence: Evidence) -> list[str]:
    """Return the numbers behind a finding, one sentence each."""
    found = [answered(part, evidence.task) for part in finding.parts]
    for cue in finding.cues:
        before = f", at the best stage before {share(cue.before)}" if cue.before else ""
        found.append(
            f"{cue.name}: a probe at the connector is right {share(cue.accuracy)}, chance {100 * cue.chance:.1f}; "
            f"kept {share(cue.retention)}{before}"
        )
    if finding.suspected and not finding.cues:
        shown = [name for name in ("rs", "r_pix", "delta_rs") if name in evidence.numbers]
        found += [f"{name}: {span(evidence.numbers[name])}" for name in shown]
    return found


def answered(part: Part, task: str) -> str:
    """Say how answers of one kind were."""
    chance = f", chance {100 * part.chance:.1f}" if part.chance else ""
    text = f"{part.kind or task}: right {share(part.written)}{chance}"
    if part.ranked and part.knows:
        return f"{text}; by ranking {share(part.knows)}, more by {share(part.form)}"
    known = f", of the others right {share(part.knows)}" if part.knows else ""
    return f"{text}; not readable {share(part.form)}{known}"
