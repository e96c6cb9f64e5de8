"""Recipe in, a trained small model in the published layout out. Each stage resumes from its last checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from vtbench.errors import VtbenchError
from vtbench.scenes.scene_settings import RelationSettings, SceneSettings
from vtbench_training.curriculum import Curriculum
from vtbench_training.decoder import Answering, AnswerStream
from vtbench_training.loop import train
from vtbench_training.neutral import Captioning, CaptionStream
from vtbench_training.packing import Packer
from vtbench_training.precision import choose_precision
from vtbench_training.pupils import check_name, pupil
from vtbench_training.recipe import Recipe, Stage, TakenTower
from vtbench_training.scenery import Scenery
from vtbench_training.taken import take_tower
from vtbench_training.tower import DenseStream, Seeing
from vtbench_training.vocabulary import family_files

Show = Callable[[dict[str, Any]], None]


def pretrain(recipe: Recipe, directory: Path, device: torch.device, show: Show, model: str = "llava") -> Path:
    """Run the recipe's stages and return the directory of the finished model.

    Args:
        recipe: what to train.
        directory: for checkpoints and logs; the model comes to lie in `directory/model`. Started again with the same
            recipe, training goes on where it was; another recipe's directory is refused.
        device: where to train.
        show: called with each log line.
        model: which family's small model, one of `vtbench_training.pupils.PUPILS`.

    Raises:
        VtbenchError: no such model; another recipe was trained here; the loss diverged.
    """
    check_name(model)
    directory.mkdir(parents=True, exist_ok=True)
    _refuse_other_recipe(model, recipe, directory)
    torch.manual_seed(recipe.seed)
    sizes, learns = recipe.sizes, pupil(model, recipe.sizes, recipe.seed)
    packer = Packer(learns.tokenizer, int(learns.head_positions.max()) + 1, learns.wording)
    pointing = Captioning(learns, packer, pointing=True).to(device)
    learners: dict[str, Seeing | Answering | Captioning] = {
        "tower": Seeing(learns).to(device),
        "decoder": Answering(learns, packer).to(device),
        "captions": Captioning(learns, packer).to(device),
        "pointing": pointing,
        "directions": pointing,
    }
    precision = choose_precision("auto", device)
    curriculum = Curriculum(all_wording(), RelationSettings(), SceneSettings())
    for number, stage in enumerate(recipe.stages, 1):
        if isinstance(stage, TakenTower):
            take_tower(learns.model, stage.tower_of)
            continue
        scenery = Scenery(stage.mix, recipe.seed + number)
        learns.seeing(stage.kind == "tower")
        # On a CPU the backward pass of plain attention takes 0.6 of the fused one's time.
        learns.model.set_attn_implementation("eager" if device.type == "cpu" else "sdpa")

        def batches(first: int, stage: Stage = stage, scenery: Scenery = scenery) -> Iterable[dict[str, Tensor]]:
            if stage.kind == "tower":
                return _loader(DenseStream(scenery, stage.schedule, first, sizes.image_size, sizes.grid))
            if stage.kind == "decoder":
                return _loader(AnswerStream(scenery, curriculum, packer, stage.schedule, first, recipe))
            told = stage.kind == "directions"
            return _loader(CaptionStream(scenery, packer, stage.schedule, first, recipe, told))

        modules = learners[stage.kind]
        name = f"{number}-{stage.kind}"
        train(name, modules, modules, batches, stage.schedule, directory, device, show, precision=precision)
    finished = directory / "model"
    learns.save(finished, torch.bfloat16)
    return finished


def _loader(stream: IterableDataset) -> DataLoader:
    # One worker draws the scenes while the model learns; order and content do not depend on their number.
    return DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=4)


def all_wording() -> dict[str, list[str]]:
    """Return every paraphrase of every kind of question that a built-in family asks."""
    wording: dict[str, list[str]] = {}
    for task in family_files():
        for kind, texts in task.questions.items():
            known = wording.setdefault(kind, [])
            known += [text for text in texts if text not in known]
    return wording


def _refuse_other_recipe(model: str, recipe: Recipe, directory: Path) -> None:
    text = json.dumps({"model": model, **asdict(recipe)}, sort_keys=True, indent=2)
    path = directory / "recipe.json"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise VtbenchError(
            f"{path}: another recipe was trained here. Choose another --output, or delete that directory."
        )
    path.write_text(text, encoding="utf-8")


def recipe_digest(recipe: Recipe) -> str:
    """Return the first 12 hexadecimal digits of the recipe's sha256."""
    return hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()[:12]
