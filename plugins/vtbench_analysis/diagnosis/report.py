"""A diagnosis as text on standard output, as one HTML page, and as a section of a run's report."""

from __future__ import annotations

import vtbench
from vtbench.console.tables import table_console
from vtbench.report import environment
from vtbench_analysis.diagnosis.evidence import TOKEN_SCORES
from vtbench_analysis.diagnosis.explanations import number_text
from vtbench_analysis.diagnosis.run_diagnosis import RunDiagnosis

PARTIAL = "of a part of what the decoder is told of the image, which enters it by further paths"
"""What the flag `partial_path` means for a reader of the diagnosis."""


def print_diagnosis(diagnosis: RunDiagnosis) -> None:
    """Print the findings of every task with their numbers and recommendations, and the scores of the visual tokens."""
    from rich.padding import Padding
    from rich.text import Text

    console = table_console(stderr=False)

    def line(text: str, indent: int, style: str = "") -> None:
        console.print(Padding(Text(text, style), (0, 0, 0, indent)), highlight=False)

    line(str(diagnosis.run.path), 0)
    for task, findings in diagnosis.findings.items():
        console.print()
        line(task, 0, "bold")
        for explained in findings:
            line(explained.headline, 2)
            for number in explained.numbers:
                line(f"- {number}", 4, "dim")
            for recommendation in explained.recommendations:
                line(f"try {recommendation.action}", 4)
                line(f"because {recommendation.grounds}", 8, "dim")
        evidence = diagnosis.evidence[task]
        measured = [f"{name} {number_text(score)}" for name, score in evidence.token_scores.items()]
        unknown = [
            f"{name} - ({', '.join(flags)})"
            for name, flags in evidence.flags.items()
            if name in TOKEN_SCORES and name not in evidence.token_scores
        ]
        if measured or unknown:
            line("visual tokens: " + "; ".join(measured + unknown), 2, "dim")
        if evidence.partial_paths:
            line(f"{', '.join(evidence.partial_paths)}: {PARTIAL}", 2, "dim")


def diagnosis_page(diagnosis: RunDiagnosis) -> str:
    """Return the diagnosis as one self-contained HTML page in the report's style, everything escaped."""
    return _render("diagnosis.html.jinja", diagnosis)


def diagnosis_section(diagnosis: RunDiagnosis) -> str:
    """Return the diagnosis as an HTML fragment for a page that extends `page.html.jinja`, such as the report."""
    return _render("findings.html.jinja", diagnosis)


def _render(template: str, diagnosis: RunDiagnosis) -> str:
    found = environment("vtbench_analysis.diagnosis").get_template(template)
    return found.render(diagnosis=diagnosis, number_text=number_text, version=vtbench.__version__)
