"""The rules of the diagnosis: pure functions from `Evidence` to `Finding`s.

    is accuracy below 90 %?                          no:  NOTHING_WRONG
    does the answer format cost over 2 points?       yes: FORMAT  (go on only if the content is below 90 % too)
    is a required cue lost from the tokens?          COLLAPSED (suspected, if no earlier stage retains more of it)
    are all required cues retained, and decoded better by probes than used in the answers?
                                                     DECODER
    were they not all probed: does a linear reader of the tokens explain under 15 % of a required cue, in tokens that
    discard most of the image?                       COLLAPSED (suspected, unless by the drop curve the answers do not
                                                     gain from the tokens)
    does it explain over 15 % of each, and more of each than the way that the answers go from chance to all right?
                                                     DECODER
    else                                             UNDETERMINED, with the reason

Every "yes" is significant: the whole 95 % interval lies on one side of the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from vtbench.stats import Estimate
from vtbench_analysis.diagnosis.evidence import (
    LOST_RETENTION,
    PROPERTY_OF_CUE,
    AnswerGroup,
    CueProbe,
    Evidence,
    LinearCue,
)

MIN_ACCURACY = 0.9
"""A group of answers fails where its whole interval is below this accuracy."""
MAX_FORMAT_COST = 0.02
"""The answer format is a finding where it costs significantly more than this: two percentage points."""
RETAINED = 0.8
"""A cue is retained where its retention is significantly above this."""
EXPLAINED = 0.15
"""A cue is lost to a linear reader of the tokens that explains significantly less than this share of its variance: of
shape and position 0.26 to 0.29 in the embedded model, 0.08 to 0.09 behind images of 2 x 2 pixels (1,200 items of
`relational`, integration/shipped/test_diagnosis.py)."""
DISCARDED = 0.5
"""Tokens that keep more of the image than this may hold a cue where a linear reader does not find it."""


class Cause(StrEnum):
    """What is wrong."""

    NOTHING_WRONG = "nothing_wrong"
    FORMAT = "format"
    COLLAPSED = "collapsed"
    DECODER = "decoder"
    UNDETERMINED = "cannot_tell"


class Reason(StrEnum):
    """Why a cause is undetermined."""

    NOT_PROBED = "not_probed"
    INCONCLUSIVE = "inside_the_intervals"
    UNKNOWN_CUES = "no_known_cues"
    NO_ANSWERS = "no_answers"
    UNPARSED = "no_answer_could_be_read"


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause, the questions that it concerns, and the cues behind it."""

    cause: Cause
    groups: tuple[AnswerGroup, ...]
    """The kinds of question, or the whole task; empty where no answers were scored."""
    cues: tuple[CueProbe, ...] = ()
    """The cues that are lost, or those that are retained and not used."""
    linear_cues: tuple[LinearCue, ...] = ()
    """The same, where cues were not probed and a linear reader decides."""
    suspected: bool = False
    """Whether the conclusion is weak: it rests on a linear reader alone, or no stage before the connector retains more
    of the cue, which then may be lost on the way or be too hard for a small probe."""
    reason: Reason | None = None
    """Why the cause is undetermined."""

    @property
    def cue_names(self) -> list[str]:
        """Names of the cues behind it."""
        return [*(cue.name for cue in self.cues), *(cue.name for cue in self.linear_cues)]


def find_causes(evidence: Evidence) -> tuple[Finding, ...]:
    """Return what is wrong with the answers to one task, one finding a cause."""
    if evidence.overall is None:
        return (Finding(Cause.UNDETERMINED, (), reason=Reason.NO_ANSWERS),)
    failing = [group for group in evidence.by_kind if fails(group.accuracy)]
    if not failing and fails(evidence.overall.accuracy):
        failing = [evidence.overall]
    if not failing:
        return (Finding(Cause.NOTHING_WRONG, (evidence.overall,)),)
    return _merge([finding for group in failing for finding in _group_findings(group, evidence)])


def fails(accuracy: Estimate) -> bool:
    """Whether an accuracy is significantly below `MIN_ACCURACY`."""
    return accuracy.high < MIN_ACCURACY


def above_chance(accuracy: Estimate, chance: float) -> Estimate:
    """Rescale an accuracy to 0 at chance and 1 at all right, so that questions with different chance compare.

    >>> above_chance(Estimate(0.75), chance=0.5).value
    0.5
    """
    return accuracy.rescaled(zero=chance, one=1.0)


def _group_findings(group: AnswerGroup, evidence: Evidence) -> Iterator[Finding]:
    costly = group.format_cost.low > MAX_FORMAT_COST
    if costly:
        yield Finding(Cause.FORMAT, (group,))
    if group.content_accuracy is None:
        yield Finding(Cause.UNDETERMINED, (group,), reason=Reason.UNPARSED)
    elif fails(group.content_accuracy):
        yield _content_finding(group, group.content_accuracy, evidence)
    elif not costly:
        yield Finding(Cause.UNDETERMINED, (group,), reason=Reason.INCONCLUSIVE)


def _content_finding(group: AnswerGroup, content_accuracy: Estimate, evidence: Evidence) -> Finding:
    """Explain answers that are wrong whatever their format."""
    probed = [evidence.cues[name] for name in group.required_cues if name in evidence.cues]
    lost = tuple(cue for cue in probed if cue.retention.high < LOST_RETENTION)
    if lost:
        return Finding(Cause.COLLAPSED, (group,), lost, suspected=not any(map(_retained_before, lost)))
    answered = above_chance(content_accuracy, group.chance)
    if probed and len(probed) == len(group.required_cues):
        if all(
            cue.retention.low >= RETAINED and above_chance(cue.accuracy, cue.chance).low > answered.high
            for cue in probed
        ):
            return Finding(Cause.DECODER, (group,), tuple(probed))
        return Finding(Cause.UNDETERMINED, (group,), tuple(probed), reason=Reason.INCONCLUSIVE)
    if not probed and (found := _linear_finding(group, answered, evidence)):
        return found
    reason = Reason.NOT_PROBED if group.required_cues else Reason.UNKNOWN_CUES
    return Finding(Cause.UNDETERMINED, (group,), reason=reason)


def _linear_finding(group: AnswerGroup, answered: Estimate, evidence: Evidence) -> Finding | None:
    """Explain wrong answers by what a linear reader of the tokens finds; None where that does not decide."""
    names = dict.fromkeys(PROPERTY_OF_CUE.get(cue, "") for cue in group.required_cues)
    read = tuple(evidence.linear_cues[name] for name in names if name in evidence.linear_cues)
    lost = tuple(cue for cue in read if cue.explained.high < EXPLAINED)
    discarded = evidence.token_scores.get("discarded")
    if lost and discarded is not None and discarded.low > DISCARDED:
        suspected = evidence.answers_need_tokens is not False
        return Finding(Cause.COLLAPSED, (group,), linear_cues=lost, suspected=suspected)
    if read and len(read) == len(names) and all(cue.explained.low > max(EXPLAINED, answered.high) for cue in read):
        return Finding(Cause.DECODER, (group,), linear_cues=read)
    return None


def _retained_before(cue: CueProbe) -> bool:
    """Whether a stage before the connector retains significantly more of the cue."""
    return cue.best_before is not None and cue.best_before.low > cue.retention.high


def _merge(findings: list[Finding]) -> tuple[Finding, ...]:
    """Merge the findings of one cause; groups and cues keep their order."""
    merged: dict[tuple[Cause, bool, Reason | None], Finding] = {}
    for finding in findings:
        key = finding.cause, finding.suspected, finding.reason
        if key in merged:
            earlier = merged[key]
            cues = tuple(dict.fromkeys((*earlier.cues, *finding.cues)))
            linear = tuple(dict.fromkeys((*earlier.linear_cues, *finding.linear_cues)))
            groups = earlier.groups + finding.groups
            finding = replace(finding, groups=groups, cues=cues, linear_cues=linear)
        merged[key] = finding
    return tuple(merged.values())
