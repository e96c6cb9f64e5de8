"""Checkpoints written in the published layout: plain transformers and other engines read them."""

from __future__ import annotations

import json

import pytest
import tiny_models
import torch
from safetensors import safe_open
from transformers import AutoImageProcessor, AutoProcessor, LlavaForConditionalGeneration

from vtbench_hf.checkpoint.published import save_published

PROMPT = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "is it red?"}]}]


@pytest.fixture(scope="module")
def parts():
    loaded = tiny_models.loaded("llava")
    return loaded.model, loaded.processor


def _logits(model, processor):
    text = processor.apply_chat_template(PROMPT, add_generation_prompt=True)
    inputs = processor(
        images=[tiny_models.sample(3, "").images[0]], text=[text], return_tensors="pt", add_special_tokens=False
    )
    with torch.no_grad():
        return model(**inputs).logits


def _keys(directory):
    keys = {}
    for shard in directory.glob("*.safetensors"):
        with safe_open(shard, framework="pt") as file:
            keys |= {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    return keys


def test_round_trip_through_plain_transformers(parts, tmp_path):
    model, processor = parts
    save_published(model, processor, tmp_path / "checkpoint")
    again = LlavaForConditionalGeneration.from_pretrained(tmp_path / "checkpoint").eval()
    processor_again = AutoProcessor.from_pretrained(tmp_path / "checkpoint")
    # with Pillow, as the processor that was written: torchvision rounds differently
    processor_again.image_processor = AutoImageProcessor.from_pretrained(tmp_path / "checkpoint", backend="pil")
    assert torch.equal(_logits(again, processor_again), _logits(model, processor))
    assert again.generation_config.eos_token_id == model.generation_config.eos_token_id


def test_names_are_those_of_published_checkpoints(parts, tmp_path):
    save_published(*parts, tmp_path / "checkpoint")
    names = set(_keys(tmp_path / "checkpoint"))
    assert {name.partition(".")[0] for name in names} == {"language_model", "multi_modal_projector", "vision_tower"}
    assert "vision_tower.vision_model.embeddings.patch_embedding.weight" in names
    assert "language_model.model.embed_tokens.weight" in names
    assert all(".vision_model." in name for name in names if name.startswith("vision_tower"))
    assert (tmp_path / "checkpoint" / "preprocessor_config.json").exists()


def test_dtype_is_cast_in_the_file_only(parts, tmp_path):
    model, processor = parts
    save_published(model, processor, tmp_path / "half", torch.bfloat16)
    assert set(_keys(tmp_path / "half").values()) == {torch.bfloat16}
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == "bfloat16"
    assert model.dtype == torch.float32


def test_an_older_checkpoint_is_replaced_whole_and_its_card_kept(parts, tmp_path):
    directory = tmp_path / "weights"
    directory.mkdir()
    (directory / "README.md").write_text("the card")
    (directory / "model-00001-of-00002.safetensors").write_bytes(b"stale")
    save_published(*parts, directory)
    assert (directory / "README.md").read_text() == "the card"
    assert [path.name for path in directory.glob("*.safetensors")] == ["model.safetensors"]
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_a_failed_write_leaves_the_old_checkpoint(parts, tmp_path, monkeypatch):
    model, processor = parts
    directory = tmp_path / "weights"
    save_published(model, processor, directory)
    before = {path.name: path.read_bytes() for path in directory.iterdir()}

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vtbench_hf.checkpoint.published.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_published(model, processor, directory, torch.bfloat16)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_sharded_weights_keep_their_index(parts, tmp_path, monkeypatch):
    model, processor = parts
    plain = type(model).save_pretrained
    monkeypatch.setattr(
        type(model), "save_pretrained", lambda self, where, **kw: plain(self, where, max_shard_size="100KB", **kw)
    )
    save_published(model, processor, tmp_path / "shards")
    index = json.loads((tmp_path / "shards" / "model.safetensors.index.json").read_text())["weight_map"]
    assert set(index) == set(_keys(tmp_path / "shards"))
    assert len(set(index.values())) > 1
    again = LlavaForConditionalGeneration.from_pretrained(tmp_path / "shards").eval()
    assert torch.equal(_logits(again, processor), _logits(model, processor))
