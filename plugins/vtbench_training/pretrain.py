"""Recipe in, a trained small LLaVA in the published layout out. Each stage resumes from its last checkpoint."""

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
from vtbench.scenes.spec import RelationSpec, SceneSpec
from vtbench_llava.build import build_llava, build_processor
from vtbench_llava.layout import save_published
from vtbench_training.curriculum import Curriculum
from vtbench_training.decoder import Answering, AnswerStream
from vtbench_training.loop import train
from vtbench_training.neutral import Captioning, CaptionStream
from vtbench_training.packing import Packer
from vtbench_training.recipe import Recipe, Stage, TakenTower
from vtbench_training.scenery import Scenery
from vtbench_training.taken import take_tower
from vtbench_training.tower import DenseStream, Seeing
from vtbench_training.vocabulary import family_files, train_tokenizer

Show = Callable[[dict[str, Any]], None]


def pretrain(recipe: Recipe, directory: Path, device: torch.device, show: Show) -> Path:
    """Run the recipe's stages and return the directory of the finished model.

    Args:
        recipe: what to train.
        directory: for checkpoints and logs; the model comes to lie in `directory/model`. Started again with the same
            recipe, training goes on where it was; another recipe's directory is refused.
        device: where to train.
        show: called with each log line.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _refuse_other_recipe(recipe, directory)
    torch.manual_seed(recipe.seed)
    sizes, tokenizer = recipe.sizes, train_tokenizer()
    model = build_llava(**asdict(sizes), vocab_size=tokenizer.get_vocab_size(), seed=recipe.seed)
    packer = Packer(tokenizer, sizes.grid**2)
    learners: dict[str, Seeing | Answering | Captioning] = {
        "tower": Seeing(model, sizes.vision_hidden).to(device),
        "decoder": Answering(model, packer).to(device),
        "captions": Captioning(model, packer).to(device),
        "pointing": (pointing := Captioning(model, packer, pointing=True).to(device)),
        "directions": pointing,
    }
    curriculum = Curriculum(all_wording(), RelationSpec(), SceneSpec())
    for number, stage in enumerate(recipe.stages, 1):
        if isinstance(stage, TakenTower):
            take_tower(model, stage.tower_of)
            continue
        scenery = Scenery(stage.mix, recipe.seed + number)
        model.model.vision_tower.requires_grad_(stage.kind == "tower")
        # On a CPU the backward pass of plain attention takes 0.6 of the fused one's time; `decoder` stages hand over a
        # mask that only the fused one reads.
        model.model.language_model.set_attn_implementation("sdpa" if stage.kind == "decoder" else "eager")

        def batches(first: int, stage: Stage = stage, scenery: Scenery = scenery) -> Iterable[dict[str, Tensor]]:
            if stage.kind == "tower":
                return _loader(DenseStream(scenery, stage.schedule, first, sizes.image_size, sizes.grid))
            if stage.kind == "decoder":
                return _loader(AnswerStream(scenery, curriculum, packer, stage.schedule, first, recipe))
            told = stage.kind == "directions"
            return _loader(CaptionStream(scenery, packer, stage.schedule, first, recipe, told))

        modules = learners[stage.kind]
        train(f"{number}-{stage.kind}", modules, modules, batches, stage.schedule, directory, device, show)
    finished = directory / "model"
    processor = build_processor(tokenizer, sizes.image_size, sizes.patch_size)
    save_published(model.cpu().eval(), processor, finished, torch.bfloat16)
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


def _refuse_other_recipe(recipe: Recipe, directory: Path) -> None:
    text = json.dumps(asdict(recipe), sort_keys=True, indent=2)
    path = directory / "recipe.json"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise VtbenchError(
            f"{path}: another recipe was trained here. Choose another --output, or delete that directory."
        )
    path.write_text(text, encoding="utf-8")


def recipe_digest(recipe: Recipe) -> str:
    """Return the first 12 hexadecimal digits of the recipe's sha256."""
    return hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()[:12]
