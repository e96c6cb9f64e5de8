"""Where the objects are that a text has just named: read off the middle of the decoder by one linear layer.

States and a packed batch in, a loss out. Without it the look-ups behind a relation take far longer to appear.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

GROUND_WEIGHT = 2.0
"""Of this loss beside that of the words."""


class Places(nn.Module):
    """The layer that reads places; it is thrown away after training."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        text = model.config.get_text_config()
        self.middle = text.num_hidden_layers // 2
        self.place = nn.Linear(text.hidden_size, 2)

    def forward(self, states: Sequence[Tensor], batch: dict[str, Tensor]) -> tuple[Tensor, float]:
        """Return the loss, and the mean absolute error, where a picture reaches from -1 to 1.

        Args:
            states: (B, L, d) of every layer, embeddings first.
            batch: with `named` (M, 2), row and token of each name, and `centres` (M, 2), as `Packer.batch` gives them.
        """
        row, token = batch["named"].unbind(1)
        error_M2 = self.place(states[self.middle][row, token]).float() - batch["centres"]
        return F.smooth_l1_loss(error_M2, torch.zeros_like(error_M2), beta=0.1), error_M2.abs().mean().item()
