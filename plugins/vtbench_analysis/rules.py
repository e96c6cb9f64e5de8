"""The rules of the diagnosis: `Evidence` in, `Finding`s out. Pure; nothing is read, nothing is measured.

    do the answers fail?                         no:  FINE
    does the form of the answers cost much?      yes: FORM  (and go on only if what the model knows fails too)
    is a cue that is needed gone from the tokens?    COLLAPSED (suspected, if it cannot be read at any stage before)
    are all of them there, and more than is said?    DECODER
    were cues not probed, is the question spatial, and do the tokens repeat more than the picture does?
                                                     COLLAPSED, suspected
    else                                             UNKNOWN, with what would tell

"Yes" is always said by a whole 95 % interval, never by a value alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from vtbench_analysis.evidence import Cue, Evidence, Measured, Part

GOOD = 0.9
"""Answers fail where their whole interval is below this share."""
FORM_COSTS = 0.02
"""The form of answers is worth a finding where it surely costs more than two points in a hundred."""
KEPT = 0.8
"""A cue is there if its retention is surely at least this."""
LOST = 0.5
"""A cue is gone if its retention is surely below this."""
SPATIAL = frozenset({"position", "fine_offset", "occlusion"})
"""Cues about where things are. A model that fails on them while RS is high is collapsing detail, says arXiv 2602.06914.
High is measured against the pictures: ΔRS = RS - R_pix is surely above 0."""


class Cause(StrEnum):
    """What is wrong."""

    FINE = "nothing_wrong"
    FORM = "format"
    COLLAPSED = "collapsed"
    DECODER = "decoder"
    UNKNOWN = "cannot_tell"


class Why(StrEnum):
    """Why it cannot be told."""

    NOT_PROBED = "not_probed"
    BETWEEN = "inside_the_intervals"
    NO_CUES = "no_known_cues"
    NO_ANSWERS = "no_answers"
    UNREADABLE = "no_answer_could_be_read"


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause, the questions that it concerns, and the cues behind it."""

    cause: Cause
    parts: tuple[Part, ...]
    """The kinds of question, or the whole task; empty where no answers were scored."""
    cues: tuple[Cue, ...] = ()
    """Those that are lost, or those that are there and not used."""
    suspected: bool = False
    """Whether it is concluded from RS alone, or from probes that read the cue at no stage before the connector either:
    it may be lost on the way, or be too much for a small probe."""
    why: Why | None = None


def diagnose(evidence: Evidence) -> tuple[Finding, ...]:
    """Return what is wrong with the answers to one task, one finding a cause."""
    if evidence.whole is None:
        return (Finding(Cause.UNKNOWN, (), why=Why.NO_ANSWERS),)
    failing = [part for part in evidence.kinds if fails(part.written)]
    if not failing and fails(evidence.whole.written):
        failing = [evidence.whole]
    if not failing:
        return (Finding(Cause.FINE, (evidence.whole,)),)
    return _joined([finding for part in failing for finding in _of_part(part, evidence)])


def fails(share: Measured) -> bool:
    """Whether answers are surely not good."""
    return share.high < GOOD


def skill(share: Measured, chance: float) -> Measured:
    """Return an accuracy on a scale where 0 is chance and 1 all right, so that unlike questions compare.

    >>> skill(Measured(0.75, 0.7, 0.8), chance=0.5).value
    0.5
    """
    value, low, high = ((x - chance) / (1 - chance) for x in (share.value, share.low, share.high))
    return Measured(value, low, high)


def _of_part(part: Part, evidence: Evidence) -> Iterator[Finding]:
    costly = part.form.low > FORM_COSTS
    if costly:
        yield Finding(Cause.FORM, (part,))
    if part.knows is None:
        yield Finding(Cause.UNKNOWN, (part,), why=Why.UNREADABLE)
    elif fails(part.knows):
        yield _behind_the_form(part, part.knows, evidence)
    elif not costly:
        yield Finding(Cause.UNKNOWN, (part,), why=Why.BETWEEN)


def _behind_the_form(part: Part, knows: Measured, evidence: Evidence) -> Finding:
    probed = [evidence.cues[name] for name in part.needs if name in evidence.cues]
    gone = tuple(cue for cue in probed if cue.retention.high < LOST)
    if gone:
        return Finding(Cause.COLLAPSED, (part,), gone, suspected=not any(map(_was_there, gone)))
    said = skill(knows, part.chance)
    if probed and len(probed) == len(part.needs):
        if all(cue.retention.low >= KEPT and skill(cue.accuracy, cue.chance).low > said.high for cue in probed):
            return Finding(Cause.DECODER, (part,), tuple(probed))
        return Finding(Cause.UNKNOWN, (part,), tuple(probed), why=Why.BETWEEN)
    more = evidence.numbers.get("delta_rs")
    if more is not None and more.low > 0 and SPATIAL.intersection(part.needs):
        return Finding(Cause.COLLAPSED, (part,), suspected=True)
    return Finding(Cause.UNKNOWN, (part,), why=Why.NOT_PROBED if part.needs else Why.NO_CUES)


def _was_there(cue: Cue) -> bool:
    """Whether a stage before surely holds more of it."""
    return cue.before is not None and cue.before.low > cue.retention.high


def _joined(findings: list[Finding]) -> tuple[Finding, ...]:
    """Join the findings of one cause, parts and cues in order."""
    joined: dict[tuple[Cause, bool, Why | None], Finding] = {}
    for finding in findings:
        key = finding.cause, finding.suspected, finding.why
        if key in joined:
            earlier = joined[key]
            cues = tuple(dict.fromkeys((*earlier.cues, *finding.cues)))
            finding = Finding(finding.cause, earlier.parts + finding.parts, cues, finding.suspected, finding.why)
        joined[key] = finding
    return tuple(joined.values())
