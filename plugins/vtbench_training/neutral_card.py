"""A model trained on captions alone in, its card out: what it can say, and how the four families score as it is."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import yaml

import vtbench
from vtbench.scenes.items import BENCHMARK
from vtbench.types import Score
from vtbench_training.caption_scores import CaptionScores, score_captions
from vtbench_training.card import TASKS, score_table
from vtbench_training.pretrain import recipe_digest
from vtbench_training.recipe import Recipe, TakenTower
from vtbench_training.taken import tower_directory

SCENES = 500
"""Held-out scenes whose captions are read, and items of each family that are asked."""


def write_neutral_card(recipe: Recipe, model: Path, device: str, name: str = "llava") -> None:
    """Evaluate `model`, which the adapter `name` serves, and write README.md beside its weights."""
    families = vtbench.run(
        model=name,
        model_args={"pretrained": str(model), "device": device},
        tasks=TASKS,
        limit=SCENES,
        output=str(model.parent / "evaluation"),
        report=False,
    )
    said = score_captions(model, SCENES, device)
    (model / "README.md").write_text(neutral_card(recipe, said, families.scores, device), encoding="utf-8")


def neutral_card(recipe: Recipe, said: CaptionScores, families: Mapping[str, Mapping[str, Score]], device: str) -> str:
    """Return the text of the card."""
    import torch

    facts = {"license": "apache-2.0", "library_name": "transformers", "pipeline_tag": "image-text-to-text"}
    hardware = f"{device}, {platform.machine()}, threads: {torch.get_num_threads()}"
    return f"""---
{yaml.safe_dump(facts).strip()}
---
# The neutral LLaVA of vtbench

The same small vision-language model as the embedded one (CLIP ViT, two-layer connector, LLaMA decoder; same sizes and
tokenizer), before any benchmark family: it describes vtbench's pictures in free sentences and has seen no question,
answer or scene graph. A study of fine-tuning starts from it (`--model llava --model-args pretrained=neutral`). Made by

    vtbench pretrain --model llava --recipe neutral --output DIR --seed {recipe.seed}

(recipe {recipe_digest(recipe)}, benchmark {BENCHMARK}, PyTorch {torch.__version__}, {hardware}), on scenes of the
`train` split alone, which no other split shares.

{_tower(recipe)}Connector and decoder were trained from nothing, with the tower frozen, on captions: objects with some
or all of their attributes, the background, the count, which object is next to which and, in the last stage, on which
side of another it lies; with a linear layer, thrown away since, that reads from the decoder's middle where the objects
are that a caption has singled out (as general models have learned from captions and boxes). No caption is worded as a
question or an answer of the benchmark, and none has the scene graph's order of words. Their pictures are drawn as the
four families draw them.

## Captions

{said.scenes} scenes of the `test` split, four captions each. Counted are words that the picture and the words before
them leave no choice about, said for the first time in their caption. A word is right where it is the likeliest of its
kind (8 shapes, 8 colours, 4 textures, 2 sizes, 4 counts, 4 directions). `grey`: the same words beside a grey picture,
which is what the sentences alone give away.

Loss: {said.loss:.3f} nats a token (grey: {said.grey_loss:.3f}).

{_cue_table(said)}

`neighbour`: any word about the object next to a named one; `direction`: on which side of another one it lies.

## The four families, as they are

{SCENES} items of each family's `test` split, greedy; 95 % intervals; accuracies and F1 in percent. It was never taught
to answer and describes the picture whatever it is asked. A description that holds one of an item's choices and no other
counts as that answer: with one object in the picture (`coarse`) it is the right one. Ranking says whether it prefers
the right word as an answer; by chance: {_chances(families)}.

{score_table(families)}

## Recipe

```yaml
{yaml.safe_dump(asdict(recipe), sort_keys=False).strip()}
```
"""


def _tower(recipe: Recipe) -> str:
    taken = [stage.tower_of for stage in recipe.stages if isinstance(stage, TakenTower)]
    if not taken:
        return ""
    weights = (tower_directory(taken[-1]) / "model.safetensors").read_bytes()
    digest = hashlib.sha256(weights).hexdigest()[:12]
    return (
        f"Its vision tower is that of the `{taken[-1]}` model (weights sha256 {digest}), which learned from dense\n"
        "labels alone (what each patch shows) and never saw a question or an answer.\n"
    )


def _chances(families: Mapping[str, Mapping[str, Score]]) -> str:
    scores = {family: families[family].get("rank_acc") for family in TASKS}
    return ", ".join(f"{name} {100 * s.chance:.1f}" for name, s in scores.items() if s and s.chance is not None)


def _cue_table(said: CaptionScores) -> str:
    rows = [
        f"| {cue} | {score.words} | {100 * score.right:.1f} | {100 * score.grey:.1f} |"
        for cue, score in said.cues.items()
    ]
    return "\n".join(["| cue | words | right | grey |", "|---|---|---|---|", *rows])
