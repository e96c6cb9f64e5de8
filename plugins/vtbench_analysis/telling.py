"""A diagnosis as text on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtbench_analysis.evidence import SCORES
from vtbench_analysis.wording import span

if TYPE_CHECKING:
    from vtbench_analysis.diagnosing import Diagnosis


def tell(diagnosis: Diagnosis) -> None:
    """Print the findings of every task, with their reasons, what to try, and what was measured of the tokens."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console.width = 120

    def line(text: str, indent: int, style: str = "") -> None:
        console.print(Padding(Text(text, style), (0, 0, 0, indent)), highlight=False)

    line(str(diagnosis.run.path), 0)
    for task, findings in diagnosis.said.items():
        console.print()
        line(task, 0, "bold")
        for said in findings:
            line(said.headline, 2)
            for reason in said.reasons:
                line(f"- {reason}", 4, "dim")
            for each in said.tries:
                line(f"try {each.what}", 4)
                line(f"because {each.because}", 8, "dim")
        evidence = diagnosis.evidence[task]
        measured = [f"{name} {span(number)}" for name, number in evidence.numbers.items()]
        unknown = [
            f"{name} - ({', '.join(flags)})"
            for name, flags in evidence.flags.items()
            if name in SCORES and name not in evidence.numbers
        ]
        if measured or unknown:
            line("visual tokens: " + "; ".join(measured + unknown), 2, "dim")
