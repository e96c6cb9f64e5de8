"""Device maps, quantised loading and LoRA directories: what a model answers, what run.json says, what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import tiny_models
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from vtbench.errors import AdapterError, install_command
from vtbench.registry import Registry
from vtbench.runs.provenance import model_identity
from vtbench_hf.checkpoint import packages
from vtbench_hf.devices import input_device
from vtbench_training.small_models import random_model

SPLITS = {
    "llava": {"model.vision_tower": "disk", "model.multi_modal_projector": "cpu", "model.language_model": "cpu"},
    "qwen2_vl": {"model.visual": "cpu", "model.language_model.embed_tokens": "disk"}
    | {f"model.language_model.{name}": "cpu" for name in ("layers.0", "norm", "rotary_emb")}
    | {"model.language_model.layers.1": "disk"},
    "paligemma": {"model.vision_tower": "disk", "model.multi_modal_projector": "cpu", "model.language_model": "cpu"},
    "mllama": {"model.vision_model": "cpu", "model.multi_modal_projector": "disk", "model.language_model": "cpu"},
}
"""By model type: some of its modules on the disk, from which they are read when they are called."""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoints")
    return {kind: tiny_models.save(kind, directory / kind) for kind in SPLITS}


@pytest.fixture
def copy(checkpoints, tmp_path):
    return shutil.copytree(checkpoints["llava"], tmp_path / "copy")


def load(checkpoint, kind="llava", **arguments):
    return Registry().adapter(tiny_models.ADAPTERS.get(kind, "hf"), {"pretrained": str(checkpoint), **arguments})


def refusal(checkpoint, **arguments) -> str:
    with pytest.raises(AdapterError) as caught:
        load(checkpoint, **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def answers(adapter):
    samples = tiny_models.batch()
    tokens = [taken.tokens for taken in adapter.visual_tokens(samples, adapter.layers)]
    return adapter.generate(samples, 5), [output.logprobs for output in adapter.rank(samples)], tokens


@pytest.mark.parametrize("kind", SPLITS)
def test_a_model_on_two_devices_answers_as_on_one(kind, checkpoints):
    whole = load(checkpoints[kind], kind)
    split = load(checkpoints[kind], kind, device_map={**SPLITS[kind], "lm_head": "cpu"})
    outputs, ranks, tokens = answers(split)
    expected_outputs, expected_ranks, expected_tokens = answers(whole)
    assert [output.text for output in outputs] == [output.text for output in expected_outputs]
    assert ranks == expected_ranks
    assert all(torch.equal(*pair) for pair in zip(tokens, expected_tokens, strict=True))
    assert any(weight.is_meta for weight in split.model.parameters())
    described = split.describe()
    assert described["device"] == "cpu"
    assert described["placement"] == {**SPLITS[kind], "lm_head": "cpu"}
    assert model_identity(described) == model_identity(whole.describe())


def test_inputs_go_where_the_embeddings_compute(checkpoints):
    split = load(checkpoints["qwen2_vl"], "qwen2_vl", device_map={**SPLITS["qwen2_vl"], "lm_head": "cpu"})
    assert split.model.get_input_embeddings().weight.is_meta
    assert input_device(split.model) == torch.device("cpu")
    assert split.batch_inputs(tiny_models.batch())["input_ids"].device == torch.device("cpu")


def test_auto_fills_the_memory_that_it_may_use_and_leaves_the_rest_on_the_disk(checkpoints):
    whole = load(checkpoints["qwen2_vl"], "qwen2_vl")
    split = load(checkpoints["qwen2_vl"], "qwen2_vl", device_map="auto", max_memory={"cpu": "500KB"})
    assert set(split.describe()["placement"].values()) == {"cpu", "disk"}
    assert answers(split)[:2] == answers(whole)[:2]
    assert "placement" not in load(checkpoints["qwen2_vl"], "qwen2_vl", device_map="auto").describe()


def test_a_module_whose_weights_are_read_around_it_says_so(tmp_path):
    checkpoint = tiny_models.save("idefics3", tmp_path / "idefics3")
    places = {"model.vision_model": "disk", "model.connector": "cpu", "model.text_model": "cpu", "lm_head": "cpu"}
    split = load(checkpoint, "idefics3", device_map=places)
    with pytest.raises(AdapterError, match=r"device_map leaves on the disk.*give this part a device"):
        split.generate(tiny_models.batch(), 5)


WHOLE = {"model": "cpu", "lm_head": "cpu"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"device_map": "atuo"}, "device_map=atuo is none of auto, balanced"),
        ({"device_map": {"model.vision_towr": "cpu"}}, "no module 'model.vision_towr'. Did you mean 'model.vision_tow"),
        ({"device_map": {"model": "cpu"}}, "device_map: lm_head.weight is in none of its modules"),
        ({"device_map": {"": "disk"}}, "something must compute"),
        ({"device_map": {"model": True, "lm_head": "cpu"}}, "device_map: model: True is no device"),
        ({"device_map": {"model": 7, "lm_head": "cpu"}}, "device_map: model: device=cuda:7 cannot be used here"),
        ({"device_map": {"model": "gpu", "lm_head": "cpu"}}, "device_map: model: device=gpu cannot be used here"),
        ({"device_map": ["cpu"]}, "device_map: must be"),
        ({"device_map": WHOLE, "device": "cpu"}, "device=cpu and device_map both say"),
        ({"device_map": WHOLE, "max_memory": {"cpu": "1GB"}}, "max_memory is for device_map=auto"),
        ({"max_memory": {"cpu": "1GB"}}, "max_memory is for a device map"),
        ({"offload_folder": "x"}, "offload_folder is for a device map"),
        ({"device_map": "auto", "max_memory": {"cpu": "much"}}, "max_memory: cpu: 'much' is no size"),
        ({"device_map": "auto", "max_memory": {0: "1GB"}}, "device=cuda:0 cannot be used here"),
        ({"device_map": "auto", "max_memory": {"cpu": 1}}, "leaves all of it on the disk; allow more in max_memory"),
        ({"quantization": "4bits"}, "quantization=4bits is unknown: write 8bit or 4bit. Did you mean '4bit'"),
        ({"quantization": 4}, "quantization=4 is unknown"),
        ({"peft": "nowhere"}, "peft=nowhere is no LoRA directory"),
        ({"use_fast": "perhaps"}, "use_fast=true or use_fast=false"),
        ({"min_pixels": 0}, "min_pixels=0 is no number of pixels"),
        ({"min_pixels": "few"}, "min_pixels: must be a valid integer"),
        ({"min_pixels": 9, "max_pixels": 3}, "min_pixels=9 is above max_pixels=3"),
        ({"size": 56, "max_pixels": 3}, "size and min_pixels or max_pixels say the same"),
        ({"max_pixels": 3136}, "takes no max_pixels; it has size"),
        ({"size": {"length": 3}}, "refuses {'size': {'length': 3}}"),
    ],
)
def test_wrong_and_contradicting_arguments_are_one_line(checkpoints, arguments, says):
    defaults = {"use_fast": False} if {"max_pixels", "size"} & arguments.keys() else {}
    assert says in refusal(checkpoints["llava"], **{**defaults, **arguments})


@pytest.mark.parametrize(
    ("arguments", "lacking", "says"),
    [
        ({"device_map": "auto"}, {"accelerate"}, f"device_map needs accelerate: {install_command('large')}"),
        (
            {"quantization": "8bit"},
            {"bitsandbytes"},
            f"8bit needs bitsandbytes: {install_command('large')}",
        ),
        ({"quantization": "4bit"}, {"bitsandbytes", "accelerate"}, "needs bitsandbytes and accelerate: pip install"),
        ({"peft": "lora"}, {"peft"}, f"peft needs peft: {install_command('large')}"),
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(checkpoints, monkeypatch, arguments, lacking, says):
    found = packages.find_spec
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name in lacking else found(name))
    assert says in refusal(checkpoints["llava"], **arguments)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A checkpoint whose layers are as wide as the scales of 4-bit weights ask for."""
    widths = {"vision_hidden": 128, "hidden": 128, "intermediate": 256}
    model, processor = random_model("llava", replace(tiny_models.WHOLE, **widths), seed=2)
    directory = tmp_path_factory.mktemp("wide")
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    return directory


@pytest.mark.parametrize(("bits", "close"), [("8bit", 0.01), ("4bit", 0.5)])
def test_quantised_models_answer_close_to_the_whole_one(wide, bits, close):
    pytest.importorskip("bitsandbytes")
    whole, small = load(wide), load(wide, quantization=bits)
    weight = small.model.model.language_model.layers[0].self_attn.q_proj.weight
    assert weight.dtype == (torch.int8 if bits == "8bit" else torch.uint8)
    ranks, expected = answers(small)[1], answers(whole)[1]
    differences = [
        abs(a - b) for row, other in zip(ranks, expected, strict=True) for a, b in zip(row, other, strict=True)
    ]
    assert 0 < max(differences) < close
    described = small.describe()
    assert described["loading"]["quantization"] == bits
    assert model_identity(described) != model_identity(whole.describe())
    assert described["parameters"] == whole.describe()["parameters"]


def test_a_checkpoint_that_is_stored_quantised_is_not_quantised_again(copy):
    pytest.importorskip("bitsandbytes")
    path = copy / "config.json"
    stored = {"quant_method": "awq", "bits": 4}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": stored}))
    assert "is stored quantised (awq); leave quantization=8bit out" in refusal(copy, quantization="8bit")


def write_lora(model, directory, rank=4, name=None):
    """Write a LoRA whose updates are not nothing, as peft writes it, and return the wrapped model."""
    settings = LoraConfig(r=rank, lora_alpha=8, target_modules=["q_proj", "v_proj", "linear_1"])
    wrapped = get_peft_model(model, settings)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for key, weight in wrapped.named_parameters():
            if "lora_" in key:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    wrapped.peft_config["default"].base_model_name_or_path = name
    wrapped.save_pretrained(directory)
    return wrapped


@pytest.fixture
def lora(checkpoints, tmp_path):
    write_lora(load(checkpoints["llava"]).model, tmp_path / "lora")
    return tmp_path / "lora"


def test_a_lora_answers_as_peft_runs_it(checkpoints, lora):
    base = load(checkpoints["llava"])
    plain = answers(base)
    adapted = load(checkpoints["llava"], peft=str(lora))
    outputs, ranks, _ = answers(adapted)
    PeftModel.from_pretrained(base.model, lora)  # puts its layers into the model
    base.forget()
    expected_outputs, expected_ranks, _ = answers(base)
    assert [output.text for output in outputs] == [output.text for output in expected_outputs]
    assert ranks == [pytest.approx(row, abs=1e-4) for row in expected_ranks]
    assert ranks != [pytest.approx(row, abs=1e-2) for row in plain[1]]
    assert type(adapted.model.model.language_model.layers[0].self_attn.q_proj) is torch.nn.Linear
    assert adapted.describe()["parameters"] == load(checkpoints["llava"]).describe()["parameters"]


def test_a_lora_over_a_quantised_base_is_not_merged(checkpoints, lora):
    pytest.importorskip("bitsandbytes")
    base = load(checkpoints["llava"], quantization="8bit")
    adapted = load(checkpoints["llava"], quantization="8bit", peft=str(lora))
    layer = adapted.model.model.language_model.layers[0].self_attn.q_proj
    assert layer.base_layer.weight.dtype == torch.int8
    merged = load(checkpoints["llava"], peft=str(lora))
    ranks, of_base, of_merged = (answers(model)[1][1] for model in (adapted, base, merged))
    assert ranks == pytest.approx(of_merged, abs=0.2)
    assert ranks != pytest.approx(of_base, abs=0.2)


def test_the_updates_are_part_of_the_models_identity(checkpoints, lora):
    described = [load(checkpoints["llava"], peft=str(lora)).describe()]
    assert described[0]["loading"]["peft"]["directory"] == str(lora)
    path = lora / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"lora_alpha": 16}))
    described.append(load(checkpoints["llava"], peft=str(lora)).describe())
    write_lora(load(checkpoints["llava"]).model, lora, rank=2)
    described.append(load(checkpoints["llava"], peft=str(lora)).describe())
    assert len({json.dumps(model_identity(one), sort_keys=True) for one in described}) == 3


def test_a_lora_of_another_base_is_refused(checkpoints, tmp_path, copy):
    wide = tiny_models.loaded("llava")
    config = wide.model.config
    config.text_config.hidden_size = 64
    config.text_config.head_dim = 32
    other = type(wide.model)(config)
    write_lora(other, tmp_path / "wide")
    assert "was trained on another base than" in refusal(checkpoints["llava"], peft=str(tmp_path / "wide"))
    write_lora(load(checkpoints["qwen2_vl"], "qwen2_vl").model, tmp_path / "qwen")
    assert "was trained on another base than" in refusal(checkpoints["llava"], peft=str(tmp_path / "qwen"))


def test_a_lora_that_says_which_weights_it_was_trained_on(checkpoints, lora):
    (lora / "vtbench_base.json").write_text('{"checkpoint": "mine", "fingerprint": "0"}')
    assert "was trained on other weights than those of" in refusal(checkpoints["llava"], peft=str(lora))
    fingerprint = load(checkpoints["llava"]).describe()["fingerprint"]
    (lora / "vtbench_base.json").write_text(json.dumps({"checkpoint": "mine", "fingerprint": fingerprint}))
    assert load(checkpoints["llava"], peft=str(lora)).generate(tiny_models.batch(), 1)


def test_a_directory_that_is_no_lora(checkpoints, lora):
    path = lora / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"peft_type": "IA3"}))
    assert "peft_type is IA3, and LORA is what can be loaded" in refusal(checkpoints["llava"], peft=str(lora))
    path.write_text("{")
    assert "adapter_config.json: broken" in refusal(checkpoints["llava"], peft=str(lora))
