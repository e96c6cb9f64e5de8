"""Visual tokens of any architecture: a batch's inputs in, (n, N, d) at the connector or inside the decoder out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from vtbench.errors import SampleError

QUARTERS: Mapping[str, float] = {"decoder_25": 0.25, "decoder_50": 0.5, "decoder_75": 0.75, "decoder_100": 1.0}
"""Decoder layers by name, as the share of its depth."""

_TEXT = {"input_ids", "attention_mask"}


def image_features(model: Any, inputs: Mapping[str, Any]) -> Any:
    """Return what the model's `get_image_features` gives for a batch's pictures."""
    accepted = inspect.signature(model.get_image_features).parameters
    return model.get_image_features(**{k: v for k, v in inputs.items() if k in accepted and k not in _TEXT})


def connector_rows(features: Any) -> torch.Tensor | list[torch.Tensor]:
    """Return the connector's tokens: a tensor, or a list with one a picture or tile."""
    rows = getattr(features, "pooler_output", features)
    return list(rows) if isinstance(rows, list | tuple) else rows


def tower_rows(config: Any, features: Any) -> torch.Tensor:
    """Return what a LLaVA's connector reads: the tower at the layers that `config` names, without CLS if it says so."""
    layer = config.vision_feature_layer
    chosen = [layer] if isinstance(layer, int) else layer
    first = 1 if config.vision_feature_select_strategy == "default" else 0
    return torch.cat([features.hidden_states[index][:, first:] for index in chosen], -1)


def prompt_states(model: Any, inputs: Mapping[str, Any]) -> Sequence[torch.Tensor]:
    """Return the states (B, P, d) of the prompts in the layers of the language model, the embeddings first.

    They are those of `generate`, so positions and masks are the architecture's own. Where the language model is an
    encoder and a decoder, as T5, it is the encoder that reads the prompt.
    """
    run = model.generate(
        **inputs, max_new_tokens=1, do_sample=False, output_hidden_states=True, return_dict_in_generate=True
    )
    read: Sequence[torch.Tensor] | None = getattr(run, "encoder_hidden_states", None)
    return run.hidden_states[0] if read is None else read


def quarters(states: Sequence[torch.Tensor], place_BP: torch.Tensor) -> dict[str, list[torch.Tensor]]:
    """Return the states at the visual tokens, (N, d) for each prompt, in the layers that `QUARTERS` names."""
    depth = len(states) - 1
    chosen = {name: states[max(1, round(share * depth))] for name, share in QUARTERS.items()}
    return {
        name: [row_PD[place_P] for row_PD, place_P in zip(state_BPD, place_BP, strict=True)]
        for name, state_BPD in chosen.items()
    }


def by_sample(rows: torch.Tensor | list[torch.Tensor], samples: int) -> torch.Tensor:
    """Return the tokens as (samples, N, d): a sample's pictures and tiles follow each other.

    Raises:
        SampleError: the samples do not have equally many tokens.
    """
    if isinstance(rows, list):
        counts = {len(row) for row in rows}
        equal = len(counts) == 1 and len(rows) % samples == 0
        rows = torch.cat([row.reshape(-1, row.shape[-1]) for row in rows]) if equal else rows
    else:
        equal = rows.shape[0] % samples == 0
    if not equal or isinstance(rows, list):
        raise unequal()
    return rows.reshape(samples, -1, rows.shape[-1])


def unequal() -> SampleError:
    """Return the error of a batch whose samples do not have equally many visual tokens."""
    return SampleError("the pictures of this batch have unequal numbers of visual tokens; one size gives one number")
