"""A redundancy penalty in pretraining: it is on the tokens that learn, and its guard compares two checkpoints."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from vtbench.cli import status
from vtbench.errors import AdapterError, VtbenchError
from vtbench_training import cli
from vtbench_training.finetune.base_model import base_directory
from vtbench_training.pretrain.answer_stage import AnswerStage
from vtbench_training.pretrain.caption_stage import CaptionStage
from vtbench_training.pretrain.curriculum import Mention, PromptAnswer
from vtbench_training.pretrain.options import PretrainOptions
from vtbench_training.pretrain.packing import Packer
from vtbench_training.pretrain.pipeline import pretrain
from vtbench_training.pretrain.recipe import Recipe, Stage
from vtbench_training.pretrain.token_penalty import TokenPenalty, check_visual_tokens, with_penalty
from vtbench_training.pretrain.vision_stage import LABEL_CLASSES, VisionStage
from vtbench_training.small_models import small_model
from vtbench_training.small_models.flamingo import Flamingo
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.training_loop import Schedule

SMALL = Sizes(
    vision_hidden=16, vision_layers=1, vision_heads=2, hidden=16, layers=2, heads=2, kv_heads=2, intermediate=16
)
RECIPE = Recipe(sizes=SMALL, stages=(Stage("tower", Schedule(steps=1, rate=1e-3, batch_size=2), {"coarse": 1}),))
CPU = torch.device("cpu")
IMAGES = torch.randint(0, 256, (2, 3, 112, 112), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
TEXTS = [PromptAnswer("Is the circle red?", "yes", (Mention(end=13, x=0.5, y=-0.5),), ())]
NOTHING = TokenPenalty("cosine", 0.0)


def stage_and_batch(kind: str) -> tuple[VisionStage | AnswerStage | CaptionStage, dict[str, torch.Tensor]]:
    vlm = small_model("llava", SMALL, seed=0)
    if kind == "tower":
        classes = torch.zeros(2, len(LABEL_CLASSES), SMALL.grid**2, dtype=torch.long)
        return VisionStage(vlm), {"images": IMAGES, "classes": classes, "centres": torch.zeros(2, 2, SMALL.grid**2)}
    packer = Packer(vlm.tokenizer, int(vlm.prefix_positions.max()) + 1, vlm.prompt_format)
    vlm.train_vision(False)
    stage = AnswerStage(vlm, packer) if kind == "decoder" else CaptionStage(vlm, packer, grounding=kind == "pointing")
    return stage, {"images": IMAGES, **packer.batch([TEXTS] * 2)}


@pytest.mark.parametrize("kind", ["tower", "decoder", "captions", "pointing"])
def test_a_step_lowers_the_redundancy_of_what_learns_in_a_stage(kind: str) -> None:
    left = {}
    for weight in (0.0, 100.0):
        torch.manual_seed(0)
        stage, batch = stage_and_batch(kind)
        stage.penalty = TokenPenalty("cosine", weight)
        optimizer = torch.optim.SGD([p for p in stage.parameters() if p.requires_grad], lr=1e-2)
        for _ in range(2):
            loss, _ = stage(batch)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(stage.parameters(), 1.0)
            optimizer.step()
        left[weight] = stage(batch)[1]["penalty"]
    assert left[100.0] < left[0.0]


@pytest.mark.parametrize("kind", ["tower", "decoder", "captions"])
def test_without_a_penalty_the_loss_is_what_it_was(kind: str) -> None:
    stage, batch = stage_and_batch(kind)
    with torch.no_grad():
        plain, logged = stage(batch)
        stage.penalty = NOTHING
        same, shown = stage(batch)
    assert float(same) == pytest.approx(float(plain), rel=1e-3)
    assert shown.keys() - logged.keys() == {"penalty", "floor"}


def test_another_penalty_is_another_recipe(tmp_path: Path) -> None:
    recorded = {"model": "llava", **asdict(RECIPE), "penalty": {"name": "cosine", "weight": 0.1}}
    (tmp_path / "recipe.json").write_text(json.dumps(recorded, sort_keys=True, indent=2))
    for penalty in (None, TokenPenalty("cosine", 0.2)):
        with pytest.raises(VtbenchError, match="another recipe"):
            pretrain(RECIPE, tmp_path, CPU, lambda line: None, penalty=penalty)


def test_tokens_that_are_read_by_cross_attention_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VtbenchError, match="flamingo reads the image by cross-attention"):
        check_visual_tokens(object.__new__(Flamingo), "flamingo")


def test_loss_and_log() -> None:
    same = torch.ones(2, 3, 4)
    loss, logged = with_penalty(TokenPenalty("cosine", 0.5), torch.tensor(1.0), {"a": 1.0}, same)
    assert float(loss) == pytest.approx(1 + 0.5 * (1 + 1))  # equal tokens, which ignore the image
    assert logged == pytest.approx({"a": 1.0, "penalty": 1.0, "floor": 1.0})


@pytest.mark.parametrize(
    ("given", "base"),
    [({}, {}), ({"recipe": "neutral"}, {"pretrained": "neutral"}), ({"penalty_base": "D"}, {"pretrained": "D"})],
)
def test_the_guard_compares_with_the_same_recipe(given: dict, base: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def check(arguments, trained, model, families, penalty, directory, device):
        seen.update(arguments=arguments, families=families, penalty=penalty)
        side = {"information": 1.0, "rs": 0.5, "accuracy": {}}
        return {"base": side, "trained": side, "penalty": penalty, "accepted": True, "reasons": []}

    monkeypatch.setattr("vtbench_training.finetune.penalty_check.check_checkpoints", check)
    options = PretrainOptions(output="x", penalty=("cosine", 0.1), **given)
    assert cli._pretraining_guard(options, Path("x/model"), "cpu")[-1] == "penalty  cosine:0.1 accepted"
    assert seen["arguments"] == base
    assert seen["families"] == ["coarse", "attribute", "relational", "scene_graph"]


def test_a_shorter_recipe_needs_a_checkpoint_to_compare_with() -> None:
    options = PretrainOptions(output="x", penalty=("cosine", 0.1), scale=0.1)
    assert "--penalty-base" in cli._pretraining_guard(options, Path("x/model"), "cpu")[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--redundancy-penalty", "cosine"], "write name:weight"),
        (["--redundancy-penalty", "nope:1"], "--redundancy-penalty"),
        (["--penalty-base", "DIR"], "there is no penalty to check"),
    ],
)
def test_bad_arguments_are_one_line(arguments: list[str], says: str, tmp_path: Path, capsys) -> None:
    assert status(["pretrain", "--output", str(tmp_path / "x"), *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_the_base_of_the_guard_is_looked_for_before_training(tmp_path: Path) -> None:
    assert base_directory("embedded") is base_directory("neutral") is None
    assert base_directory(str(tmp_path)) == tmp_path
    with pytest.raises(AdapterError, match="there is no directory"):
        base_directory(str(tmp_path / "nowhere"))
