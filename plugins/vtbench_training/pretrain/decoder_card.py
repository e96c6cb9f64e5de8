"""The card of a LLaVA around a pretrained decoder: which decoder, how it was trained, and what it scores."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
import yaml

from vtbench.runs.json_file import read_object
from vtbench.scenes.items import BENCHMARK
from vtbench.types import Score
from vtbench_training.pretrain.caption_scores import CaptionScores, score_captions
from vtbench_training.pretrain.model_card import SCENES, cue_table, evaluate, score_table
from vtbench_training.pretrain.recipe import Recipe


def write_decoder_card(recipe: Recipe, model: Path, device: str) -> None:
    """Evaluate `model` on held-out scenes and on items of the four families, and write README.md beside its weights."""
    families = evaluate(model, limit=SCENES, device=device)
    captions = score_captions(model, SCENES, device)
    digest = str(read_object(model.parent / "recipe.json")["decoder_sha256"])
    text = decoder_card(recipe, digest, captions, families, device)
    (model / "README.md").write_text(text, encoding="utf-8")


def decoder_card(
    recipe: Recipe, digest: str, captions: CaptionScores, families: Mapping[str, Mapping[str, Score]], device: str
) -> str:
    """Return the text of the card.

    Args:
        recipe: with a pretrained decoder.
        digest: sha256 of the decoder's weights before they were trained.
        captions: scores on held-out scenes.
        families: scores on the four families, by family and name.
        device: it was trained on.
    """
    decoder = recipe.decoder
    assert decoder is not None
    how = f"LoRA updates of rank {decoder.lora}" if decoder.lora else "all its weights"
    return f"""# A LLaVA around a pretrained decoder

The embedded model's vision tower (frozen), a two-layer MLP connector trained from random weights, and the decoder
`{decoder.decoder}` (weights sha256 {digest[:12]}), of which {how} were trained after the connector.
Benchmark {BENCHMARK}, PyTorch {torch.__version__}, {device}, {platform.machine()}; scenes of the `train` split alone.

## Captions

{captions.scenes} scenes of the `test` split, four captions each; loss {captions.loss:.3f} nats a token (beside a grey
image: {captions.grey_loss:.3f}).

{cue_table(captions)}

## The four families

{SCENES} items of each family's `test` split, greedy; 95 % intervals; accuracies and F1 in percent:

{score_table(families)}

## Recipe

```yaml
{yaml.safe_dump(asdict(recipe), sort_keys=False).strip()}
```
"""
