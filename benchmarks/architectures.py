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
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

import vtbench
from vtbench.catalog import find_task_files
from vtbench.console import number
from vtbench.provenance import strict
from vtbench.registry import Registry
from vtbench.stored import read_records, runs
from vtbench.task import load_task
from vtbench_analysis.comparing import compare
from vtbench_redundancy import Protocol, redundancy_score

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
BATCH = 50
Scores = Mapping[str, Mapping[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="llava,flamingo,qformer,qwen2_vl,fuyu")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--output", type=Path, default=Path("results/architectures"))
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    paths: list[Path] = []
    for named in options.models.split(","):
        model, _, directory = named.partition("=")
        arguments = {"pretrained": directory} if directory else {}
        label = f"{model} {Path(directory).name}".strip()
        found[label] = answered(model, arguments, options.output / "runs" / label, options.limit)
        paths.append(found[label].pop("run"))
    least = min(of["probe"]["probe"]["rs"]["detail"].get("m", 0) for of in found.values())
    for named, (label, of) in zip(options.models.split(","), found.items(), strict=True):
        model, _, directory = named.partition("=")
        where = options.output / "runs" / label / f"equal-{least}.json"
        if not where.exists():
            scores = equal(model, {"pretrained": directory} if directory else {}, least, options.limit)
            where.write_text(json.dumps(strict(scores)), encoding="utf-8")
        of["equal"] = json.loads(where.read_text(encoding="utf-8"))
    (options.output / "table.md").write_text(table(found), encoding="utf-8")
    for name, document in (("comparison", found), ("paired", compare(paths).document)):
        text = json.dumps(strict(document), indent=1)
        (options.output / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(table(found))


def answered(model: str, arguments: dict[str, str], where: Path, limit: int | None) -> dict[str, Any]:
    """Run a model on every stage that it has not been run on; return scores by stage, cost, and its run's path."""
    found: dict[str, Any] = {}
    for stage, fields in STAGES.items():
        output = where / stage
        items = min(limit or DROP_LIMIT, DROP_LIMIT) if stage == "drop" else limit
        begun = bool(runs(output))
        run = vtbench.run(
            model=model, model_args=arguments, output=str(output), resume=begun, report=False, limit=items, **fields
        )
        found[stage] = run.document["scores"]
        if stage == "answers":
            found |= {"run": run.path, "cost": cost(run.path)}
    return found


def equal(model: str, arguments: dict[str, str], m: int, limit: int | None) -> dict[str, Any]:
    """Return the Redundancy Scores of m of a model's tokens on the probe set, chosen evenly, eight times over."""
    adapter = Registry().adapter(model, arguments)
    task = load_task(find_task_files()["probe"])
    tokens, pictures, clusters = [], [], []
    count = min(limit or len(task), len(task))
    for start in range(0, count, BATCH):
        samples = [task.sample(index, adapter.image_size) for index in range(start, min(start + BATCH, count))]
        (visual,) = adapter.visual_tokens(samples, ["connector"])
        tokens.append(np.asarray(visual.tokens))
        pictures += [np.asarray(sample.images[0]) for sample in samples]
        clusters += [sample.cluster for sample in samples]
    adapter.close()
    scores = redundancy_score(
        np.concatenate(tokens),
        np.stack(pictures),
        boxes=visual.boxes,
        clusters=clusters,
        protocol=replace(Protocol(), m=m),
    ).scores()
    return {name: asdict(score) for name, score in scores.items()}


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
            yield f"{family}, by ranking", [cell(of["answers"][family], "rank_acc") for of in found.values()]
    for score in PROBED:
        yield f"probe, {score}", [cell(of["probe"]["probe"], score) for of in found.values()]
    yield "probe, tokens measured (m)", [_measured(of["probe"]["probe"]) for of in found.values()]
    for score in ("rs", "r_pix", "delta_rs"):
        yield f"probe, {score} at equal m", [cell(of["equal"], score) for of in found.values()]
    yield "equal m", [_measured(of["equal"]) for of in found.values()]
    for family in FAMILIES:
        yield f"{family}, rs", [cell(of["answers"][family], "rs") for of in found.values()]
    for score in ("drop_area", "drop_f95"):
        for family in FAMILIES:
            yield f"{family}, {score}", [cell(of["drop"][family], score) for of in found.values()]
    yield "visual tokens a picture", [f"{of['cost']['visual_tokens']:.0f}" for of in found.values()]
    yield "ms a question", [f"{1000 * of['cost']['seconds']:.1f}" for of in found.values()]


def _measured(scores: Scores) -> str:
    return str(scores["rs"]["detail"].get("m", "–"))


def cell(scores: Scores, name: str) -> str:
    """Return a score, its interval and flags; a dash where there is none."""
    score = scores.get(name)
    if score is None or score["value"] is None:
        return "–" if score is None else f"– {' '.join(score['flags'])}".strip()
    percent = score["percent"]
    text = number(score["value"], percent)
    if score["interval"]:
        text += f" ({' to '.join(number(end, percent) for end in score['interval'])})"
    return " ".join([text, *score["flags"]])


if __name__ == "__main__":
    main()
