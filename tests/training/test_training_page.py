"""The figures of docs/training.md about training at size are those of its formulas and of a 7B model's config."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from vtbench_training.finetune.trainable import with_lora

PAGE = (Path(__file__).parents[2] / "docs/training.md").read_text(encoding="utf-8")
GB, ITEMS, TOKENS, PATCHES, RANK = 1e9, 32, 1000, 4, 16
TEXT = {
    "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
    "num_key_value_heads": 4, "vocab_size": 152064, "tie_word_embeddings": False,
}  # fmt: skip
VISION = {"depth": 32, "embed_dim": 1280, "hidden_size": 3584, "num_heads": 16, "mlp_ratio": 4, "patch_size": 14}


@pytest.fixture(scope="module")
def counts() -> dict[str, int]:
    """Numbers of parameters, from a model without numbers in its weights."""
    config = transformers.Qwen2VLConfig(text_config=TEXT, vision_config=VISION)
    with torch.device("meta"):
        model = transformers.Qwen2VLForConditionalGeneration(config)
    whole = model.num_parameters()
    updated = with_lora(model, RANK)
    trained = sum(weight.numel() for weight in updated.parameters() if weight.requires_grad)
    linear = sum(weight.numel() for name, weight in updated.named_parameters() if name.endswith("base_layer.weight"))
    return {"all": whole, "linear": linear, "trained": trained}


def test_parameters(counts: dict[str, int]) -> None:
    assert f"gives {counts['all'] / GB:.2f} × 10⁹ parameters, {counts['linear'] / GB:.2f} × 10⁹ of them" in PAGE
    assert f"trains {counts['trained'] / 1e6:.1f} × 10⁶" in PAGE


def test_memory(counts: dict[str, int]) -> None:
    lines = PAGE[PAGE.index("| | `--base-dtype float32`") :].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")][1:] for line in lines]
    width, layers, inner = TEXT["hidden_size"], TEXT["num_hidden_layers"], TEXT["intermediate_size"]
    tokens = ITEMS * TOKENS
    small = counts["linear"] * (4 + 0.127) / 8 + (counts["all"] - counts["linear"]) * 2
    base = [counts["all"] * 4, counts["all"] * 2, small]
    shared = [
        counts["trained"] * 16,
        tokens * width * layers * 2,
        tokens * PATCHES * VISION["embed_dim"] * VISION["depth"] * 2,
        tokens * (3 * inner + 8 * width) * 2,
    ]
    expected = [base, *([each] * 3 for each in shared), [each + sum(shared) for each in base]]
    assert rows == [[f"{value / GB:.1f} GB" for value in row] for row in expected]
    assert max(base) + sum(shared) < 80 * GB
