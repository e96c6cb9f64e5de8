"""A finished model in, its card out: how it was trained and how well it does, measured by vtbench itself."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import yaml

import vtbench
from vtbench.console.formatting import number
from vtbench.scenes.items import BENCHMARK
from vtbench.types import Score
from vtbench_training.pretrain import recipe_digest
from vtbench_training.pupils import kind_of
from vtbench_training.recipe import Recipe

TASKS = ["coarse", "attribute", "relational", "scene_graph"]


def evaluate(model: Path, name: str = "llava", split: str = "test") -> Mapping[str, Mapping[str, Score]]:
    """Run the four families on a model that the adapter `name` serves, and return the scores of each."""
    result = vtbench.run(
        model=name,
        model_args={"pretrained": str(model)},
        tasks=TASKS,
        split=split,
        output=str(model.parent / "evaluation"),
        report=False,
    )
    return result.scores


def write_card(recipe: Recipe, model: Path, device: str, name: str = "llava") -> None:
    """Evaluate `model` and write README.md beside its weights."""
    results = evaluate(model, name)
    (model / "README.md").write_text(card(recipe, results, device, name), encoding="utf-8")


def card(recipe: Recipe, results: Mapping[str, Mapping[str, Score]], device: str, name: str = "llava") -> str:
    """Return the text of the card."""
    import torch

    facts = {"license": "apache-2.0", "library_name": "transformers", "pipeline_tag": "image-text-to-text"}
    hardware = f"{device}, {platform.machine()}, {torch.get_num_threads()} threads"
    return f"""---
{yaml.safe_dump(facts).strip()}
---
# The small {name} of vtbench

{kind_of(name).about}: a small vision-language model that knows only vtbench's own pictures, so that
`vtbench run --model {name}` answers for real on any machine, offline. It was trained from nothing by

    vtbench pretrain --model {name} --output DIR --seed {recipe.seed}

(recipe {recipe_digest(recipe)}, benchmark {BENCHMARK}, PyTorch {torch.__version__}, {hardware}), on the `train` split
alone, whose scenes no other split shares. It answers in the words of the benchmark and is of no use for other pictures.

## Scores

2,000 items of each family's `test` split, greedy; 95 % intervals; accuracies and F1 in percent:

{score_table(results)}

## Recipe

```yaml
{yaml.safe_dump(asdict(recipe), sort_keys=False).strip()}
```
"""


def score_table(results: Mapping[str, Mapping[str, Score]]) -> str:
    """Return the four families' scores as a Markdown table."""
    names = {
        "acc": "accuracy",
        "rank_acc": "ranking accuracy",
        "pair_acc": "pair accuracy",
        "tuple_f1": "tuple F1",
        "rs": "Redundancy Score",
    }
    lines = ["| family | score | value | interval | flags |", "|---|---|---|---|---|"]
    for family in TASKS:
        for key, text in names.items():
            score = results[family].get(key)
            if score is None or score.value is None or score.interval is None:
                continue
            low, high = (number(bound, score.percent) for bound in score.interval)
            value, flags = number(score.value, score.percent), ", ".join(score.flags)
            lines.append(f"| {family} | {text} | {value} | {low} to {high} | {flags} |")
    return "\n".join(lines)
