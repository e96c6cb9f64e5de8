"""Loading a causal language model: what is wrong with a checkpoint is one line."""

from __future__ import annotations

import json
import shutil

import pytest
import transformers

from vtbench.errors import AdapterError
from vtbench_language import loader
from vtbench_language.loader import Source, find_source


def refusal(make, pretrained, **arguments):
    with pytest.raises(AdapterError) as caught:
        make("captioned", pretrained, **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def copy(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "copy")


def test_a_gguf_file_is_found_by_its_name_or_alone_in_its_directory(tmp_path):
    file = tmp_path / "model-q4.GGUF"
    file.touch()
    assert find_source("captioned", str(file), None) == Source(str(tmp_path), "model-q4.GGUF")
    file.rename(tmp_path / "a.gguf")
    expected = Source(str(tmp_path), "a.gguf")
    assert find_source("captioned", str(tmp_path), None) == expected
    (tmp_path / "b.gguf").touch()
    assert find_source("captioned", str(tmp_path), "a.gguf") == expected
    with pytest.raises(AdapterError, match=r"several GGUF files: choose one with gguf_file=NAME, of a\.gguf, b\.gguf"):
        find_source("captioned", str(tmp_path), None)
    with pytest.raises(AdapterError, match=r"has no file 'c\.gguf'; its GGUF files are a\.gguf, b\.gguf"):
        find_source("captioned", str(tmp_path), "c.gguf")
    with pytest.raises(AdapterError, match="names one GGUF file, and gguf_file= another"):
        find_source("captioned", str(tmp_path / "a.gguf"), "b.gguf")
    (tmp_path / "config.json").write_text("{}")
    assert find_source("captioned", str(tmp_path), None) == Source(str(tmp_path))


def test_other_names_are_of_the_hub():
    assert find_source("captioned", "org/model", "q4.gguf") == Source("org/model", "q4.gguf")


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_a_package_that_reads_gguf_files_is_missing(package, make, tmp_path, monkeypatch):
    (tmp_path / "model.gguf").touch()
    found = loader.find_spec
    monkeypatch.setattr(loader, "find_spec", lambda name: None if name == package else found("json"))
    said = refusal(make, tmp_path / "model.gguf")
    assert said.startswith(f"model 'captioned': a GGUF file is read with the package {package!r}; install it with: pip")


def test_without_a_checkpoint(make):
    from vtbench_language import captioned

    with pytest.raises(AdapterError, match="needs a causal language model: --model-args pretrained="):
        captioned(device="cpu")


def test_bad_checkpoints(make, copy, tmp_path):
    assert "there is no file" in refusal(make, tmp_path / "none.gguf")
    assert "has no config.json" in refusal(make, tmp_path)
    assert "has no file 'x.gguf'; it has no GGUF file" in refusal(make, copy, gguf_file="x.gguf")
    assert "dtype=int3 is unknown" in refusal(make, copy, dtype="int3")
    (copy / "config.json").write_text("[]")
    assert "config.json" in refusal(make, copy)


def test_an_image_text_model_is_no_causal_language_model(make, copy):
    config = transformers.LlavaConfig().to_dict() | {"architectures": ["LlavaForConditionalGeneration"]}
    (copy / "config.json").write_text(json.dumps(config, default=str))
    said = refusal(make, copy)
    assert "is a 'llava' checkpoint (LlavaForConditionalGeneration), not a causal language model" in said


def test_weights_that_are_missing_or_cut(make, copy):
    weights = copy / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[: len(data) // 2])
    assert "is not a whole safetensors file" in refusal(make, copy)
    weights.unlink()
    assert "its weights cannot be loaded" in refusal(make, copy)


def test_weights_of_another_shape(make, copy):
    path = copy / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 48}))
    assert "its weights are not those of its config.json" in refusal(make, copy)


def test_a_tokenizer_that_is_missing(make, copy):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (copy / name).unlink(missing_ok=True)
    assert "its tokenizer cannot be loaded" in refusal(make, copy)


def test_a_chat_template_of_ones_own(make, copy, samples):
    adapter = make("question_only", copy, chat_template="{{ messages[0]['content'] }} ->")
    assert adapter.generate(samples[:1], 1)[0].rendered_prompt == f"{samples[0].prompt} ->"
    assert "neither a Jinja template nor a file" in refusal(make, copy, chat_template="none.jinja")


def test_generation_settings_of_a_checkpoint_do_not_make_answers_less_than_greedy(make, copy, tiny, samples):
    path = copy / "generation_config.json"
    settings = json.loads(path.read_text()) | {"do_sample": True, "temperature": 9.0, "repetition_penalty": 5.0}
    path.write_text(json.dumps(settings))
    assert make("captioned", copy).generate(samples, 5) == make("captioned", tiny).generate(samples, 5)
