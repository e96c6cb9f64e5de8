"""The `llava` adapter: its short cuts give exactly what the long way gives."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_models
import torch
from PIL import Image

from vtbench.adapter import Adapter
from vtbench.errors import AdapterError
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_hf.token_boxes import patch_boxes
from vtbench_llava.adapter import LlavaAdapter
from vtbench_llava.pixel_table import PixelTable

LAYERS = ("connector", "encoder", "decoder_25", "decoder_50", "decoder_75", "decoder_100")


@pytest.fixture(scope="module")
def adapter() -> LlavaAdapter:
    return LlavaAdapter(tiny_models.loaded("llava"))


@pytest.fixture(scope="module")
def long_way() -> MergedAdapter:
    return MergedAdapter(tiny_models.loaded("llava"))


def test_meets_the_protocol(adapter):
    assert isinstance(adapter, Adapter)
    assert adapter.capabilities == {"generate", "rank", "visual_tokens", "budget", "train", "context", "images"}
    assert adapter.layers == LAYERS
    assert adapter.image_size == 56


@pytest.mark.parametrize("size", [(56, 56), (40, 40), (90, 56), (56, 200)])
def test_inputs_are_the_processors(adapter, long_way, size):
    samples = tiny_models.batch(size)
    short, long = adapter.model_inputs(samples), long_way.model_inputs(samples)
    assert set(short) == set(long)
    for name, value in long.items():
        assert torch.equal(short[name], value), name


def test_the_pixel_table_is_used_for_images_of_the_models_size_only(adapter, monkeypatch):
    processor = type(adapter.processor)
    monkeypatch.setattr(processor, "__call__", lambda *a, **k: pytest.fail("the processor was called"))
    adapter.model_inputs(tiny_models.batch((56, 56)))
    with pytest.raises(pytest.fail.Exception, match="was called"):
        adapter.model_inputs(tiny_models.batch((57, 56)))


def test_a_processor_that_does_more_than_look_up_values_has_no_table(adapter):
    class Blur:
        def __call__(self, images, return_tensors):
            values = np.asarray(images[0], np.float32).transpose(2, 0, 1)
            return {"pixel_values": (values + np.roll(values, 1, 2))[None]}

    assert PixelTable.of(adapter.processor.image_processor, 56) is not None
    assert PixelTable.of(Blur(), 56) is None
    assert PixelTable.of(adapter.processor.image_processor, 28) is None, "the processor resizes these"


def test_images_are_not_changed(adapter):
    samples = tiny_models.batch()
    before = [sample.images[0].tobytes() for sample in samples]
    adapter.generate(samples, 3)
    adapter.rank(samples)
    adapter.visual_tokens(samples, LAYERS)
    assert [sample.images[0].tobytes() for sample in samples] == before


def test_the_vision_tower_and_the_prompt_run_once_a_batch(adapter):
    lengths: dict[str, list[int]] = {"tower": [], "decoder": []}
    parts = {"tower": adapter.model.model.vision_tower, "decoder": adapter.model.model.language_model}
    hooks = [
        part.register_forward_hook(lambda _, args, out, name=name: lengths[name].append(out.last_hidden_state.shape[1]))
        for name, part in parts.items()
    ]
    for samples in (tiny_models.batch(), tiny_models.batch()):  # equal batches of other images are other batches
        adapter.generate(samples, 3)
        adapter.rank(samples)
        adapter.visual_tokens(samples, ["connector", "encoder"])
    for hook in hooks:
        hook.remove()
    assert len(lengths["tower"]) == 2
    assert sum(length > 20 for length in lengths["decoder"]) == 2, "a prompt is longer than 20 tokens, all else shorter"


def test_layers(adapter):
    samples = tiny_models.batch()
    found = {visual.layer: visual for visual in adapter.visual_tokens(samples, LAYERS)}
    pixels = adapter.model_inputs(samples)["pixel_values"]
    with torch.no_grad():
        tower = adapter.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1][:, 1:]
        connected = adapter.model.model.multi_modal_projector(tower)
    torch.testing.assert_close(found["encoder"].tokens, tower)
    torch.testing.assert_close(found["connector"].tokens, connected)
    assert tuple(found) == LAYERS
    for name in LAYERS[2:]:
        assert found[name].tokens.shape == connected.shape


def test_decoder_states_do_not_depend_on_the_batch(adapter):
    samples = tiny_models.batch()
    together = adapter.visual_tokens(samples, ["decoder_50"])[0].tokens
    alone = torch.cat([adapter.visual_tokens([sample], ["decoder_50"])[0].tokens for sample in samples])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_boxes_say_which_part_of_the_image_a_token_sees(adapter):
    """A patch of the image is whitened; the token whose box it is changes most before the tower mixes them."""
    black = Image.new("RGB", (56, 56))
    (visual,) = adapter.visual_tokens([tiny_models.sample(0, "where?")], ["connector"])
    assert visual.boxes.shape == (16, 4)
    embed = adapter.model.model.vision_tower.embeddings.patch_embedding
    for index in (0, 3, 6, 15):
        left, top, right, bottom = (int(edge) for edge in visual.boxes[index] * 56)
        marked = black.copy()
        marked.paste((255, 255, 255), (left, top, right, bottom))
        pixels = torch.from_numpy(adapter._pixels([black, marked]))
        with torch.no_grad():
            patches = embed(pixels).flatten(2)
        changed = (patches[0] - patches[1]).abs().sum(0).nonzero().flatten().tolist()
        assert changed == [index]


@pytest.mark.parametrize(("size", "corner"), [((100, 50), (0.25, 0.0)), ((50, 200), (0.0, 0.375))])
def test_boxes_of_an_image_whose_centre_is_cut_out(adapter, size, corner):
    boxes = patch_boxes(adapter.processor.image_processor, size, 56, 14)
    assert tuple(boxes[0, :2]) == corner
    assert tuple(boxes[-1, 2:]) == (1 - corner[0], 1 - corner[1])


def test_images_of_several_sizes_have_boxes_of_their_own(adapter):
    samples = [tiny_models.sample(0, "where?"), tiny_models.sample(1, "where?", size=(90, 56))]
    (visual,) = adapter.visual_tokens(samples, ["connector"])
    boxes = [visual.boxes_of(row) for row in range(2)]
    assert not np.array_equal(*boxes)
    for sample, found in zip(samples, boxes, strict=True):
        np.testing.assert_array_equal(found, adapter.visual_tokens([sample], ["connector"])[0].boxes)


def test_an_unknown_layer_is_named(adapter):
    with pytest.raises(AdapterError, match=r"'conector'.*connector"):
        adapter.visual_tokens(tiny_models.batch(), ["conector"])


def test_describe_is_json(adapter):
    described = json.loads(json.dumps(adapter.describe()))
    assert described["parameters"] == adapter.model.num_parameters()
    assert (described["device"], described["dtype"]) == ("cpu", "float32")
    assert set(described["versions"]) >= {"torch", "transformers"}


def test_choices_follow_the_prompt_after_a_space(adapter):
    ids = adapter.tokenizer.encode("ASSISTANT:", add_special_tokens=False)
    yes = adapter.choice_tokenizer(ids, "yes")
    assert adapter.tokenizer.decode(yes) == " yes"
    assert adapter.tokenizer.encode("ASSISTANT: yes", add_special_tokens=False) == ids + yes
    newline = adapter.tokenizer.encode("ASSISTANT:\n", add_special_tokens=False)
    assert adapter.tokenizer.decode(adapter.choice_tokenizer(newline, "yes")) == "yes"
    assert adapter.tokenizer.decode(adapter.choice_tokenizer([1], "yes")) == "yes"
