"""Checkpoints and images that a family refuses: the error is one line with the reason and the right adapter or size."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys

import pytest
import tiny_models
import transformers as tf

from vtbench.errors import AdapterError, SampleError, VtbenchError
from vtbench.registry import Registry
from vtbench.types import Sample
from vtbench_families import FAMILIES
from vtbench_hf.checkpoint.model_types import adapter_for

CONFIGS = {
    "idefics": tf.IdeficsConfig,
    "idefics3": tf.Idefics3Config,
    "smolvlm": tf.SmolVLMConfig,
    "llava": tf.LlavaConfig,
    "qwen2_vl": tf.Qwen2VLConfig,
    "aria": tf.AriaConfig,
}


@pytest.fixture(scope="module")
def registry():
    return Registry()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Give a function that returns the directory of a checkpoint of `tiny_models`, written once."""
    written = {}

    def of(name: str):
        if name not in written:
            written[name] = tiny_models.save(name, tmp_path_factory.mktemp("saved") / "tiny")
        return written[name]

    return of


def refusal(error: type[VtbenchError], call, *args, **kwargs) -> str:
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


SERVED_BY = {found: {"idefics": "flamingo", "smolvlm": "idefics3", "aria": "hf"}.get(found, found) for found in CONFIGS}


@pytest.mark.parametrize(
    ("adapter", "found"),
    [(adapter, found) for adapter in [*FAMILIES, "llava"] for found in CONFIGS if adapter != SERVED_BY[found]],
)
def test_the_error_for_another_familys_checkpoint_names_the_right_adapter(registry, adapter, found, tmp_path):
    CONFIGS[found]().save_pretrained(tmp_path)
    fits = SERVED_BY[found]
    message = refusal(AdapterError, registry.adapter, adapter, {"pretrained": str(tmp_path)}, device="cpu")
    assert f"{tmp_path}/config.json says model_type {found}, and --model {adapter} takes" in message
    assert message.endswith(f": --model {fits} runs it")


@pytest.mark.parametrize(("config", "fits"), [(tf.FuyuConfig, "fuyu"), (tf.IdeficsConfig, "flamingo")])
def test_hf_refuses_checkpoints_whose_processors_it_would_call_wrongly(registry, config, fits, tmp_path):
    """Fuyu's processor writes the image's tokens itself; Idefics' wants images and text in one list."""
    config().save_pretrained(tmp_path)
    message = refusal(AdapterError, registry.adapter, "hf", {"pretrained": str(tmp_path)}, device="cpu")
    assert f"{tmp_path}/config.json says model_type {config.model_type}, and --model hf leaves it to another" in message
    assert message.endswith(f": --model {fits} runs it")


def test_every_model_type_has_one_adapter(registry):
    served = [kind for named in registry.named("model").values() for kind in getattr(named.factory, "model_types", ())]
    assert len(served) == len(set(served))
    assert {kind: adapter_for(kind) for kind in ("llava", "blip-2", "fuyu", "mllama", "unheard_of")} == {
        "llava": "llava",
        "blip-2": "qformer",
        "fuyu": "fuyu",
        "mllama": "mllama",
        "unheard_of": "hf",
    }


@pytest.mark.parametrize("adapter", FAMILIES)
def test_each_needs_a_checkpoint_and_runs_none_of_its_code(registry, adapter, monkeypatch):
    monkeypatch.setattr("vtbench_hf.checkpoint.files.ZOO", "no_such_zoo")
    assert f"--model {adapter} needs a checkpoint" in refusal(AdapterError, registry.adapter, adapter, {}, device="cpu")
    if FAMILIES[adapter].small:
        assert "[zoo]' brings a small one" in refusal(AdapterError, registry.adapter, adapter, {}, device="cpu")
    named = registry.named("model")[adapter]
    assert "trust_remote_code" not in inspect.signature(named.factory).parameters
    assert named.summary == FAMILIES[adapter].summary


def test_the_original_internvl_format_is_named(registry, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "internvl_chat", "architectures": ["InternVLChatModel"]}')
    message = refusal(AdapterError, registry.adapter, "internvl", {"pretrained": str(tmp_path)}, device="cpu")
    assert "original InternVL format (internvl_chat)" in message
    assert "-hf" in message


@pytest.mark.parametrize(
    ("name", "side", "says"),
    [
        ("idefics", 56, "sees 28 pixels and no other size"),
        ("blip-2", 27, "sees 28 pixels and no other size"),
        ("paligemma", 30, "sees 28 pixels and no other size"),
        ("mllama", 30, "multiples of its tiles' 28 pixels"),
        ("idefics3", 30, "multiples of its tiles' 28 pixels"),
        ("internvl", 30, "multiples of its tiles' 28 pixels"),
        ("llava_next", 30, "multiples of its tiles' 28 pixels"),
        ("qwen2_vl", 30, "multiples of 28 from 28 to 112"),
        ("qwen2_vl", 140, "multiples of 28 from 28 to 112"),
        ("fuyu", 113, "sides up to 112"),
        ("fuyu", 0, "not a side in pixels"),
        ("fuyu", "large", "not a side in pixels"),
    ],
)
def test_a_size_that_would_be_resized_is_refused(saved, adapter_of, name, side, says):
    message = refusal(AdapterError, adapter_of, name, saved(name), image_size=side)
    assert f"image_size={side}" in message
    assert says in message


@pytest.mark.parametrize(("name", "side", "tokens"), [("qwen2_vl", 84, 9), ("fuyu", 42, 9), ("idefics3", 56, 20)])
def test_a_size_that_it_takes_decides_how_many_tokens_there_are(saved, adapter_of, name, side, tokens):
    adapter = adapter_of(name, saved(name), image_size=side)
    assert adapter.image_size == side
    image = tiny_models.sample(0, "where?", size=(side, side))
    assert adapter.visual_tokens([image], ["connector"])[0].tokens.shape[1] == tokens


def test_qwen_prefers_a_size_only_where_there_is_but_one(saved, adapter_of, tmp_path):
    directory = tiny_models.save("qwen2_vl", tmp_path / "one")
    assert adapter_of("qwen2_vl", directory).image_size is None
    edit(directory / "processor_config.json", lambda c: c["image_processor"]["size"].update(shortest_edge=112**2))
    assert adapter_of("qwen2_vl", directory).image_size == 112


def edit(path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("paligemma", {"size": {"height": 56, "width": 56}}, "image size 56, its config.json 28"),
        ("blip-2", {"size": {"height": 56, "width": 56}}, "image size 56, its config.json 28"),
        ("idefics", {"image_size": 56}, "image size 56, its config.json 28"),
        ("idefics3", {"max_image_size": {"longest_edge": 56}}, "tile size 56, its config.json 28"),
        ("internvl", {"size": {"height": 56, "width": 56}}, "tile size 56, its config.json 28"),
        ("mllama", {"max_image_tiles": 4}, "max_image_tiles 4, its config.json 2"),
        ("qwen2_vl", {"merge_size": 1}, "merge size 1, its config.json 2"),
        ("fuyu", {"patch_size": {"height": 7, "width": 7}}, "patch size 7, its config.json 14"),
        ("llava_next", {"image_grid_pinpoints": [[56, 56]]}, "resolutions [[56, 56]], its config.json [[28, 56]"),
    ],
)
def test_a_processor_of_other_sizes_than_the_models_is_refused(adapter_of, tmp_path, name, change, says):
    directory = tiny_models.save(name, tmp_path / "mixed")
    edit(directory / "processor_config.json", lambda content: content["image_processor"].update(change))
    message = refusal(AdapterError, adapter_of, name, directory)
    assert says in message
    assert "do not belong together" in message


@pytest.mark.parametrize("name", ["blip-2", "fuyu"])
def test_two_images_are_refused_by_those_that_take_one(saved, adapter_of, name):
    one = tiny_models.sample(0, "where?")
    two = Sample("2", 2, one.images * 2, "where?", "")
    message = refusal(SampleError, adapter_of(name, saved(name)).generate, [two], 3)
    assert "takes exactly one image per question" in message


@pytest.mark.parametrize(
    "name", ["idefics", "idefics3", "internvl", "llava_onevision", "mllama", "paligemma", "qwen2_vl"]
)
def test_two_images_are_read_by_the_others(saved, adapter_of, name):
    adapter = adapter_of(name, saved(name))
    one, other = tiny_models.sample(0, "where?", ("left", "right")), tiny_models.sample(1, "where?")
    both = Sample("2", 2, one.images + other.images, one.prompt, "", one.choices)
    assert adapter.rank([both])[0].logprobs != pytest.approx(adapter.rank([one])[0].logprobs, abs=1e-4)
    first, second = (adapter.visual_tokens([sample], ["connector"])[0] for sample in (one, both))
    assert second.boxes is None
    assert second.tokens.shape[1] != first.tokens.shape[1]
    with pytest.raises(SampleError, match="unequal numbers"):
        adapter.visual_tokens([one, both], ["connector"])


def test_an_image_that_the_processor_refuses_is_the_samples_error(saved, adapter_of):
    thin = tiny_models.sample(0, "where?", size=(900, 3))
    message = refusal(SampleError, adapter_of("qwen2_vl", saved("qwen2_vl")).generate, [thin], 3)
    assert re.search(r"the processor refuses an image or prompt: .*aspect ratio", message)


def test_listing_them_imports_no_backend():
    code = (
        "import sys; from vtbench.registry import Registry; Registry().named('model'); import vtbench_families;"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
