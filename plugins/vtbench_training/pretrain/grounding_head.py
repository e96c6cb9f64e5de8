"""An auxiliary loss: a linear layer predicts, from the decoder's middle layer, where each object is that a text names.

Without it the decoder takes far longer to learn the look-ups from words to places that a relation needs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

GROUNDING_WEIGHT = 2.0
"""Weight of this loss beside the language-modelling loss."""


class GroundingHead(nn.Module):
    """The linear layer; it is discarded after training."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        text = model.config.get_text_config()
        self.middle = text.num_hidden_layers // 2
        self.place = nn.Linear(text.hidden_size, 2)

    def forward(self, states: Sequence[Tensor], batch: dict[str, Tensor]) -> tuple[Tensor, float]:
        """Return the loss, and the mean absolute error, where an image spans [-1, 1].

        Args:
            states: (B, L, d) of every layer, embeddings first.
            batch: with `mentions` (M, 2), row and token of each, and `centres` (M, 2), as `Packer.batch` gives them.
        """
        row, token = batch["mentions"].unbind(1)
        error_M2 = self.place(states[self.middle][row, token]).float() - batch["centres"]
        return F.smooth_l1_loss(error_M2, torch.zeros_like(error_M2), beta=0.1), error_M2.abs().mean().item()
