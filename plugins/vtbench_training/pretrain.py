"""Recipe in, a trained small LLaVA in the published layout out. Each stage resumes from its last checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from transformers import LlavaForConditionalGeneration

from vtbench.errors import VtbenchError
from vtbench.scenes.spec import RelationSpec, SceneSpec
from vtbench_llava.build import build_llava, build_processor
from vtbench_llava.layout import save_published
from vtbench_training.curriculum import Curriculum
from vtbench_training.decoder import Answering, AnswerStream
from vtbench_training.loop import train
from vtbench_training.packing import Packer
from vtbench_training.recipe import Recipe
from vtbench_training.scenery import Scenery
from vtbench_training.tower import DenseHeads, DenseStream, normalise
from vtbench_training.vocabulary import family_files, train_tokenizer

Show = Callable[[dict[str, Any]], None]


def pretrain(recipe: Recipe, directory: Path, device: torch.device, show: Show) -> Path:
    """Run the three stages and return the directory of the finished model.

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
    tokenizer = train_tokenizer()
    model = build_llava(**asdict(recipe.sizes), vocab_size=tokenizer.get_vocab_size(), seed=recipe.seed)
    _train_tower(recipe, model, directory, device, show)
    packer = Packer(tokenizer, recipe.sizes.grid**2)
    answering = Answering(model, packer).to(device)
    for number, name in enumerate(("decoder", "joint"), 1):
        answering.freeze_tower(name == "decoder")
        schedule = getattr(recipe, name)

        def batches(
            first: int, seed: int = recipe.seed + number, schedule: Any = schedule
        ) -> Iterable[dict[str, Tensor]]:
            scenery = Scenery(recipe.answer_mix, seed)
            stream = AnswerStream(
                scenery, Curriculum(all_wording(), RelationSpec(), SceneSpec()), packer, schedule, first, recipe
            )
            return _loader(stream)

        train(name, answering, answering, batches, schedule, directory, device, show)
    finished = directory / "model"
    save_published(
        model.cpu().eval(),
        build_processor(tokenizer, recipe.sizes.image_size, recipe.sizes.patch_size),
        finished,
        torch.bfloat16,
    )
    return finished


def _train_tower(
    recipe: Recipe, model: LlavaForConditionalGeneration, directory: Path, device: torch.device, show: Show
) -> None:
    tower, sizes = model.model.vision_tower, recipe.sizes
    modules = nn.ModuleDict({"tower": tower, "heads": DenseHeads(sizes.vision_hidden)}).to(device)

    def step(batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        tokens = tower(normalise(batch["pictures"])).last_hidden_state[:, 1:]
        loss, shown = modules["heads"](tokens, batch["classes"], batch["centres"])
        return loss, shown

    def batches(first: int) -> Iterable[dict[str, Tensor]]:
        return _loader(
            DenseStream(Scenery(recipe.tower_mix, recipe.seed), recipe.tower, first, sizes.image_size, sizes.grid)
        )

    train("tower", modules, step, batches, recipe.tower, directory, device, show)


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
