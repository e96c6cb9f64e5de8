"""A third party's model that has nothing to do with transformers: patches and bytes through a recurrent network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import vtbench
from vtbench.adapter import IGNORE_INDEX

SIDE, PATCH, WIDTH, BYTES, END = 16, 8, 24, 256, 0


class Net(nn.Module):
    """Patch embedding, connector, and a recurrent decoder over visual tokens and bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.connector = nn.Linear(WIDTH, WIDTH)
        self.embedding = nn.Embedding(BYTES, WIDTH)
        self.decoder = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, BYTES)


class Toy(vtbench.BaseAdapter):
    """It answers and can be trained; it was written against the documented protocol alone."""

    capabilities = frozenset({"generate", "train"})
    image_size = SIDE
    parts: Mapping[str, tuple[str, ...]] = {
        "vision": ("patches",),
        "connector": ("connector",),
        "text": ("embedding", "decoder", "head"),
    }

    def __init__(self, pretrained: str | None = None) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.model = Net()
        self.checkpoint = pretrained or "toy"
        if pretrained:
            self.model.load_state_dict(torch.load(Path(pretrained) / "weights.pt"))

    def generate(self, samples: Sequence[vtbench.Sample], max_new_tokens: int) -> list[vtbench.Output]:
        said = []
        with torch.no_grad():
            for sample in samples:
                answer = b""
                while len(answer) < max_new_tokens:
                    batch = self._encode([sample], [answer])
                    states = self._states(batch, self.connector_tokens(batch))
                    token = int(self.model.head(states)[0, -1].argmax())
                    if token == END:
                        break
                    answer += bytes([token])
                said.append(vtbench.Output(text=answer.decode(errors="replace")))
        return said

    def describe(self) -> Mapping[str, Any]:
        return {"checkpoint": self.checkpoint, "device": "cpu"}

    def encode_training(self, samples: Sequence[vtbench.Sample]) -> dict[str, Tensor]:
        answers = [sample.target.encode() + bytes([END]) for sample in samples]
        batch = self._encode(samples, answers)
        targets = torch.full_like(batch["ids"], IGNORE_INDEX)
        for row, answer in zip(targets, answers, strict=True):
            row[-len(answer) - 1 : -1] = torch.tensor(list(answer))
        return {**batch, "targets": targets}

    def answer_logits(self, inputs: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        states_BLD = self._states(inputs, self.connector_tokens(inputs))[:, -targets.shape[1] :]
        return self.model.head(states_BLD[targets != IGNORE_INDEX])

    def connector_tokens(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.model.connector(self.model.patches(inputs["pixels"]).flatten(2).transpose(1, 2))

    def save(self, directory: Path, dtype: str) -> None:
        weights = {name: value.to(getattr(torch, dtype)) for name, value in self.model.state_dict().items()}
        torch.save(weights, directory / "weights.pt")

    def _encode(self, samples: Sequence[vtbench.Sample], answers: Sequence[bytes]) -> dict[str, Tensor]:
        rows = [sample.prompt.encode() + answer for sample, answer in zip(samples, answers, strict=True)]
        length = max(map(len, rows))
        pixels = np.stack([np.asarray(sample.images[0].resize((SIDE, SIDE))) for sample in samples])
        return {
            "ids": torch.tensor([[0] * (length - len(row)) + list(row) for row in rows]),
            "pixels": torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255,
        }

    def _states(self, inputs: Mapping[str, Tensor], tokens_BND: Tensor) -> Tensor:
        # The image is added to every token too: a recurrent network forgets what came before a long prompt.
        embeds_BLD = self.model.embedding(inputs["ids"]) + tokens_BND.mean(1, keepdim=True)
        return self.model.decoder(torch.cat([tokens_BND, embeds_BLD], dim=1))[0]


class BudgetToy(Toy):
    """The same, with token budgets."""

    capabilities = frozenset({"generate", "train", "budget"})

    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        return np.array([[x, y, x + 0.5, y + 0.5] for y in (0, 0.5) for x in (0, 0.5)])

    def budgeted_answer_logits(
        self, inputs: Mapping[str, Tensor], targets: Tensor, tokens: Tensor, weights: Sequence[np.ndarray]
    ) -> Tensor:
        kept_BKD = torch.from_numpy(np.stack(weights)) @ tokens
        return self.model.head(self._states(inputs, kept_BKD)[:, -targets.shape[1] :][targets != IGNORE_INDEX])


def toy(pretrained: str | None = None) -> Toy:
    """A model of a third party."""
    return Toy(pretrained)


def toy_budget(pretrained: str | None = None) -> BudgetToy:
    """The same model, under token budgets."""
    return BudgetToy(pretrained)


@vtbench.hookimpl
def vtbench_adapters() -> dict[str, Any]:
    return {"toy": toy, "toy_budget": toy_budget}
