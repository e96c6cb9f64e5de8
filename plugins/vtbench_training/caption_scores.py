"""A captioning model in, how well it knows held-out pictures out: its loss, and its words about them, cue by cue.

Captions of `test` scenes are read with the right words before every place. A word is right where it is the likeliest of
its kind there (of the colours, say): what the next word will be about, the sentence leaves open. A grey picture in the
place of the true one shows how much of that the words alone give away.
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

from vtbench.scenes.render import render
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Scene
from vtbench.scenes.scene_settings import COLOURS, SHAPES, SIZES, TEXTURES
from vtbench.task.loading import builtin_source
from vtbench_hf.loading import load
from vtbench_training.captions import CUES, PROMPTS, Caption, caption
from vtbench_training.curriculum import Worded
from vtbench_training.packing import IGNORE, Packer
from vtbench_training.pupils.base import Pupil
from vtbench_training.pupils.llava import Llava
from vtbench_training.reading import read_packed
from vtbench_training.recipe import Sizes

FAMILIES = ("coarse", "attribute", "relational", "scene_graph")
PER_SCENE = 4
BATCH = 16
GREY = 128
KINDS: tuple[tuple[str, ...], ...] = (
    SHAPES, tuple(COLOURS), TEXTURES, tuple(SIZES), tuple("1234"),
    ("left", "right", "above", "below"),
)  # fmt: skip
"""The words among which a word of a caption must be the likeliest."""


@dataclass(frozen=True, slots=True)
class CueScore:
    """Words of one cue that picture and earlier words leave no choice about."""

    words: int
    right: float
    """Share that is the likeliest of its kind at its place."""
    grey: float
    """The same with a grey picture."""


@dataclass(frozen=True, slots=True)
class CaptionScores:
    """What a model knows of held-out pictures."""

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
    """Read captions of `scenes` scenes of a split, four each, beside their pictures and beside a grey one.

    Two of the four are mostly about directions.

    Args:
        model: directory of a LLaVA checkpoint.
        scenes: how many; they come from the four families in turn.
        device: as the `llava` adapter takes it.
        split: whose scenes.
    """
    loaded = load("llava", str(model), device=device, dtype="float32", only="llava")
    vision = loaded.model.config.vision_config
    sizes = Sizes(image_size=vision.image_size, patch_size=vision.patch_size)
    pupil = Llava(loaded.model, loaded.processor, sizes)
    packer = Packer(pupil.tokenizer, len(pupil.head))
    sources = [builtin_source(family, split=split, seed=0) for family in FAMILIES]
    seen, blind = _Tally(), _Tally()
    for first in range(0, scenes, BATCH):
        numbers = range(first, min(first + BATCH, scenes))
        batch = [sources[number % len(sources)].item(number // len(sources)).scene for number in numbers]
        pixels = np.stack([np.asarray(render(scene, vision.image_size)) for scene in batch])
        pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        said = [[caption(scene, seed, directions=seed % 2 == 1) for seed in range(PER_SCENE)] for scene in batch]
        for tally, shown in ((seen, pictures), (blind, torch.full_like(pictures, GREY))):
            _read(pupil, packer, shown, batch, said, tally)
    cues = {
        cue: CueScore(len(seen.right[cue]), float(np.mean(seen.right[cue])), float(np.mean(blind.right[cue])))
        for cue in CUES
        if seen.right[cue]
    }
    return CaptionScores(scenes, seen.loss / seen.tokens, blind.loss / blind.tokens, cues)


@torch.no_grad()
def _read(
    pupil: Pupil,
    packer: Packer,
    pictures: Tensor,
    scenes: Sequence[Scene],
    said: Sequence[Sequence[Caption]],
    tally: _Tally,
) -> None:
    """Add what the model makes of a batch."""
    rows = [
        [Worded(HashRng("prompt", scene.hash, seed).choice(PROMPTS), c.text) for seed, c in enumerate(row)]
        for scene, row in zip(scenes, said, strict=True)
    ]
    batch = {"pictures": pictures, **packer.batch(rows)}
    batch = {key: value.to(pupil.model.device) for key, value in batch.items()}
    logits = pupil.logits(read_packed(pupil, batch)[-1])
    targets = batch["targets"]
    tally.loss += F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORE, reduction="sum").item()
    tally.tokens += int((targets != IGNORE).sum())
    kinds = [[packer.tokenizer.token_to_id(f"Ġ{word}") for word in kind] for kind in KINDS]
    for b, (words, row) in enumerate(zip(rows, said, strict=True)):
        for cue, place in _places(packer, words, row):
            target = int(targets[b, place])
            ids = next(kind for kind in kinds if target in kind)
            tally.right[cue].append(ids[int(logits[b, place, ids].argmax())] == target)


def _places(packer: Packer, rows: Sequence[Worded], said: Sequence[Caption]) -> Iterator[tuple[str, int]]:
    """Yield each certain word of a row: its cue, and the place from which its token is foretold."""
    at = 0
    for worded, c in zip(rows, said, strict=True):
        encoded = packer.encode(worded)
        ends = [end for _, end in packer.tokenizer.encode(f" {worded.answer}</s>").offsets]
        for word in c.cues:
            if word.certain:
                # +1: the space before the caption; -1: the token before foretells it.
                token = next(i for i, end in enumerate(ends) if end >= word.end + 1)
                yield word.cue, at + encoded.answer_from + token - 1
        at += len(encoded.ids)
