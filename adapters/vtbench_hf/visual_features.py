"""Visual tokens of any architecture: the features at the connector, in the tower and in the decoder's layers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from vtbench.errors import SampleError

DECODER_DEPTHS: Mapping[str, float] = {"decoder_25": 0.25, "decoder_50": 0.5, "decoder_75": 0.75, "decoder_100": 1.0}
"""Names of the decoder layers, with their depth as a fraction of the number of layers."""

_TEXT_INPUTS = {"input_ids", "attention_mask"}


def image_features(model: Any, inputs: Mapping[str, Any]) -> Any:
    """Return the output of the model's `get_image_features` for a batch's images."""
    accepted = inspect.signature(model.get_image_features).parameters
    return model.get_image_features(**{k: v for k, v in inputs.items() if k in accepted and k not in _TEXT_INPUTS})


def projected_features(features: Any) -> torch.Tensor | list[torch.Tensor]:
    """Return the connector's tokens from the output of `get_image_features`.

    Returns:
        (images or tiles, N, d), or a list with (N, d) for each of them.
    """
    rows = getattr(features, "pooler_output", features)
    return list(rows) if isinstance(rows, list | tuple) else rows


def selected_tower_features(config: Any, features: Any) -> torch.Tensor:
    """Return the tower's features that a LLaVA's connector reads.

    Args:
        config: names the tower's layers (`vision_feature_layer`) and says whether the class token is left out
            (`vision_feature_select_strategy`).
        features: the output of `get_image_features`, with the tower's hidden states.

    Returns:
        (images or tiles, patches, d), several layers concatenated along d.
    """
    layer = config.vision_feature_layer
    chosen = [layer] if isinstance(layer, int) else layer
    first = 1 if config.vision_feature_select_strategy == "default" else 0
    return torch.cat([features.hidden_states[index][:, first:] for index in chosen], -1)


def prompt_hidden_states(model: Any, inputs: Mapping[str, Any]) -> Sequence[torch.Tensor]:
    """Return the hidden states (B, P, d) of the prompts in the language model's layers, the embeddings first.

    They are those of `model.generate`, so positions and masks are the architecture's own. In an encoder-decoder such as
    T5 they are the encoder's, which reads the prompt.
    """
    run = model.generate(
        **inputs, max_new_tokens=1, do_sample=False, output_hidden_states=True, return_dict_in_generate=True
    )
    encoder: Sequence[torch.Tensor] | None = getattr(run, "encoder_hidden_states", None)
    return run.hidden_states[0] if encoder is None else encoder


def decoder_layers(states: Sequence[torch.Tensor], visual_BP: torch.Tensor) -> dict[str, list[torch.Tensor]]:
    """Return the hidden states at the visual tokens, in the layers that `DECODER_DEPTHS` names.

    Args:
        states: (B, P, d) of each layer, the embeddings first.
        visual_BP: True at the visual tokens.

    Returns:
        By the layer's name, (N, d) for each prompt.
    """
    depth = len(states) - 1
    chosen = {name: states[max(1, round(fraction * depth))] for name, fraction in DECODER_DEPTHS.items()}
    return {
        name: [row_PD[visual_P] for row_PD, visual_P in zip(state_BPD, visual_BP.to(state_BPD.device), strict=True)]
        for name, state_BPD in chosen.items()
    }


def stack_by_sample(rows: torch.Tensor | list[torch.Tensor], samples: int) -> torch.Tensor:
    """Return the tokens as (samples, N, d), where the images and tiles of a sample are adjacent rows.

    Raises:
        SampleError: the samples have unequal numbers of tokens.
    """
    if isinstance(rows, list):
        counts = {len(row) for row in rows}
        equal = len(counts) == 1 and len(rows) % samples == 0
        rows = torch.cat([row.reshape(-1, row.shape[-1]) for row in rows]) if equal else rows
    else:
        equal = rows.shape[0] % samples == 0
    if not equal or isinstance(rows, list):
        raise unequal_token_counts()
    return rows.reshape(samples, -1, rows.shape[-1])


def unequal_token_counts() -> SampleError:
    """Return the error of a batch whose samples have unequal numbers of visual tokens."""
    return SampleError("the images of this batch have unequal numbers of visual tokens; one size gives one number")
