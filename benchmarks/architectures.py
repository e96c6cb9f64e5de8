"""The small models of several architectures on the same tasks: accuracy, what visual tokens carry, what they cost.

    python benchmarks/architectures.py [--models llava,flamingo,...] [--limit N] [--output results/architectures]

Each model answers the four families, is measured on the probe set, and answers once more with parts of its visual
tokens kept (where its decoder can be given fewer). Started again it goes on where it was. The runs lie in
OUTPUT/runs, which git ignores; `table.md`, `comparison.json` (every score with its interval) and `paired.json`
(`vtbench compare` over the models' answers, differences from the first) beside them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import vtbench
from vtbench.config import model_names
from vtbench.console import number
from vtbench.provenance import strict
from vtbench.stored import read_records
from vtbench_analysis.comparing import compare

FAMILIES = ("coarse", "attribute", "relational", "scene_graph")
MAIN = dict.fromkeys(FAMILIES[:3], "acc") | {"scene_graph": "tuple_f1"}
PROBED = ("rs", "r_pix", "delta_rs", "n_eff", "discarded", "unique", "dead", "carriers")
STAGES: Mapping[str, dict[str, Any]] = {
    "answers": {"tasks": ["all"]},
    "probe": {"tasks": ["probe"], "metrics": ["redundancy", "token_use", "carriers"]},
    "drop": {"tasks": ["all"], "metrics": ["accuracy", "scene_graph", "drop_curve"]},
}
"""What each model is run on."""
DROP_LIMIT = 300
"""Items a family whose answers are asked again with parts of the tokens."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="llava,flamingo,qformer,qwen2_vl,fuyu")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--output", type=Path, default=Path("results/architectures"))
    options = parser.parse_args()
    models = model_names(options.models)
    found: dict[str, dict[str, Any]] = {model: {} for model in models}
    paths: list[Path] = []
    for stage, fields in STAGES.items():
        limit = min(options.limit or DROP_LIMIT, DROP_LIMIT) if stage == "drop" else options.limit
        where = options.output / "runs" / stage
        runs = vtbench.run_many(models, output=str(where), resume=True, report=False, limit=limit, **fields)
        if runs.failed:
            raise SystemExit(f"{stage}: {runs.failed}")
        for model, run in runs.results.items():
            found[model][stage] = run.document["scores"]
            if stage == "answers":
                paths.append(run.path)
                found[model]["cost"] = cost(run.path)
    (options.output / "table.md").write_text(table(found), encoding="utf-8")
    for name, document in (("comparison", found), ("paired", compare(paths).document)):
        text = json.dumps(strict(document), indent=1)
        (options.output / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(table(found))


def cost(path: Path) -> dict[str, float]:
    """Return visual tokens and seconds a picture, the mean over what a run answered."""
    records = [record for family in FAMILIES for record in read_records(path, family) if record.error is None]
    return {
        "visual_tokens": sum(record.visual_tokens_in or 0 for record in records) / len(records),
        "seconds": sum(record.seconds for record in records) / len(records),
    }


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return everything side by side as Markdown, a column a model."""
    lines = ["| | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    for text, cells in _rows(found):
        lines.append(f"| {text} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _rows(found: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    for family, score in MAIN.items():
        name = "tuple F1" if score == "tuple_f1" else "accuracy"
        yield f"{family}, {name}", [cell(of["answers"][family], score) for of in found.values()]
        if score == "acc":
            ranked = [cell(of["answers"][family], "rank_acc") for of in found.values()]
            yield f"{family}, by ranking", ranked
    for score in PROBED:
        yield f"probe, {score}", [cell(of["probe"]["probe"], score) for of in found.values()]
    measured = [of["probe"]["probe"]["rs"]["detail"].get("m") for of in found.values()]
    yield "probe, tokens measured (m)", [str(m) for m in measured]
    for family in FAMILIES:
        yield f"{family}, rs", [cell(of["answers"][family], "rs") for of in found.values()]
    for family in FAMILIES:
        yield f"{family}, drop_area", [cell(of["drop"][family], "drop_area") for of in found.values()]
    yield "visual tokens a picture", [f"{of['cost']['visual_tokens']:.0f}" for of in found.values()]
    yield "ms a question", [f"{1000 * of['cost']['seconds']:.1f}" for of in found.values()]


def cell(scores: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """Return a score, its interval and flags; a dash where there is none."""
    score = scores.get(name)
    if score is None or score["value"] is None:
        return "–" if score is None else f"– {' '.join(score['flags'])}"
    percent = score["percent"]
    text = number(score["value"], percent)
    if score["interval"]:
        text += f" ({' to '.join(number(end, percent) for end in score['interval'])})"
    return " ".join([text, *score["flags"]])


if __name__ == "__main__":
    main()
