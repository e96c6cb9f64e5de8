"""Visual tokens of each family are the outputs of the model's modules, and boxes are where they are in the image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import plain
import pytest
import tiny_models
import torch
from PIL import Image

from vtbench.types import Sample, VisualTokens

LANGUAGE = {"blip-2": "language_model", "idefics3": "model.text_model", "smolvlm": "model.text_model"}
"""Where the language model is, if not at `model.language_model`."""
BLOCKS = {"blip-2": "language_model.model.decoder.layers", "blip-2, t5": "language_model.encoder.block"}
"""Where its layers are, if not at its `layers`."""
CONNECTORS = {
    "blip-2": "qformer",
    "idefics": "model.perceiver_resampler",
    "idefics3": "model.connector",
    "qwen2_vl": "model.visual.merger",
    "smolvlm": "model.connector",
}
"""The module that is given the tower's tokens, if not `model.multi_modal_projector`."""
WITHOUT_BOXES = {"blip-2", "idefics"}
SIZES = [(56, 56), (112, 56), (28, 84)]


@contextmanager
def calls_of(module: Any) -> Iterator[list[tuple[tuple[Any, ...], dict[str, Any], Any]]]:
    """Give the arguments and the result of each call of a module."""
    seen: list[tuple[tuple[Any, ...], dict[str, Any], Any]] = []
    hook = module.register_forward_hook(lambda _, args, kwargs, out: seen.append((args, kwargs, out)), with_kwargs=True)
    yield seen
    hook.remove()


def run(family: Any, sample: Sample) -> dict[str, torch.Tensor]:
    """Run plain transformers over the prompt once; return its inputs."""
    inputs = plain.processed(family.name, family.processor, [sample])
    plain.likelihood(family.model, inputs, [5])
    return inputs


def kind(family: Any) -> str:
    return family.name.partition(",")[0]


def at_places(family: Any, inputs: dict[str, torch.Tensor], states_BPD: torch.Tensor) -> torch.Tensor:
    """Return the states of a prompt at its placeholders, those for the marks that end rows left out."""
    place_P = torch.nn.functional.pad(inputs["input_ids"][0] == family.model.config.image_token_id, (0, 1))
    return states_BPD[0][place_P[: states_BPD.shape[1]]]


def is_patch(family: Any, embeds_ND: torch.Tensor) -> torch.Tensor:
    mark = getattr(family.model.model, "image_newline", None) if hasattr(family.model, "model") else None
    return torch.ones(len(embeds_ND), dtype=torch.bool) if mark is None else (embeds_ND != mark).any(-1)


def see(adapter: Any, sample: Sample, layer: str) -> VisualTokens:
    return adapter.visual_tokens([sample], [layer])[0]


def test_connector_and_decoder_tokens_are_those_that_the_language_model_reads(family):
    sample = tiny_models.sample(0, "where is it?")
    if kind(family) == "idefics":
        with calls_of(family.model.model.gated_cross_attn_layers[0]) as calls:
            run(family, sample)
        torch.testing.assert_close(see(family.adapter, sample, "connector").tokens, calls[0][0][2])
        return
    language = family.model.get_submodule(LANGUAGE.get(kind(family), "model.language_model"))
    if kind(family) == "mllama":
        with calls_of(language) as calls:
            inputs = run(family, sample)
        states = calls[0][1]["cross_attention_states"]
        tiles = inputs["aspect_ratio_mask"][0, 0].bool()
        assert not tiles.all(), "an image that fills all tiles shows nothing of those that are left out"
        expected = states[tiles] if states.shape[0] == len(tiles) else states.unflatten(1, (len(tiles), -1))[:, tiles]
        torch.testing.assert_close(see(family.adapter, sample, "connector").tokens, expected.flatten(0, 1)[None])
        return
    blocks = BLOCKS.get(family.name)
    first = family.model.get_submodule(blocks)[0] if blocks else language.layers[0]
    with calls_of(language) as calls, calls_of(first) as layers:
        inputs = run(family, sample)
    embeds = at_places(family, inputs, calls[0][1]["inputs_embeds"])
    patches = is_patch(family, embeds)
    assert patches.all() != (kind(family) in {"llava_next", "llava_onevision"})
    torch.testing.assert_close(see(family.adapter, sample, "connector").tokens[0], embeds[patches])
    out = layers[0][2]
    middle = at_places(family, inputs, out[0] if isinstance(out, tuple) else out)[patches]
    for name in ("decoder_25", "decoder_50"):  # of two layers both are the first
        torch.testing.assert_close(see(family.adapter, sample, name).tokens[0], middle, atol=1e-4, rtol=1e-3)
    last = getattr(calls[0][2], "last_hidden_state", None)
    if last is not None:
        expected = at_places(family, inputs, last)[patches]
        found = see(family.adapter, sample, "decoder_100").tokens[0]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_encoder_tokens_are_those_that_the_connector_is_given(family):
    if "encoder" not in family.adapter.layers:
        assert family.name == "fuyu", "only Fuyu has no tower"
        return
    sample = tiny_models.sample(0, "where is it?")
    found = see(family.adapter, sample, "encoder").tokens
    if kind(family) == "internvl":
        with calls_of(family.model.model.vision_tower) as calls:
            run(family, sample)
        expected = calls[0][2].last_hidden_state[:, 1:]
    else:
        connector = family.model.get_submodule(CONNECTORS.get(kind(family), "model.multi_modal_projector"))
        with calls_of(connector) as calls:
            inputs = run(family, sample)
        args, kwargs, _ = calls[0]
        expected = kwargs["encoder_hidden_states"] if kind(family) == "blip-2" else args[0]
        if kind(family) == "mllama":
            expected = expected[inputs["aspect_ratio_mask"].bool()]
    torch.testing.assert_close(found, expected.reshape(1, -1, found.shape[-1]))


@pytest.fixture(scope="module", params=sorted({*tiny_models.FAMILIES} - {"llava", "blip-2", "blip-2, t5", "gemma3"}))
def quiet(request, tmp_path_factory, adapter_of):
    """Give an adapter whose weights are small, as a new model's: a token stays near the patch that it was made of."""
    directory = tiny_models.save(request.param, tmp_path_factory.mktemp("quiet") / "tiny", loud=False)
    return adapter_of(request.param, directory)


def placed(adapter: Any) -> list[str]:
    """Return the layers before the decoder that have boxes."""
    image = tiny_models.sample(0, "where?")
    return [n for n in ("connector", "encoder") if n in adapter.layers and see(adapter, image, n).boxes is not None]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_boxes_cover_the_image(family, size):
    sample = tiny_models.sample(0, "where?", size=size)
    for layer in family.adapter.layers:
        visual = see(family.adapter, sample, layer)
        if visual.boxes is None:
            queries = kind(family) in WITHOUT_BOXES and layer != "encoder"
            padded = kind(family) == "mllama" or (kind(family).startswith("llava_") and layer == "encoder")
            assert queries or (padded and size != (56, 56)), layer
            continue
        assert visual.boxes.shape == (visual.tokens.shape[1], 4)
        left, top, right, bottom = visual.boxes.T[..., None, None]
        x, y = np.meshgrid((np.arange(96) + 0.5) / 96, (np.arange(96) + 0.5) / 96)
        covering = ((left <= x) & (x < right) & (top <= y) & (y < bottom)).sum(0)
        assert covering.min() >= 1, f"{layer}: a part of the image is no token's"
        assert 0 <= visual.boxes.min() < visual.boxes.max() <= 1


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("spot", [(0.1, 0.1), (0.8, 0.2), (0.3, 0.7), (0.9, 0.9)], ids=str)
def test_boxes_follow_what_is_moved_about_the_image(quiet, size, spot):
    """A white spot on the noise changes the tokens whose boxes lie there more than any whose boxes lie elsewhere."""
    before = tiny_models.sample(0, "where?", size=size)
    width, height = size
    box = np.array([spot[0] * width - 4, spot[1] * height - 4, spot[0] * width + 4, spot[1] * height + 4]).round()
    left, top, right, bottom = box.clip(0, [width, height] * 2).astype(int).tolist()
    pixels = np.array(before.images[0])
    pixels[top:bottom, left:right] = 255
    after = Sample("1", 1, (Image.fromarray(pixels),), "where?", "")
    for layer in placed(quiet):
        visual, moved = see(quiet, before, layer), see(quiet, after, layer).tokens
        if visual.boxes is None:
            continue  # an image of this size leaves tokens without a place
        change = (moved - visual.tokens)[0].norm(dim=-1).numpy()
        boxes = visual.boxes * np.array([width, height] * 2)
        area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        shared = np.minimum(boxes[:, 2:], [right, bottom]) - np.maximum(boxes[:, :2], [left, top])
        inside = np.prod(shared.clip(0), axis=1) / area
        most = int(change.argmax())
        assert inside[most] > 0, f"{layer}: the token that changed most, {boxes[most]}, is not at {left, top}"
        apart = change[(shared < -4).any(1)]
        assert len(apart) == 0 or change[inside > 0.5].min(initial=np.inf) > apart.max(), layer
