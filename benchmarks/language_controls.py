"""What language alone answers, and what perfect sight through words does: a language model on every family.

    python benchmarks/language_controls.py CHECKPOINT [--limits 100,500] [--output results/language] [--dtype bfloat16]

CHECKPOINT is a directory of a causal language model, or a GGUF file. `question_only` and `captioned` answer each family
in the formats `plain` and `instruct`, after 0, 2 and 4 examples, on the first items of each number in --limits in turn:
a first table comes early, and the next number goes on with the same runs. Started again it goes on where it was. The
runs lie in OUTPUT/runs, which git ignores, and `table.md` beside them; `--table` prints what there is and asks nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import vtbench
from vtbench.console.formatting import number
from vtbench.runs.json_file import read_object

MAIN = {"coarse": "acc", "attribute": "acc", "relational": "acc", "scene_graph": "tuple_f1"}
"""The score of each family."""
FORMATS, SHOTS, MODELS = ("plain", "instruct"), (0, 2, 4), ("question_only", "captioned")
FLOOR = "blind"
"""The control whose scene graph is the same for every scene: what a scene graph scores without sight or question."""
HEADER = (
    "| family | shots | format | model | n | parsed | accuracy (tuple F1 of scene graphs) | chance |\n"
    "|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Setting:
    """How one run asks all families."""

    shots: int
    format: str
    model: str

    @property
    def name(self) -> str:
        """Name of the directory of its run."""
        return f"{self.model}-{self.format}-{self.shots}"


def settings() -> list[Setting]:
    """Return all settings, those that take little time first."""
    return [Setting(*each) for each in product(SHOTS, FORMATS, MODELS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?")
    parser.add_argument("--limits", default="100,500")
    parser.add_argument("--output", type=Path, default=Path("results/language"))
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--table", action="store_true", help="print the table of what there is")
    options = parser.parse_args()
    if not options.table:
        if options.checkpoint is None:
            parser.error("CHECKPOINT is missing")
        for limit in map(int, options.limits.split(",")):
            measure(options, limit)
    print(table(options.output / "runs"))


def measure(options: argparse.Namespace, limit: int) -> None:
    """Ask the first `limit` items of every family in every setting, and write the table after each."""
    found = options.output / "runs"
    ask(found / FLOOR, limit, model=FLOOR, tasks=["scene_graph"], metrics=["scene_graph"])
    for setting in settings():
        ask(
            found / setting.name,
            limit,
            model=setting.model,
            model_args={"pretrained": options.checkpoint},
            tasks=list(MAIN),
            metrics=["accuracy", "scene_graph"],
            prompt_format=setting.format,
            fewshot=setting.shots,
            dtype=options.dtype,
            device=options.device,
            batch_size=options.batch_size,
        )
        (options.output / "table.md").write_text(table(found), encoding="utf-8")


def ask(output: Path, limit: int, **fields: Any) -> None:
    """Run a setting up to `limit` items, or go on with its run."""
    done = document(output)
    if done is None or max(n["original"] for n in done["n-samples"].values()) < limit:
        vtbench.run(output=str(output), resume=any(output.glob("*/run.json")), report=False, limit=limit, **fields)


def document(output: Path) -> dict[str, Any] | None:
    """Return the results of a setting's finished run; None where there is none."""
    finished = sorted(output.glob("*/results.json"))
    return read_object(finished[-1]) if finished else None


def table(found: Path) -> str:
    """Return the table of all there is, as Markdown."""
    floor = document(found / FLOOR)
    done = {setting: document(found / setting.name) for setting in settings()}
    lines = [HEADER]
    for family, (setting, results) in product(MAIN, done.items()):
        if results is not None:
            shares = row(family, results["scores"][family], floor)
            lines.append(f"| {family} | {setting.shots} | {setting.format} | {setting.model} | {' | '.join(shares)} |")
    return "\n".join(lines) + "\n"


def row(family: str, scores: Mapping[str, Any], floor: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return number of items, share parsed, score with its interval, and chance."""
    score = scores[MAIN[family]]
    low, high = score["interval"] or (None, None)
    value = f"{shown(score['value'])} ({shown(low)} to {shown(high)})"
    if family != "scene_graph":
        return str(score["n"]), shown(1 - score["detail"]["unparsed"]), value, shown(score["chance"])
    fixed = shown(floor["scores"][family]["tuple_f1"]["value"]) if floor else "–"
    return str(score["n"]), shown(scores["parse_rate"]["value"]), value, f"{fixed} (one fixed graph)"


def shown(share: float | None) -> str:
    """Return a share as a percentage."""
    return "–" if share is None else number(share, percent=True)


if __name__ == "__main__":
    main()
