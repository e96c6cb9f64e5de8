"""A LoRA training step of the language model, as `vtbench train --freeze vision,connector --lora` makes it.

The base is in bfloat16 and frozen, the updates are in float32, and activations are recomputed (gradient checkpointing).
"""

from __future__ import annotations

import torch

from gpu_parts.meter import Meter
from gpu_parts.models import build
from gpu_parts.workload import Figures, Workload
from vtbench_training.finetune.item_batches import ItemStream, TrainingItems, image_side
from vtbench_training.finetune.settings import FineTune
from vtbench_training.finetune.trainable import TrainableVLM

TASK = "scene_graph"
"""Its answers are long."""


def measure(name: str, load: Workload) -> Figures:
    """Yield time, memory and the loss of training steps on one batch."""
    config = FineTune(
        mix={TASK: 1}, model=name, batch_size=load.train_batch_size, freeze=("vision", "connector"), lora=load.rank
    )
    adapter = build(name, load)
    trainable = TrainableVLM(adapter, config).train()
    adapter.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    trained = [parameter for parameter in trainable.parameters() if parameter.requires_grad]
    yield "trained_parameters", sum(parameter.numel() for parameter in trained)
    items = TrainingItems(config.mix, config.seed, image_side(adapter))
    encoded = ItemStream(items, adapter, 0, 1, config.batch_size).batch(0)
    batch = {
        key: value.to(adapter.model.device, adapter.model.dtype if value.is_floating_point() else None)
        for key, value in encoded.items()
    }
    tokens = int(batch["attention_mask"].sum())
    yield "tokens_per_step", tokens
    optimizer = torch.optim.AdamW(trained, lr=config.rate)
    losses = [_step(trainable, optimizer, batch)]
    with Meter(load.device) as meter:
        losses += [_step(trainable, optimizer, batch) for _ in range(load.steps)]
    yield "step_seconds", meter.seconds / load.steps
    yield "tokens_per_second", load.steps * tokens / meter.seconds
    yield "peak_gib", meter.peak_gib
    yield "first_loss", float(losses[0])
    yield "last_loss", float(losses[-1])


def _step(trainable: TrainableVLM, optimizer: torch.optim.Optimizer, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.autocast(batch["targets"].device.type, torch.bfloat16):
        loss, _ = trainable(batch)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach()
