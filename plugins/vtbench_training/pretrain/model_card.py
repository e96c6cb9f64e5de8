"""Model cards: how a pretrained model was made and how well it does, measured by vtbench itself.

`write_card` is for the models that answer, `write_neutral_card` for the one trained on captions alone.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
import yaml

import vtbench
from vtbench.console.formatting import number
from vtbench.scenes.items import BENCHMARK
from vtbench.types import Score
from vtbench_training.pretrain.caption_scores import CaptionScores, score_captions
from vtbench_training.pretrain.pipeline import recipe_digest
from vtbench_training.pretrain.recipe import InitialTower, Recipe
from vtbench_training.pretrain.tower_init import tower_directory
from vtbench_training.small_models import model_class

TASKS = ["coarse", "attribute", "relational", "scene_graph"]
SCENES = 500
"""For the neutral model: held-out scenes whose captions are scored, and items of each family."""


def evaluate(
    model: Path, name: str = "llava", split: str = "test", limit: int | None = None, device: str = "auto"
) -> Mapping[str, Mapping[str, Score]]:
    """Run the four families on a model that the adapter `name` serves, and return the scores of each."""
    result = vtbench.run(
        model=name,
        model_args={"pretrained": str(model)},
        tasks=TASKS,
        split=split,
        limit=limit,
        device=device,
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
    facts = {"license": "apache-2.0", "library_name": "transformers", "pipeline_tag": "image-text-to-text"}
    hardware = f"{device}, {platform.machine()}, {torch.get_num_threads()} threads"
    return f"""---
{yaml.safe_dump(facts).strip()}
---
# The small {name} of vtbench

{model_class(name).description}: a small vision-language model that knows only vtbench's own images, so that
`vtbench run --model {name}` answers for real on any machine, offline. It was trained from random weights by

    vtbench pretrain --model {name} --output DIR --seed {recipe.seed}

(recipe {recipe_digest(recipe)}, benchmark {BENCHMARK}, PyTorch {torch.__version__}, {hardware}), on the `train` split
alone, whose scenes no other split shares. It answers in the words of the benchmark and is of no use for other images.

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


def write_neutral_card(recipe: Recipe, model: Path, device: str, name: str = "llava") -> None:
    """Evaluate `model`, which the adapter `name` serves, and write README.md beside its weights."""
    families = evaluate(model, name, limit=SCENES, device=device)
    captions = score_captions(model, SCENES, device)
    (model / "README.md").write_text(neutral_card(recipe, captions, families, device), encoding="utf-8")


def neutral_card(
    recipe: Recipe, captions: CaptionScores, families: Mapping[str, Mapping[str, Score]], device: str
) -> str:
    """Return the text of the card."""
    facts = {"license": "apache-2.0", "library_name": "transformers", "pipeline_tag": "image-text-to-text"}
    hardware = f"{device}, {platform.machine()}, threads: {torch.get_num_threads()}"
    return f"""---
{yaml.safe_dump(facts).strip()}
---
# The neutral LLaVA of vtbench

The same small vision-language model as the embedded one (CLIP ViT, two-layer connector, LLaMA decoder; same sizes and
tokenizer), before any benchmark family: it describes vtbench's images in free sentences and has seen no question,
answer or scene graph. A study of fine-tuning starts from it (`--model llava --model-args pretrained=neutral`). Made by

    vtbench pretrain --model llava --recipe neutral --output DIR --seed {recipe.seed}

(recipe {recipe_digest(recipe)}, benchmark {BENCHMARK}, PyTorch {torch.__version__}, {hardware}), on scenes of the
`train` split alone, which no other split shares.

{_tower(recipe)}Connector and decoder were trained from random weights, with the tower frozen, on captions: objects
with some or all of their attributes, the background, the count, which object is next to which and, in the last stage,
on which side of another it lies; with an auxiliary linear layer, discarded since, that predicts from the decoder's
middle layer where the objects are that a caption mentions (as general models have learned from captions and boxes). No
caption is worded as a question or an answer of the benchmark, and none has the scene graph's order of words. Their
images are drawn as the four families draw them.

## Captions

{captions.scenes} scenes of the `test` split, four captions each. Scored are words that the image and the words before
them leave no choice about, said for the first time in their caption. A word is right where it is the likeliest of its
kind (8 shapes, 8 colours, 4 textures, 2 sizes, 4 counts, 4 directions). `grey`: the same words beside a grey image,
which is what the sentences alone give away.

Loss: {captions.loss:.3f} nats per token (grey: {captions.grey_loss:.3f}).

{cue_table(captions)}

`neighbour`: any word about the object next to a mentioned one; `direction`: on which side of another one it lies.

## The four families, as they are

{SCENES} items of each family's `test` split, greedy; 95 % intervals; accuracies and F1 in percent. It was never trained
to answer and describes the image whatever it is asked. A description that holds one of an item's choices and no other
counts as that answer: with one object in the image (`coarse`) it is the right one. Ranking says whether it prefers
the right word as an answer; by chance: {_chances(families)}.

{score_table(families)}

## Recipe

```yaml
{yaml.safe_dump(asdict(recipe), sort_keys=False).strip()}
```
"""


def _tower(recipe: Recipe) -> str:
    towers = [stage.tower_of for stage in recipe.stages if isinstance(stage, InitialTower)]
    if not towers:
        return ""
    weights = (tower_directory(towers[-1]) / "model.safetensors").read_bytes()
    digest = hashlib.sha256(weights).hexdigest()[:12]
    return (
        f"Its vision tower is that of the `{towers[-1]}` model (weights sha256 {digest}), which was trained on dense\n"
        "labels alone (what each patch shows) and never saw a question or an answer.\n"
    )


def _chances(families: Mapping[str, Mapping[str, Score]]) -> str:
    scores = {family: families[family].get("rank_acc") for family in TASKS}
    return ", ".join(f"{name} {100 * s.chance:.1f}" for name, s in scores.items() if s and s.chance is not None)


def cue_table(captions: CaptionScores) -> str:
    """Return the accuracy on the words of each cue as a Markdown table."""
    rows = [
        f"| {cue} | {score.words} | {100 * score.accuracy:.1f} | {100 * score.grey_accuracy:.1f} |"
        for cue, score in captions.cues.items()
    ]
    return "\n".join(["| cue | words | right | grey |", "|---|---|---|---|", *rows])
