"""The small LLaVA made from transformers' classes: its weights, its chat template and its tokenizer."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from tokenizers import Tokenizer, models

from vtbench_training.small_models.llava import build_llava, build_processor
from vtbench_training.small_models.sizes import Sizes

PROMPT = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "is it red?"}]}]


def test_the_same_seed_builds_the_same_model_and_leaves_the_random_state_alone():
    sizes = {"hidden": 32, "heads": 2, "kv_heads": 2, "layers": 1, "intermediate": 32}
    vision = {"vision_hidden": 32, "vision_heads": 2, "vision_layers": 1, "image_size": 28}
    state = torch.get_rng_state()
    one, other, third = (build_llava(Sizes(**sizes, **vision), vocab_size=64, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    weights, same, different = ([p.detach() for p in m.parameters()] for m in (one, other, third))
    assert all(map(torch.equal, weights, same))
    assert not all(map(torch.equal, weights, different))


def test_chat_template_is_llava_1_5():
    processor = tiny_models.loaded("llava").processor
    answer = {"role": "assistant", "content": [{"type": "text", "text": "yes"}]}
    again = {"role": "user", "content": [{"type": "text", "text": "and blue?"}]}
    prompt = processor.apply_chat_template(PROMPT, add_generation_prompt=True)
    assert prompt == "<s>USER: <image>\nis it red? ASSISTANT:"
    turns = processor.apply_chat_template([*PROMPT, answer, again], add_generation_prompt=True)
    assert turns == prompt + " yes</s>USER: and blue? ASSISTANT:"
    assert processor.apply_chat_template([{"role": "user", "content": "hi"}]) == "<s>USER: hi "


def test_a_tokenizer_without_the_placeholder_is_refused():
    with pytest.raises(ValueError, match="<pad>"):
        build_processor(Tokenizer(models.BPE()), 28, 7)
