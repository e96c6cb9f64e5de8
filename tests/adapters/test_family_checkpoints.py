"""Every family's checkpoint as the hub has it: written so, loaded by plain transformers and by the adapter, the same.

The names below are those of published checkpoints, of the first layer where there are many: they are what engines that
know no transformers look for.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import plain
import pytest
import tiny_models
from safetensors import safe_open
from transformers import AutoModelForImageTextToText

from vtbench.registry import Registry
from vtbench_hf.checkpoint.model_types import adapter_for
from vtbench_hf.checkpoint.published import save_published

LANGUAGE = {
    "language_model.model.embed_tokens.weight",
    "language_model.model.layers.0.self_attn.q_proj.weight",
    "language_model.model.layers.0.mlp.gate_proj.weight",
    "language_model.model.norm.weight",
}
TOWER = {
    "vision_tower.vision_model.embeddings.patch_embedding.weight",
    "vision_tower.vision_model.embeddings.position_embedding.weight",
    "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight",
    "vision_tower.vision_model.encoder.layers.0.layer_norm1.weight",
    "vision_tower.vision_model.post_layernorm.weight",
}
CLIP = {"vision_tower.vision_model.embeddings.class_embedding", "vision_tower.vision_model.pre_layrnorm.weight"}
MLP = {"multi_modal_projector.linear_1.weight", "multi_modal_projector.linear_2.bias"}
SHUFFLED = {
    "model.vision_model.embeddings.patch_embedding.weight",
    "model.vision_model.encoder.layers.0.self_attn.q_proj.weight",
    "model.vision_model.post_layernorm.weight",
    "model.connector.modality_projection.proj.weight",
    "model.text_model.embed_tokens.weight",
    "model.text_model.layers.0.self_attn.q_proj.weight",
    "model.text_model.norm.weight",
    "lm_head.weight",
}
BLIP2 = {
    "query_tokens",
    "qformer.layernorm.weight",
    "qformer.encoder.layer.0.attention.attention.query.weight",
    "qformer.encoder.layer.0.crossattention.attention.key.weight",
    "qformer.encoder.layer.0.intermediate_query.dense.weight",
    "language_projection.weight",
    "vision_model.embeddings.class_embedding",
    "vision_model.embeddings.position_embedding",
    "vision_model.encoder.layers.0.self_attn.qkv.weight",
    "vision_model.encoder.layers.0.self_attn.projection.weight",
    "vision_model.post_layernorm.weight",
}
NAMES = {
    "llava": LANGUAGE | TOWER | CLIP | MLP,
    "llava_next": LANGUAGE | TOWER | CLIP | MLP | {"image_newline", "language_model.lm_head.weight"},
    "llava_onevision": LANGUAGE | TOWER | MLP | {"image_newline"},
    "paligemma": LANGUAGE | TOWER | {"multi_modal_projector.linear.weight", "multi_modal_projector.linear.bias"},
    "internvl": LANGUAGE
    | MLP
    | {
        "multi_modal_projector.layer_norm.weight",
        "vision_tower.embeddings.cls_token",
        "vision_tower.embeddings.position_embeddings",
        "vision_tower.embeddings.patch_embeddings.projection.weight",
        "vision_tower.encoder.layer.0.attention.q_proj.weight",
        "vision_tower.encoder.layer.0.attention.projection_layer.weight",
        "vision_tower.encoder.layer.0.lambda_1",
        "vision_tower.encoder.layer.0.layernorm_before.weight",
    },
    "idefics3": SHUFFLED,
    "smolvlm": SHUFFLED,
    "qwen2_vl": {
        "visual.patch_embed.proj.weight",
        "visual.blocks.0.norm1.weight",
        "visual.blocks.0.attn.qkv.weight",
        "visual.blocks.0.attn.proj.weight",
        "visual.blocks.0.mlp.fc1.weight",
        "visual.merger.ln_q.weight",
        "visual.merger.mlp.0.weight",
        "visual.merger.mlp.2.weight",
        "model.embed_tokens.weight",
        "model.layers.0.self_attn.q_proj.bias",
        "model.norm.weight",
        "lm_head.weight",
    },
    "blip-2": BLIP2
    | {
        "language_model.model.decoder.embed_tokens.weight",
        "language_model.model.decoder.embed_positions.weight",
        "language_model.model.decoder.layers.0.self_attn.q_proj.weight",
        "language_model.model.decoder.final_layer_norm.weight",
    },
    "blip-2, t5": BLIP2
    | {
        "language_model.shared.weight",
        "language_model.encoder.block.0.layer.0.SelfAttention.q.weight",
        "language_model.decoder.block.0.layer.1.EncDecAttention.k.weight",
    },
    "mllama": {
        "language_model.model.embed_tokens.weight",
        "language_model.model.layers.0.self_attn.q_proj.weight",
        "language_model.model.layers.1.cross_attn.q_norm.weight",
        "language_model.model.layers.1.cross_attn_attn_gate",
        "language_model.model.norm.weight",
        "language_model.lm_head.weight",
        "multi_modal_projector.weight",
        "vision_model.class_embedding",
        "vision_model.patch_embedding.weight",
        "vision_model.gated_positional_embedding.tile_embedding.weight",
        "vision_model.pre_tile_positional_embedding.embedding.weight",
        "vision_model.transformer.layers.0.self_attn.q_proj.weight",
        "vision_model.global_transformer.layers.0.gate_attn",
    },
    "fuyu": {
        "vision_embed_tokens.weight",
        "language_model.model.embed_tokens.weight",
        "language_model.model.layers.0.self_attn.query_key_value.weight",
        "language_model.model.layers.0.self_attn.q_layernorm.weight",
        "language_model.model.layers.0.mlp.dense_h_to_4h.weight",
        "language_model.model.final_layernorm.weight",
        "language_model.lm_head.weight",
    },
    "idefics": {
        "model.embed_tokens.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "model.gated_cross_attn_layers.0.alpha_cross_attn",
        "model.gated_cross_attn_layers.0.cross_attn.q_proj.weight",
        "model.perceiver_resampler.latents",
        "model.perceiver_resampler.blocks.0.0.context_layer_norm.weight",
        "model.vision_model.embeddings.class_embedding",
        "model.vision_model.encoder.layers.0.self_attn.q_proj.weight",
        "model.norm.weight",
        "lm_head.weight",
    },
}


def written(directory) -> set[str]:
    with safe_open(directory / "model.safetensors", framework="pt") as file:
        return set(file.keys())


@pytest.fixture(scope="module", params=NAMES)
def published(request, tmp_path_factory):
    """Give a family's name, a random model with its processor, and where both are written as published."""
    loaded = tiny_models.loaded(request.param)
    directory = tmp_path_factory.mktemp("published") / "checkpoint"
    save_published(loaded.model, loaded.processor, directory)
    return request.param, loaded, directory


def test_the_names_are_those_of_published_checkpoints(published):
    name, _, directory = published
    names = written(directory)
    assert NAMES[name] <= names, sorted(NAMES[name] - names)
    roots = {known.partition(".")[0] for known in NAMES[name]}
    assert {known.partition(".")[0] for known in names} == roots


def test_plain_transformers_loads_it_and_says_the_same(published):
    name, loaded, directory = published
    again, report = AutoModelForImageTextToText.from_pretrained(directory, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    inputs = plain.processed(name, tiny_models.FAMILIES[name]()[1], tiny_models.batch()[:1])
    answer = [40, 41, 42]
    assert plain.likelihood(again.eval(), inputs, answer) == plain.likelihood(loaded.model, inputs, answer)


def adapter_of(directory) -> Any:
    kind = json.loads((directory / "config.json").read_text())["model_type"]
    given = {"pretrained": str(directory), "use_fast": False}  # with Pillow, as the processors of `tiny_models`
    return Registry().adapter(adapter_for(kind), given, device="cpu", dtype="float32")


def test_the_adapter_loads_it_with_its_processor_and_says_the_same(published):
    name, loaded, directory = published
    adapter = adapter_of(directory)
    side = adapter.image_size or 56
    (sample,) = (replace(one, choices=("yes", "no")) for one in tiny_models.batch((side, side))[:1])
    inputs = plain.processed(name, tiny_models.FAMILIES[name]()[1], [sample])
    tail = inputs["input_ids"][0][inputs["attention_mask"][0].bool()].tolist()
    ids = [adapter.choice_tokenizer(tail[-8:], choice) for choice in sample.choices]
    expected = [plain.likelihood(loaded.model, inputs, row) for row in ids]
    assert adapter.rank([sample])[0].logprobs == pytest.approx(expected, abs=1e-4)


def test_what_an_adapter_loaded_is_written_and_loaded_again(published, tmp_path):
    """A model and a processor as an adapter holds them, changed for its use, are a checkpoint as well."""
    _, _, directory = published
    adapter = adapter_of(directory)
    save_published(adapter.model, adapter.processor, tmp_path / "again")
    again = adapter_of(tmp_path / "again")
    assert written(tmp_path / "again") == written(directory)
    side = adapter.image_size or 56
    samples = tiny_models.batch((side, side))
    assert again.rank(samples) == adapter.rank(samples)
