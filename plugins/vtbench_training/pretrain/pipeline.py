"""Pretraining: recipe -> a trained small model in the published layout. Each stage resumes from its last checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from vtbench.errors import VtbenchError
from vtbench.scenes.scene_settings import RelationSettings, SceneSettings
from vtbench_training.pretrain.answer_stage import AnswerStage, question_texts
from vtbench_training.pretrain.caption_stage import CaptionStage, caption_texts
from vtbench_training.pretrain.curriculum import Curriculum
from vtbench_training.pretrain.packing import PackedStream, Packer
from vtbench_training.pretrain.recipe import InitialTower, Recipe, Stage
from vtbench_training.pretrain.scene_stream import SceneStream
from vtbench_training.pretrain.token_penalty import TokenPenalty, check_visual_tokens
from vtbench_training.pretrain.tower_init import load_tower
from vtbench_training.pretrain.vision_stage import DenseLabelStream, VisionStage
from vtbench_training.small_models import check_name, small_model
from vtbench_training.small_models.base import SmallVLM
from vtbench_training.small_models.pretrained_decoder import DecoderLlava, build
from vtbench_training.small_models.tokenizer import family_files
from vtbench_training.training_loop import LogCallback, choose_precision, train


def pretrain(
    recipe: Recipe,
    directory: Path,
    device: torch.device,
    show: LogCallback,
    model: str = "llava",
    penalty: TokenPenalty | None = None,
) -> Path:
    """Run the recipe's stages and return the directory of the finished model.

    Args:
        recipe: what to train.
        directory: for checkpoints, logs and, in `directory/model`, the finished model. With the same recipe training
            resumes; a directory of another recipe is refused.
        device: where to train.
        show: called with each log line.
        model: the family, one of `vtbench_training.small_models.SMALL_MODELS`.
        penalty: on the redundancy of the visual tokens, in every stage.

    Raises:
        VtbenchError: no such model, or one whose visual tokens cannot be penalised; another recipe was trained here;
            the loss diverged.
    """
    check_name(model)
    sizes, vlm, about = recipe.sizes, *_untrained(recipe, model)
    if penalty is not None:
        check_visual_tokens(vlm, model)
    directory.mkdir(parents=True, exist_ok=True)
    _refuse_other_recipe(model, recipe, directory, penalty, about)
    torch.manual_seed(recipe.seed)
    packer = Packer(vlm.tokenizer, int(vlm.prefix_positions.max()) + 1, vlm.prompt_format)
    grounded = CaptionStage(vlm, packer, grounding=True).to(device)
    stages: dict[str, VisionStage | AnswerStage | CaptionStage] = {
        "tower": VisionStage(vlm).to(device),
        "decoder": AnswerStage(vlm, packer).to(device),
        "connector": CaptionStage(vlm, packer).to(device),
        "captions": CaptionStage(vlm, packer).to(device),
        "pointing": grounded,
        "directions": grounded,
    }
    if penalty is not None:
        for trained in stages.values():
            trained.penalty = penalty
    precision = choose_precision("auto", device)
    curriculum = Curriculum(question_templates(), RelationSettings(), SceneSettings())
    for number, stage in enumerate(recipe.stages, 1):
        if isinstance(stage, InitialTower):
            load_tower(vlm.model, stage.tower_of)
        if not isinstance(stage, Stage):
            continue
        scenes = SceneStream(stage.mix, recipe.seed + number)
        vlm.train_vision(stage.kind == "tower")
        if isinstance(vlm, DecoderLlava):
            vlm.train_decoder(stage.kind != "connector")
        # On a CPU the backward pass of eager attention takes 0.6 of the fused one's time.
        vlm.model.set_attn_implementation("eager" if device.type == "cpu" else "sdpa")

        def batches(first: int, stage: Stage = stage, scenes: SceneStream = scenes) -> Iterable[dict[str, Tensor]]:
            if stage.kind == "tower":
                return _loader(DenseLabelStream(scenes, stage.schedule, first, sizes.image_size, sizes.grid))
            texts = (
                partial(question_texts, curriculum, recipe, scenes.seed)
                if stage.kind == "decoder"
                else partial(caption_texts, packer, recipe.questions, stage.kind == "directions")
            )
            return _loader(PackedStream(scenes, packer, texts, stage.schedule, first, sizes.image_size))

        modules = stages[stage.kind]
        name = f"{number}-{stage.kind}"
        train(name, modules, modules, batches, stage.schedule, directory, device, show, precision=precision)
    finished = directory / "model"
    vlm.save(finished, torch.bfloat16)
    return finished


def _untrained(recipe: Recipe, model: str) -> tuple[SmallVLM, dict[str, str]]:
    """Return the model before its first stage, and what decides its weights beside the recipe."""
    if recipe.decoder is None:
        return small_model(model, recipe.sizes, recipe.seed), {}
    llava, processor, digest = build(recipe.decoder.decoder, recipe.sizes, recipe.seed)
    vlm = DecoderLlava(llava, processor, recipe.sizes, recipe.decoder.lora, recipe.seed)
    return vlm, {"decoder_sha256": digest}


def _loader(stream: IterableDataset) -> DataLoader:
    # One worker renders the scenes while the model trains; order and content do not depend on the number of workers.
    return DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=4)


def question_templates() -> dict[str, list[str]]:
    """Return every paraphrase of every kind of question of the built-in families."""
    templates: dict[str, list[str]] = {}
    for task in family_files():
        for kind, texts in task.questions.items():
            known = templates.setdefault(kind, [])
            known += [text for text in texts if text not in known]
    return templates


def _refuse_other_recipe(
    model: str, recipe: Recipe, directory: Path, penalty: TokenPenalty | None, about: Mapping[str, str]
) -> None:
    own = {} if penalty is None else {"penalty": asdict(penalty)}
    text = json.dumps({"model": model, **asdict(recipe), **own, **about}, sort_keys=True, indent=2)
    path = directory / "recipe.json"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise VtbenchError(
            f"{path}: another recipe was trained here. Choose another --output, or delete that directory."
        )
    path.write_text(text, encoding="utf-8")


def recipe_digest(recipe: Recipe) -> str:
    """Return the first 12 hexadecimal digits of the recipe's sha256."""
    return hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()[:12]
