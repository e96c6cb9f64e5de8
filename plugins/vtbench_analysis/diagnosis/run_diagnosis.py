"""The diagnosis of a finished run: for each task what is wrong, the numbers behind it, and what to try."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtbench.runs.provenance import strict
from vtbench_analysis.diagnosis.evidence import AnswerGroup, CueProbe, Evidence, collect_evidence
from vtbench_analysis.diagnosis.explanations import Recommendation, headline, recommendations, supporting_numbers
from vtbench_analysis.diagnosis.rules import Finding, find_causes
from vtbench_analysis.stored_run import StoredRun, open_run


@dataclass(frozen=True, slots=True)
class ExplainedFinding:
    """A finding in words."""

    finding: Finding
    headline: str
    numbers: tuple[str, ...]
    """The numbers behind it, one sentence each."""
    recommendations: tuple[Recommendation, ...]


@dataclass(frozen=True)
class RunDiagnosis:
    """The diagnosis of one run. `evidence` and `findings` are by task."""

    run: StoredRun
    evidence: dict[str, Evidence]
    findings: dict[str, tuple[ExplainedFinding, ...]]

    @property
    def document(self) -> dict[str, Any]:
        """The whole diagnosis, JSON-able."""
        tasks = {
            task: {
                "findings": [_finding_document(explained, task) for explained in findings],
                "evidence": _evidence_document(self.evidence[task]),
            }
            for task, findings in self.findings.items()
        }
        found: dict[str, Any] = strict({"run": self.run.summary(), "tasks": tasks})
        return found


def diagnose(path: str | Path) -> RunDiagnosis:
    """Find why a run fails: cues lost in the visual tokens, cues not used by the decoder, or the answer format.

    Args:
        path: directory of a finished run.

    Raises:
        ResultsError: there is no run.
        AnalysisError: the run is not finished.
    """
    run = open_run(Path(path))
    evidence = {task: collect_evidence(run, task) for task in run.tasks}
    return RunDiagnosis(run, evidence, {task: explain(found) for task, found in evidence.items()})


def explain(evidence: Evidence) -> tuple[ExplainedFinding, ...]:
    """Return the findings of one task in words."""
    return tuple(
        ExplainedFinding(
            finding,
            headline(finding, evidence),
            tuple(supporting_numbers(finding, evidence)),
            recommendations(finding, evidence),
        )
        for finding in find_causes(evidence)
    )


# The JSON keys differ from the field names: they are kept, so that documents of all versions read alike.


def _finding_document(explained: ExplainedFinding, task: str) -> dict[str, Any]:
    finding = explained.finding
    return {
        "cause": finding.cause,
        "suspected": finding.suspected,
        "why": finding.reason,
        "kinds": [group.kind or task for group in finding.groups],
        "cues": finding.cue_names,
        "text": explained.headline,
        "reasons": list(explained.numbers),
        "tries": [{"what": each.action, "because": each.grounds} for each in explained.recommendations],
    }


def _evidence_document(evidence: Evidence) -> dict[str, Any]:
    return {
        "task": evidence.task,
        "whole": _group_document(evidence.overall) if evidence.overall else None,
        "kinds": [_group_document(group) for group in evidence.by_kind],
        "cues": {name: _cue_document(cue) for name, cue in evidence.cues.items()},
        "linear_cues": {name: cue.explained.row() for name, cue in evidence.linear_cues.items()},
        "numbers": {name: found.row() for name, found in evidence.token_scores.items()},
        "flags": dict(evidence.flags),
    }


def _group_document(group: AnswerGroup) -> dict[str, Any]:
    return {
        "kind": group.kind,
        "n": group.n,
        "chance": group.chance,
        "written": group.accuracy.row(),
        "knows": group.content_accuracy.row() if group.content_accuracy else None,
        "form": group.format_cost.row(),
        "ranked": group.ranked,
        "needs": list(group.required_cues),
    }


def _cue_document(cue: CueProbe) -> dict[str, Any]:
    return {
        "name": cue.name,
        "accuracy": cue.accuracy.row(),
        "chance": cue.chance,
        "retention": cue.retention.row(),
        "before": cue.best_before.row() if cue.best_before else None,
        "lost_at": cue.lost_at,
    }
