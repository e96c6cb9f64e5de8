"""Accuracy of a captioning model on held-out scenes: its loss, and its accuracy on the words of each cue.

Captions of `test` scenes are scored by teacher forcing. A word is right where it is the likeliest of its kind (of the
colours, say) at its place: what the next word will be about, the sentence leaves open. The same captions beside a grey
image show how much the words alone give away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vtbench.adapter import IGNORE_INDEX
from vtbench.scenes.render import render
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene
from vtbench.scenes.scene_settings import COLOURS, SHAPES, SIZES, TEXTURES
from vtbench.task.loading import builtin_source
from vtbench_hf.checkpoint.arguments import LoadArguments
from vtbench_hf.checkpoint.loader import load
from vtbench_training.pretrain.captions import CUES, PROMPTS, Caption, caption
from vtbench_training.pretrain.curriculum import PromptAnswer
from vtbench_training.pretrain.packed_forward import packed_forward
from vtbench_training.pretrain.packing import Packer
from vtbench_training.small_models.base import SmallVLM
from vtbench_training.small_models.llava import Llava
from vtbench_training.small_models.sizes import Sizes

FAMILIES = ("coarse", "attribute", "relational", "scene_graph")
PER_SCENE = 4
BATCH = 16
GREY = 128
KINDS: tuple[tuple[str, ...], ...] = (
    SHAPES, tuple(COLOURS), TEXTURES, tuple(SIZES), tuple("1234"),
    ("left", "right", "above", "below"),
)  # fmt: skip
"""Groups of words; a word of a caption must be the likeliest of its group."""


@dataclass(frozen=True, slots=True)
class CueScore:
    """Accuracy on the words of one cue that image and earlier words leave no choice about."""

    words: int
    """Number of words."""
    accuracy: float
    """Share of words that are the likeliest of their kind at their place."""
    grey_accuracy: float
    """The same beside a grey image."""


@dataclass(frozen=True, slots=True)
class CaptionScores:
    """Scores of a model on held-out scenes."""

    scenes: int
    loss: float
    """Mean over tokens, in nats."""
    grey_loss: float
    cues: dict[str, CueScore]


@dataclass
class _Tally:
    loss: float = 0.0
    tokens: int = 0
    right: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))


def score_captions(model: Path, scenes: int, device: str = "auto", split: str = "test") -> CaptionScores:
    """Score captions of `scenes` scenes of a split, four each, beside their images and beside a grey one.

    Two of the four are mostly about directions.

    Args:
        model: directory of a LLaVA checkpoint.
        scenes: number of scenes, from the four families in turn.
        device: as the `llava` adapter takes it.
        split: of the scenes.
    """
    loaded = load("llava", LoadArguments(pretrained=str(model), device=device, dtype="float32"), only="llava")
    vision = loaded.model.config.vision_config
    sizes = Sizes(image_size=vision.image_size, patch_size=vision.patch_size)
    vlm = Llava(loaded.model, loaded.processor, sizes)
    packer = Packer(vlm.tokenizer, len(vlm.prefix_ids), vlm.prompt_format)
    sources = [builtin_source(family, split=split, seed=0) for family in FAMILIES]
    seen, blind = _Tally(), _Tally()
    for first in range(0, scenes, BATCH):
        numbers = range(first, min(first + BATCH, scenes))
        batch = [sources[number % len(sources)].item(number // len(sources)).scene for number in numbers]
        pixels = np.stack([np.asarray(render(scene, vision.image_size)) for scene in batch])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        captions = [[caption(scene, seed, directions=seed % 2 == 1) for seed in range(PER_SCENE)] for scene in batch]
        for tally, shown in ((seen, images), (blind, torch.full_like(images, GREY))):
            _score(vlm, packer, shown, batch, captions, tally)
    cues = {
        cue: CueScore(len(seen.right[cue]), float(np.mean(seen.right[cue])), float(np.mean(blind.right[cue])))
        for cue in CUES
        if seen.right[cue]
    }
    return CaptionScores(scenes, seen.loss / seen.tokens, blind.loss / blind.tokens, cues)


@torch.no_grad()
def _score(
    vlm: SmallVLM,
    packer: Packer,
    images: Tensor,
    scenes: Sequence[Scene],
    captions: Sequence[Sequence[Caption]],
    tally: _Tally,
) -> None:
    """Add a batch to the tally."""
    rows = [
        [PromptAnswer(HashRng("prompt", scene.hash, seed).choice(PROMPTS), c.text) for seed, c in enumerate(row)]
        for scene, row in zip(scenes, captions, strict=True)
    ]
    batch = {"images": images, **packer.batch(rows)}
    batch = {key: value.to(vlm.model.device) for key, value in batch.items()}
    logits = vlm.logits(packed_forward(vlm, batch)[-1])
    targets = batch["targets"]
    tally.loss += F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORE_INDEX, reduction="sum").item()
    tally.tokens += int((targets != IGNORE_INDEX).sum())
    kinds = [[packer.inside(word) for word in kind] for kind in KINDS]
    for b, (words, row) in enumerate(zip(rows, captions, strict=True)):
        for cue, word, place in _cue_tokens(packer, words, row):
            ids, kind = next((ids, kind) for ids, kind in zip(kinds, KINDS, strict=True) if word in kind)
            tally.right[cue].append(kind[int(logits[b, place, ids].argmax())] == word)


def _cue_tokens(
    packer: Packer, row: Sequence[PromptAnswer], captions: Sequence[Caption]
) -> Iterator[tuple[str, str, int]]:
    """Yield the cue of each certain word of a row, the word, and the index of the token whose logits predict it."""
    at = 0
    for text, c in zip(row, captions, strict=True):
        encoded = packer.encode(text)
        for cue in c.cues:
            if cue.certain:
                begin = text.answer.rfind(" ", 0, cue.end) + 1
                # -1: the token before predicts it.
                yield cue.cue, text.answer[begin : cue.end], at + packer.token_at(text, begin) - 1
        at += len(encoded.ids)
