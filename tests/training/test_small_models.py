"""The small models of every family: what they learn from is what their adapters ask at test time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vtbench
from vtbench.adapter import IGNORE_INDEX
from vtbench.cli import status
from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench.types import Sample
from vtbench_training.pretrain.curriculum import Mention, PromptAnswer
from vtbench_training.pretrain.packed_forward import packed_forward
from vtbench_training.pretrain.packing import Packer
from vtbench_training.pretrain.pipeline import pretrain
from vtbench_training.pretrain.recipe import Recipe, Stage
from vtbench_training.small_models import SMALL_MODELS, small_model
from vtbench_training.small_models.base import SmallVLM
from vtbench_training.small_models.sizes import SIZES, Sizes
from vtbench_training.training_loop import Schedule

TEXTS = [
    PromptAnswer(
        "Where is the red circle relative to the blue square?", "left", (Mention(23, 0.1, 0.2), Mention(51, 0.3, 0.4))
    ),
    PromptAnswer("What colour is the star?", "red", (Mention(23, 0.5, 0.6),)),
    PromptAnswer("Describe the scene.", "1 large red striped circle ; 2 small blue solid square | 1 left 2", ()),
]


def small(name: str) -> Sizes:
    """Sizes of the family's smallest model, on 56 pixels."""
    some = {"vision_hidden": 16, "vision_layers": 1, "vision_heads": 2, "layers": 2, "image_size": 56}
    return replace(SIZES[name], hidden=32, heads=2, kv_heads=2, intermediate=32, **some)


def packer_of(one: SmallVLM) -> Packer:
    return Packer(one.tokenizer, int(one.prefix_positions.max()) + 1, one.prompt_format)


def noise_images(count: int) -> list[Image.Image]:
    draws = np.random.default_rng(0)
    return [Image.fromarray(draws.integers(0, 256, (56, 56, 3), dtype=np.uint8)) for _ in range(count)]


def as_batch(images: list[Image.Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.asarray(image).transpose(2, 0, 1) for image in images]))


@pytest.fixture(scope="module", params=sorted(SMALL_MODELS))
def saved(request, tmp_path_factory):
    one = small_model(request.param, small(request.param), seed=3)
    seeing = tuple(f"{part}." for part in one.vision_modules)
    with torch.no_grad():  # initial weights are too small to tell one image from another
        for key, weight in one.model.named_parameters():
            if weight.ndim > 1 and not key.startswith(seeing):
                weight.mul_(6)
    directory: Path = tmp_path_factory.mktemp(request.param) / "model"
    one.save(directory, torch.float32)
    return request.param, one, Registry().named("model")[request.param].factory(pretrained=str(directory), device="cpu")


def samples_of(images: list[Image.Image]) -> list[Sample]:
    return [
        Sample(id=str(i), index=i, prompt=text.prompt, images=(image,), target=text.answer, choices=("left", "right"))
        for i, (text, image) in enumerate(zip(TEXTS, images, strict=True))
    ]


def test_what_is_learned_is_what_the_adapter_asks_token_for_token(saved) -> None:
    name, one, adapter = saved
    packer = packer_of(one)
    for text, sample in zip(TEXTS, samples_of(noise_images(3)), strict=True):
        with adapter.batch([sample]):
            asked = adapter.batch_inputs([sample])["input_ids"][0].tolist()
        encoded = packer.encode(text)
        assert [*one.prefix_ids, *encoded.ids[: encoded.answer_start]] == asked, name
        said = adapter.tokenizer.decode(encoded.ids[encoded.answer_start :], skip_special_tokens=True)
        assert said.strip() == text.answer
        ranked = adapter.choice_tokenizer(asked[-8:], text.answer)
        assert [*ranked, adapter.tokenizer.eos_token_id] == encoded.ids[encoded.answer_start :]


def test_packed_reading_is_what_the_model_says_of_each_question_alone(saved) -> None:
    """Images, places and masks as the adapter's processor and the model's own forward pass have them."""
    name, one, adapter = saved
    one.model.eval()
    one.model.set_attn_implementation("sdpa")
    images = noise_images(2)
    batch = {"images": as_batch(images), **packer_of(one).batch([TEXTS, TEXTS[:2]])}
    with torch.no_grad():
        read = one.logits(packed_forward(one, batch)[-1])
    for row, image in enumerate(images):
        for number, text in enumerate(TEXTS[: 3 - row]):
            sample = replace(samples_of(noise_images(3))[number], images=(image,))
            with adapter.batch([sample]):
                alone = adapter.model(**adapter.batch_inputs([sample])).logits[0, -1]
            mine = (batch["segments"][row] == number).nonzero()[:, 0]
            last = mine[packer_of(one).encode(text).answer_start - 1]
            torch.testing.assert_close(read[row, last], alone, atol=2e-4, rtol=1e-3, msg=f"{name}: {text.prompt}")


def test_what_is_said_depends_on_the_image(saved) -> None:
    """By more than the difference that `test_packed_reading...` lets pass, so that it sees a image gone wrong."""
    name, one, _ = saved
    one.model.eval()
    batch = {"images": as_batch(noise_images(2)), **packer_of(one).batch([TEXTS, TEXTS])}
    with torch.no_grad():
        read = one.logits(packed_forward(one, batch)[-1])
    said = (batch["targets"][0] != IGNORE_INDEX).nonzero()[:, 0]
    assert bool(((read[0, said] - read[1, said]).abs().amax(dim=-1) > 2e-3).all()), name


def test_answers_of_a_prefix_model_are_read_as_its_processor_lays_them_out_for_training() -> None:
    """The prompt both ways, the answer one way; other questions about the image change nothing."""
    one = small_model("paligemma", small("paligemma"), seed=3)
    one.model.eval()
    one.model.set_attn_implementation("sdpa")
    images, packer = noise_images(1), packer_of(one)
    batch = {"images": as_batch(images), **packer.batch([TEXTS])}
    with torch.no_grad():
        read = one.logits(packed_forward(one, batch)[-1])[0]
        for number, text in enumerate(TEXTS):
            alone = one.processor(
                images=[images], text=[f"<image>{text.prompt}"], suffix=[text.answer], return_tensors="pt"
            )
            alone.pop("labels")
            encoded = packer.encode(text)
            assert alone["input_ids"][0].tolist() == [*one.prefix_ids, *encoded.ids]
            mine = read[batch["segments"][0] == number]
            torch.testing.assert_close(
                mine, one.model(**alone).logits[0, len(one.prefix_ids) :], atol=2e-4, rtol=1e-3, msg=text.prompt
            )


def test_patches_lie_row_by_row(saved) -> None:
    """What changes in one patch of the image moves that patch's token most."""
    name, one, _ = saved
    grid = one.sizes.grid
    plain = torch.full((1, 3, 56, 56), 128, dtype=torch.uint8)
    with torch.no_grad():
        before = one.patch_features(one.pixel_inputs(plain))
        assert before.shape == (1, grid * grid, one.patch_width)
        for place in (1, 6, grid * grid - 2):
            changed, (row, column), side = plain.clone(), divmod(place, grid), one.sizes.patch_size
            changed[:, :, row * side : (row + 1) * side, column * side : (column + 1) * side] = 255
            moved = (one.patch_features(one.pixel_inputs(changed)) - before).norm(dim=-1)[0]
            assert int(moved.argmax()) == place, name


def test_targets_are_the_answers(saved) -> None:
    _, one, _ = saved
    batch = packer_of(one).batch([TEXTS])
    said = batch["targets"][0][batch["targets"][0] != IGNORE_INDEX].tolist()
    texts = one.tokenizer.decode(said, skip_special_tokens=False).replace("</s>", "|")
    assert [text.strip() for text in texts.split("|", 2)[:2]] == ["left", "red"]


def test_answering_leaves_alone_what_sees_and_teaches_the_rest(saved) -> None:
    name, one, _ = saved
    one.train_vision(False)
    batch = {"images": as_batch(noise_images(1)), **packer_of(one).batch([TEXTS])}
    one.model.zero_grad()
    one.logits(packed_forward(one, batch)[-1]).square().mean().backward()
    learned = {key for key, p in one.model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    seeing = {key for key in learned if any(key.startswith(f"{part}.") for part in one.vision_modules)}
    assert bool(seeing) == (name == "fuyu")
    assert len(learned) > 10
    one.train_vision(True)


def test_the_families_are_of_one_size() -> None:
    counts = {name: small_model(name, SIZES[name]).model.num_parameters() for name in SMALL_MODELS}
    assert max(counts.values()) <= 1.2 * min(counts.values()), counts


@pytest.mark.parametrize("name", sorted(SMALL_MODELS))
def test_a_short_training_ends_in_a_model_that_answers(name: str, tmp_path: Path) -> None:
    few = Schedule(steps=2, rate=1e-3, batch_size=2, warmup=1)
    stages = tuple(Stage(kind, few, {"coarse": 1, "relational": 1}) for kind in ("tower", "decoder"))
    recipe = Recipe(sizes=small(name), stages=stages, questions=3)
    lines: list[dict] = []
    finished = pretrain(recipe, tmp_path, torch.device("cpu"), lines.append, name)
    assert [line["stage"] for line in lines] == ["1-tower", "2-decoder"]
    result = vtbench.run(
        model=name,
        model_args={"pretrained": str(finished)},
        tasks=["coarse"],
        limit=2,
        output=str(tmp_path / "runs"),
        report=False,
    )
    assert result.exit_status == 0
    assert result.document["n-samples"]["coarse"]["effective"] == 2


@pytest.mark.parametrize("name", ["fuyu", "paligemma"])
def test_the_neutral_recipe_refuses_a_family_that_cannot_begin_it(name: str, tmp_path: Path, capsys) -> None:
    output = tmp_path / "x"
    assert status(["pretrain", "--recipe", "neutral", "--model", name, "--output", str(output)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("vtbench: ")
    assert error.count("\n") == 1
    assert name in error
    assert "LLaVA" in error
    assert not output.exists()


def test_an_unknown_family_says_which_there_are() -> None:
    with pytest.raises(VtbenchError, match="qwen2_vl"):
        small_model("qwen2vl", SIZES["llava"])
