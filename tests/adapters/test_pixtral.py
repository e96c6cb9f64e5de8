"""Pixtral: a checkpoint of the model type of LLaVA, whose tower takes images of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import probed
import pytest
import torch
from tiny_checkpoints.recipe import Part, Recipe, Token, build
from tiny_checkpoints.sizes import chat, pixtral, text

from vtbench.registry import Registry

PATCH = {"height": 14, "width": 14}
RECIPE = Recipe(
    config={
        "vision_config": pixtral(),
        "text_config": text("mistral"),
        "image_token_index": Token("[IMG]"),
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
    },
    processor="PixtralProcessor",
    parts={
        "image_processor": Part("PixtralImageProcessor", {"size": {"longest_edge": 112}, "patch_size": PATCH}),
        "patch_size": 14,
    },
    chat=chat("[IMG]", "[INST]", "[/INST]", "", "{{ bos_token }}"),
    tokens=("[IMG]", "[IMG_BREAK]", "[IMG_END]", "[INST]", "[/INST]"),
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pixtral") / "tiny"
    model, processor = build("llava", RECIPE)
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path


@pytest.mark.parametrize("name", ["llava", "hf"])
def test_images_of_two_sizes(directory, name):
    made = Registry().adapter(name, {"pretrained": str(directory)}, "cpu", "float32")
    asked = probed.samples(made, ((112, 112), (112, 56)))
    inputs = made.model_inputs(asked)
    with torch.no_grad():
        rows = made.model.generate(**inputs, max_new_tokens=5, do_sample=False)[:, -5:]
    expected = [made.tokenizer.decode(row, skip_special_tokens=True).strip() for row in rows]
    assert [output.text.strip() for output in made.generate(asked, 5)] == expected
    (visual,) = made.visual_tokens(asked, ["connector"])
    assert [len(row) for row in visual.tokens] == [64, 32]
    alone = [made.rank([sample])[0].logprobs for sample in asked]
    np.testing.assert_allclose(probed.logprobs(made.rank(asked)), alone, atol=5e-6)
