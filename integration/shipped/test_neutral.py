"""The neutral model that ships: it sees what its card says, answers no question, and has the embedded one's shape."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import vtbench
from vtbench.cli import status
from vtbench_llava import NEUTRAL, WEIGHTS
from vtbench_training.pretrain.caption_scores import CaptionScores, score_captions
from vtbench_training.pretrain.pipeline import recipe_digest
from vtbench_training.pretrain.recipe import RECIPES

CARD = (NEUTRAL / "README.md").read_text(encoding="utf-8")
CUES = re.findall(r"^\| (\w+) \| \d+ \| ([\d.]+) \| ([\d.]+) \|$", CARD, flags=re.MULTILINE)


def test_it_is_at_most_eight_megabytes() -> None:
    assert sum(path.stat().st_size for path in NEUTRAL.iterdir()) <= 8_000_000


def test_it_loads_like_the_embedded_one_and_has_its_tower() -> None:
    same = ("config.json", "tokenizer.json", "preprocessor_config.json", "processor_config.json", "chat_template.jinja")
    for name in same:
        assert (NEUTRAL / name).read_bytes() == (WEIGHTS / name).read_bytes(), name
    neutral, embedded = (load_file(path / "model.safetensors") for path in (NEUTRAL, WEIGHTS))
    assert {k: (v.shape, v.dtype) for k, v in neutral.items()} == {k: (v.shape, v.dtype) for k, v in embedded.items()}
    for name, weight in neutral.items():
        assert torch.equal(weight, embedded[name]) == name.startswith("vision_tower."), name


def test_its_card_names_the_recipe_that_made_it() -> None:
    assert f"recipe {recipe_digest(RECIPES['neutral'])}" in CARD


@pytest.fixture(scope="module")
def said() -> CaptionScores:
    return score_captions(NEUTRAL, 100, "cpu")


def test_its_card_has_every_cue(said: CaptionScores) -> None:
    assert [cue for cue, _, _ in CUES] == [*said.cues]


@pytest.mark.parametrize(("cue", "right", "grey"), CUES)
def test_it_describes_images_as_well_as_its_card_says(cue: str, right: str, grey: str, said: CaptionScores) -> None:
    score, share = said.cues[cue], float(right) / 100
    # The card speaks of 500 scenes, this is the first 100; at worst all words of a scene stand or fall together.
    spread = max(share * (1 - share), 0.01) / min(score.words, said.scenes)
    assert abs(score.accuracy - share) <= 3 * spread**0.5
    assert score.accuracy > score.grey_accuracy + 0.5 * (float(right) - float(grey)) / 100


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory):
    return vtbench.run(
        model="llava",
        model_args={"pretrained": "neutral"},
        tasks=["attribute", "relational"],
        metrics=["accuracy"],
        limit=60,
        output=str(tmp_path_factory.mktemp("runs")),
    )


# Not `coarse`: whoever describes a image of one object has named its shape.
@pytest.mark.parametrize("task", ["attribute", "relational"])
def test_it_answers_no_question(task: str, answers) -> None:
    assert answers.scores[task]["acc"].value <= 0.05


def test_the_run_says_which_model_it_was(answers) -> None:
    run = answers.path / "run.json"
    assert json.loads(run.read_text())["model"]["checkpoint"] == "neutral"


def test_other_names_are_still_looked_for_elsewhere(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    arguments = ["--model", "llava", "--model-args", "pretrained=neutrall", "--tasks", "coarse", "--limit", "1"]
    assert status(["run", *arguments, "--output", str(tmp_path)]) == 2
    assert "there is no directory 'neutrall'" in capsys.readouterr().err
