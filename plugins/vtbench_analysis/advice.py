"""What to try about a finding, each tied to the numbers that speak for it: `Finding` and `Evidence` in, `Try`s out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vtbench_analysis.evidence import Evidence
from vtbench_analysis.rules import Cause, Finding, Why
from vtbench_analysis.wording import names, share, span

FEW_TOKENS = 0.5
"""A token budget is worth a try where the drop curve says that surely less than this fraction does as well."""
MUCH = 0.5
"""A finer picture is worth a try where surely more than this share of what it holds does not reach the decoder."""


@dataclass(frozen=True, slots=True)
class Try:
    """Something to do, and why it may help."""

    what: str
    because: str


def tries(finding: Finding, evidence: Evidence) -> tuple[Try, ...]:
    """Return what to try, the most promising first."""
    of = {
        Cause.FINE: _of_fine,
        Cause.FORM: _of_form,
        Cause.COLLAPSED: _of_collapsed,
        Cause.DECODER: _of_decoder,
        Cause.UNKNOWN: _of_unknown,
    }[finding.cause]
    return tuple(of(finding, evidence))


def _of_fine(finding: Finding, evidence: Evidence) -> Iterator[Try]:
    yield from _budget(evidence)


def _of_form(finding: Finding, evidence: Evidence) -> Iterator[Try]:
    costs = "; ".join(f"{part.kind or evidence.task}: {share(part.form)}" for part in finding.parts)
    if all(part.ranked for part in finding.parts):
        yield Try("read `rank_acc` meanwhile: it puts the form of the answer aside", f"it is higher by {costs}")
    yield Try(
        "ask for the answer's form in the prompt, allow longer answers (`max_new_tokens`), or fine-tune a few steps on "
        "answers of this form",
        f"the form costs {costs}",
    )


def _of_collapsed(finding: Finding, evidence: Evidence) -> Iterator[Try]:
    gone = names(f"{cue.name} kept {share(cue.retention)}" for cue in finding.cues)
    yield Try(
        "mix: fine-tune on a mix with more of the families that need these cues, e.g. "
        "`--mix coarse=1,attribute=1,relational=2,scene_graph=2`",
        gone or "spatial questions fail, and the relational and scene-graph families ask for places",
    )
    more, discarded = evidence.numbers.get("delta_rs"), evidence.numbers.get("discarded")
    if more and more.low > 0:
        yield Try(
            "penalty: fine-tune with `--redundancy-penalty cosine:0.1`, and accept it only if `discarded` and accuracy "
            "hold",
            f"the tokens repeat more than the picture does: ΔRS {span(more)}",
        )
    at_encoder = [cue.name for cue in finding.cues if cue.lost_at == "encoder"]
    if at_encoder or (discarded and discarded.low > MUCH):
        why = [f"{names(at_encoder)} is gone behind the vision tower"] if at_encoder else []
        why += [f"discarded {span(discarded)}"] if discarded and discarded.low > MUCH else []
        yield Try("resolution: larger pictures or smaller patches, with the vision tower trained", "; ".join(why))


def _of_decoder(finding: Finding, evidence: Evidence) -> Iterator[Try]:
    kinds = names(part.kind or evidence.task for part in finding.parts)
    there = names(f"{cue.name} {share(cue.accuracy)}" for cue in finding.cues)
    yield Try(
        f"mix: fine-tune the decoder on more questions of {kinds}, the vision tower as it is (`--freeze vision`)",
        f"a probe reads from the tokens: {there}",
    )
    yield from _budget(evidence)


def _of_unknown(finding: Finding, evidence: Evidence) -> Iterator[Try]:
    if finding.why is Why.NOT_PROBED:
        missing = sorted({cue for part in finding.parts for cue in part.needs} - set(evidence.cues))
        tried = [cue for cue in missing if f"cue_{cue}" in evidence.flags]
        if tried:
            said = names(_no_value(f"cue_{cue}", evidence) for cue in tried)
            yield Try("run again on more samples (a larger `--limit`), or on a task that shows these cues", said)
        if untried := [cue for cue in missing if cue not in tried]:
            yield Try("run again with `--metrics cues` beside the others", f"not probed: {names(untried)}")
        if "delta_rs" not in evidence.numbers:
            yield Try("run again with `--metrics redundancy`", _no_value("delta_rs", evidence))
    elif finding.why is Why.BETWEEN:
        yield Try("run again on more samples (a larger `--limit`)", "what would tell lies inside the intervals")
    elif finding.why is Why.UNREADABLE:
        if any(part.chance for part in finding.parts):
            yield Try("run again with `--metrics rank_accuracy`", "a ranking of the choices needs no text")
        yield Try("run again with `--metrics cues`", "what the tokens hold does not hang on the text")
    elif finding.why is Why.NO_ANSWERS:
        yield Try(
            "run again with `--metrics accuracy` or `scene_graph`", "without answers nothing can be right or wrong"
        )


def _budget(evidence: Evidence) -> Iterator[Try]:
    needed = evidence.numbers.get("drop_f95")
    if needed and needed.high < FEW_TOKENS:
        yield Try(
            "budget: drop visual tokens, which makes the prompt shorter at the same answers",
            f"drop_f95 {span(needed)}: this fraction of them, at random, retains 95 % of what the picture adds",
        )


def _no_value(score: str, evidence: Evidence) -> str:
    flags = evidence.flags.get(score, ())
    return f"{score} has no value ({', '.join(flags)})" if flags else f"{score} is not in this run"
