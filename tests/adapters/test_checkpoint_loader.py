"""Loading checkpoints: a good one is served, a bad one is an error of one line with the fault and the file."""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil

import pytest
import tiny_models
import torch
import transformers as tf

from vtbench.errors import AdapterError
from vtbench_hf import hf
from vtbench_hf.checkpoint import config, loader, packages
from vtbench_hf.checkpoint.published import save_published
from vtbench_hf.probed_adapter import ProbedAdapter
from vtbench_llava import llava
from vtbench_llava.adapter import LlavaAdapter


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoints") / "whole"
    loaded = tiny_models.loaded("llava")
    save_published(loaded.model, loaded.processor, directory)
    return directory


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def refusal(factory, **arguments) -> str:
    with pytest.raises(AdapterError) as caught:
        factory(**{"device": "cpu", **arguments})
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("factory", [hf, llava])
def test_a_directory_is_served_as_the_model_in_memory(factory, whole):
    adapter = factory(pretrained=str(whole), device="cpu")
    assert type(adapter) is {hf: ProbedAdapter, llava: LlavaAdapter}[factory]
    samples = tiny_models.batch()
    expected = LlavaAdapter(tiny_models.loaded("llava"))
    assert adapter.generate(samples, 5) == expected.generate(samples, 5)
    described = adapter.describe()
    assert described["checkpoint"] == str(whole)
    assert described["fingerprint"] == hashlib.sha256((whole / "model.safetensors").read_bytes()).hexdigest()


def test_generation_settings_of_a_checkpoint_do_not_make_answers_less_than_greedy(copy):
    plain = hf(pretrained=str(copy), device="cpu").generate(tiny_models.batch(), 6)
    path = copy / "generation_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"do_sample": True, "temperature": 9.0, "repetition_penalty": 5.0}))
    adapter = hf(pretrained=str(copy), device="cpu")
    assert adapter.generate(tiny_models.batch(), 6) == plain
    assert adapter.model.generation_config.repetition_penalty is None


def test_dtype_and_chat_template_are_taken(whole, tmp_path):
    template = tmp_path / "template.jinja"
    template.write_text("<image>{{ messages[0].content[1].text }}!")
    adapter = hf(pretrained=str(whole), device="cpu", dtype="bf16", chat_template=str(template))
    assert adapter.describe()["dtype"] == "bfloat16"
    assert adapter.generate([tiny_models.sample(0, "is it red?")], 1)[0].tokens_in == 16 + len(
        adapter.tokenizer.encode("is it red?!", add_special_tokens=False)
    )


def test_auto_is_float32_on_a_cpu_and_half_on_a_gpu():
    assert loader.choose_dtype("auto", torch.device("cpu")) is torch.float32
    assert loader.choose_dtype("auto", torch.device("mps")) is torch.bfloat16


def test_remote_code_is_off_unless_asked_for():
    for factory in (hf, llava):
        assert inspect.signature(factory).parameters["trust_remote_code"].default is False


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"dtype": "flaot32"}, "dtype=flaot32 is unknown. Did you mean 'float32'"),
        ({"device": "gpu"}, "device=gpu cannot be used here"),
        ({"trust_remote_code": "perhaps"}, "trust_remote_code=true or trust_remote_code=false"),
        ({"chat_template": "no-such-file.jinja"}, "neither a Jinja template nor a file"),
    ],
)
def test_bad_arguments(whole, arguments, says):
    assert says in refusal(hf, pretrained=str(whole), **arguments)


def test_loading_leaves_the_allocators_settings_alone(whole, monkeypatch):
    monkeypatch.setattr("vtbench.engine.allocator._glibc_function", lambda name: pytest.fail(f"{name} was called"))
    assert hf(pretrained=str(whole), device="cpu").describe()["device"] == "cpu"


def test_hf_without_a_checkpoint():
    assert "pretrained=" in refusal(hf)


@pytest.mark.parametrize("name", ["./no/such/dir", "/no/such/dir", "a/b/c"])
def test_a_missing_directory_asks_no_network(name, monkeypatch):
    monkeypatch.setattr(config, "_hub_error", lambda: pytest.fail("the network was asked"))
    assert f"there is no directory {name!r}" in refusal(llava, pretrained=name)


def test_a_hub_that_cannot_be_reached_is_asked_once(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    asked, urlopen = [], config.urllib.request.urlopen

    def counted(request, **options):
        asked.append(request.full_url)
        return urlopen(request, **options)

    monkeypatch.setattr(config.urllib.request, "urlopen", counted)
    message = refusal(hf, pretrained="nobody/no-such-model")
    assert "cannot be reached" in message
    assert "127.0.0.1:9" in message
    assert len(asked) == 1


def test_a_text_model_is_named(tmp_path):
    tf.LlamaConfig(architectures=["LlamaForCausalLM"]).save_pretrained(tmp_path)
    message = refusal(hf, pretrained=str(tmp_path))
    assert "'llama' checkpoint (LlamaForCausalLM), not an image-text model" in message


def test_llava_sends_image_text_models_that_have_no_adapter_of_their_own_to_hf(tmp_path):
    tf.AriaConfig().save_pretrained(tmp_path)
    message = refusal(llava, pretrained=str(tmp_path))
    assert "says model_type aria, and --model llava takes llava: --model hf runs it" in message


def test_the_original_llava_format_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"]}')
    assert "original LLaVA format (llava_llama)" in refusal(llava, pretrained=str(tmp_path))


@pytest.mark.parametrize(("file", "says"), [("model.gguf", "GGUF"), ("adapter_config.json", "LoRA"), ("x.txt", "")])
def test_a_directory_that_is_no_checkpoint(tmp_path, file, says):
    (tmp_path / file).write_text("{}")
    message = refusal(hf, pretrained=str(tmp_path))
    assert "no config.json" in message
    assert says in message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "config.json: broken"),
        ("[]", "config.json: broken: not a JSON object"),
        ("1", "config.json: broken: not a JSON object"),
        ('{"model_type": "unheard_of"}', "its config cannot be used"),
        ('{"model_type": "llava", "image_token_index": "many"}', "its config cannot be used"),
    ],
)
def test_a_broken_config(copy, content, says):
    (copy / "config.json").write_text(content)
    assert says in refusal(hf, pretrained=str(copy))


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_a_corrupt_weights_file_is_named(copy, keep):
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert f"{path} is not a whole safetensors file" in refusal(llava, pretrained=str(copy))


def test_missing_weights(copy):
    (copy / "model.safetensors").unlink()
    assert "its weights cannot be loaded" in refusal(llava, pretrained=str(copy))


def test_a_missing_shard_is_named(copy):
    index = {"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "lacks model-00001-of-00002.safetensors" in refusal(llava, pretrained=str(copy))


def test_weights_of_another_shape_are_refused(copy):
    path = copy / "config.json"
    settings = json.loads(path.read_text())
    settings["text_config"]["num_hidden_layers"] = 3
    path.write_text(json.dumps(settings))
    assert "of the model's weights" in refusal(llava, pretrained=str(copy))
    settings["text_config"] |= {"num_hidden_layers": 2, "intermediate_size": 96}
    path.write_text(json.dumps(settings))
    message = refusal(llava, pretrained=str(copy))
    assert "not those of its config.json" in message
    assert "is (32, 64), not (32, 96)" in message


@pytest.mark.parametrize(
    "files",
    [
        ["tokenizer.json", "tokenizer_config.json"],
        ["preprocessor_config.json", "processor_config.json"],
        ["tokenizer.json"],
    ],
)
def test_a_missing_tokenizer_or_processor(copy, files):
    for file in files:
        (copy / file).unlink()
    message = refusal(llava, pretrained=str(copy))
    assert str(copy) in message
    assert "an image-text checkpoint needs tokenizer.json" in message


def test_a_processor_that_needs_torchvision_says_so(copy, monkeypatch):
    def absent(*args, **kwargs):
        raise ImportError("X requires the Torchvision library but it was not found in your environment.")

    found = packages.find_spec
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "torchvision" else found(name))
    monkeypatch.setattr(tf.AutoProcessor, "from_pretrained", absent)
    assert "its processor needs torchvision, built for your torch; install:" in refusal(hf, pretrained=str(copy))
