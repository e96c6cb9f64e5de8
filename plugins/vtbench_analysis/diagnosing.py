"""`vtbench diagnose`: a finished run in, for each task what is wrong, why, and what to try out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vtbench.runs.provenance import strict
from vtbench_analysis import rules
from vtbench_analysis.advice import Try, tries
from vtbench_analysis.evidence import Evidence
from vtbench_analysis.gathering import gather
from vtbench_analysis.opening import StoredRun, open_run
from vtbench_analysis.rules import Finding
from vtbench_analysis.wording import headline, reasons


@dataclass(frozen=True, slots=True)
class Said:
    """A finding in words."""

    finding: Finding
    headline: str
    reasons: tuple[str, ...]
    tries: tuple[Try, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What one run says of itself, by task."""

    run: StoredRun
    evidence: dict[str, Evidence]
    said: dict[str, tuple[Said, ...]]

    @property
    def document(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        tasks = {task: self._task(task) for task in self.said}
        found: dict[str, Any] = strict({"run": self.run.about(), "tasks": tasks})
        return found

    def _task(self, task: str) -> dict[str, Any]:
        evidence = self.evidence[task]
        return {
            "findings": [
                {
                    "cause": said.finding.cause,
                    "suspected": said.finding.suspected,
                    "why": said.finding.why,
                    "kinds": [part.kind or task for part in said.finding.parts],
                    "cues": [cue.name for cue in said.finding.cues],
                    "text": said.headline,
                    "reasons": list(said.reasons),
                    "tries": [asdict(each) for each in said.tries],
                }
                for said in self.said[task]
            ],
            "evidence": asdict(evidence),
        }


def diagnose(path: str | Path) -> Diagnosis:
    """Say where a run goes wrong: lost in the visual tokens, not used by the decoder, or only the answer's form.

    Args:
        path: directory of a finished run.

    Raises:
        ResultsError: there is no run.
        AnalysisError: it is not finished.
    """
    run = open_run(Path(path))
    evidence = {task: gather(run, task) for task in run.tasks}
    return Diagnosis(run, evidence, {task: _say(found) for task, found in evidence.items()})


def _say(evidence: Evidence) -> tuple[Said, ...]:
    return tuple(
        Said(finding, headline(finding, evidence), tuple(reasons(finding, evidence)), tries(finding, evidence))
        for finding in rules.diagnose(evidence)
    )
