"""The small models of several architectures on the same tasks: accuracy, what visual tokens carry, what they cost.

    python benchmarks/architectures.py [--models llava,flamingo,...] [--limit N] [--output results/architectures]

Each model answers the four families, is measured on the probe set, there once more on as many tokens as the model with
the fewest has (Redundancy Scores compare at equal m only), and answers again with parts of its visual tokens, where its
decoder can be given fewer. Started again it goes on where it was. The runs lie in OUTPUT/runs, which git ignores;
`table.md`, `comparison.json` (every score with its interval) and `paired.json` (`vtbench compare` over the models'
answers, differences from the first) beside them.

NAME=DIRECTORY among the models is the adapter NAME on a checkpoint of one's own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from task_tokens import task_tokens

import vtbench
from vtbench.console.formatting import number
from vtbench.registry import Registry
from vtbench.runs.provenance import strict
from vtbench.runs.reader import read_records, runs
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_analysis import compare
from vtbench_redundancy import Protocol, redundancy_score
from vtbench_redundancy.scores.stored_scores import with_details

FAMILIES = ("coarse", "attribute", "relational", "scene_graph")
MAIN = dict.fromkeys(FAMILIES[:3], "acc") | {"scene_graph": "tuple_f1"}
PROBED = (
    "rs", "n_eff_16", "discarded", "cue_information", "rs_given_colour", "r_pix", "n_eff", "unique", "dead", "carriers",
)  # fmt: skip
STAGES: Mapping[str, dict[str, Any]] = {
    "answers": {"tasks": ["all"]},
    "probe": {"tasks": ["probe"], "metrics": ["redundancy", "token_use", "carriers"]},
    "drop": {"tasks": ["all"], "metrics": ["accuracy", "scene_graph", "drop_curve"]},
}
"""What each model is run on."""
DROP_LIMIT = 300
"""Items a family whose answers are asked again with parts of the tokens."""
Scores = Mapping[str, Mapping[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="llava,flamingo,qformer,qwen2_vl,fuyu")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--output", type=Path, default=Path("results/architectures"))
    options = parser.parse_args()
    asked = [Asked.of(text, options.output / "runs", options.limit) for text in options.models.split(",")]
    found = {one.label: answered(one) for one in asked}
    paths = [of.pop("run") for of in found.values()]
    least = min(Protocol().m, *(of["probe"]["probe"]["rs"]["detail"]["N"] for of in found.values()))
    for one in asked:
        found[one.label]["equal"] = equal(one, least)
    (options.output / "table.md").write_text(table(found), encoding="utf-8")
    for name, document in (("comparison", found), ("paired", compare(paths).document)):
        text = json.dumps(strict(document), indent=1)
        (options.output / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(table(found))


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the models, and how it is asked."""

    label: str
    model: str
    arguments: dict[str, str]
    runs: Path
    """Where its runs are."""
    limit: int | None

    @classmethod
    def of(cls, text: str, runs: Path, limit: int | None) -> Asked:
        """Read NAME or NAME=DIRECTORY."""
        model, _, directory = text.partition("=")
        label = f"{model} {Path(directory).name}".strip()
        return cls(label, model, {"pretrained": directory} if directory else {}, runs / label, limit)


def answered(asked: Asked) -> dict[str, Any]:
    """Run a model on every stage that it has not been run on; return scores by stage, cost, and its run's path."""
    found: dict[str, Any] = {}
    for stage, fields in STAGES.items():
        output = asked.runs / stage
        run = vtbench.run(
            model=asked.model,
            model_args=asked.arguments,
            output=str(output),
            resume=bool(runs(output)),
            report=False,
            limit=min(asked.limit or DROP_LIMIT, DROP_LIMIT) if stage == "drop" else asked.limit,
            **fields,
        )
        found[stage] = {task: with_details(scores) for task, scores in run.document["scores"].items()}
        if stage == "answers":
            found |= {"run": run.path, "cost": cost(run.path)}
    return found


def equal(asked: Asked, m: int) -> dict[str, Any]:
    """Return the Redundancy Scores of m of a model's tokens on the probe set, chosen evenly, eight times over."""
    kept = asked.runs / f"equal-{m}.json"
    if not kept.exists():
        adapter = Registry().adapter(asked.model, asked.arguments)
        task = load_task(find_task_files()["probe"])
        seen = task_tokens(adapter, task, min(asked.limit or len(task), len(task)))
        adapter.close()
        protocol = replace(Protocol(), m=m)
        found = redundancy_score(seen.tokens, seen.images, boxes=seen.boxes, clusters=seen.clusters, protocol=protocol)
        scores = with_details({name: asdict(score) for name, score in found.scores().items()})
        kept.write_text(json.dumps(strict(scores)), encoding="utf-8")
    read: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return read


def cost(path: Path) -> dict[str, float]:
    """Return visual tokens and seconds per image, averaged over the answered samples of a run."""
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
            yield f"{family}, by ranking", [cell(of["answers"][family], "rank_acc") for of in found.values()]
    for score in PROBED:
        yield f"probe, {score}", [cell(of["probe"]["probe"], score) for of in found.values()]
    yield "probe, tokens measured (m)", [_measured(of["probe"]["probe"]) for of in found.values()]
    for score in ("rs", "r_pix", "rs_given_colour"):
        yield f"probe, {score} at equal m", [cell(of["equal"], score) for of in found.values()]
    yield "equal m", [_measured(of["equal"]) for of in found.values()]
    for score in ("rs", "n_eff_16", "cue_information"):
        for family in FAMILIES:
            yield f"{family}, {score}", [cell(of["answers"][family], score) for of in found.values()]
    for score in ("drop_area", "drop_f95"):
        for family in FAMILIES:
            yield f"{family}, {score}", [cell(of["drop"][family], score) for of in found.values()]
    yield "visual tokens an image", [f"{of['cost']['visual_tokens']:.0f}" for of in found.values()]


def _measured(scores: Scores) -> str:
    return str(scores["rs"]["detail"].get("m", "–"))


def cell(scores: Scores, name: str) -> str:
    """Return a score, its interval and flags; a dash where there is none."""
    score = scores.get(name)
    if score is None or score["value"] is None:
        return "–" if score is None else f"– {' '.join(score['flags'])}".strip()
    percent = score.get("percent", False)
    text = number(score["value"], percent)
    if score["interval"]:
        text += f" ({' to '.join(number(end, percent) for end in score['interval'])})"
    return " ".join([text, *score["flags"]])


if __name__ == "__main__":
    main()
