"""The training loop that every stage shares: optimiser, schedule, checkpoints, resume, a log line every few steps."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vtbench.errors import VtbenchError

Step = Callable[[dict[str, Tensor]], tuple[Tensor, dict[str, float]]]
EVERY_LOG = 20


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a stage learns."""

    steps: int
    rate: float
    batch_size: int
    warmup: int = 100
    weight_decay: float = 0.02
    clip: float = 1.0
    final: float = 0.02
    """Last rate as a share of the highest."""
    save_every: int = 250

    def factor(self, step: int) -> float:
        """Return the rate at a step as a share of the highest: linear warm-up, then half a cosine."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class Checkpoint:
    """Where a stage stands: written whole or not at all, so a killed stage goes on from the last one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, modules: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Write the state after `step` steps."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        torch.save({"modules": modules.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, part)
        os.replace(part, self.path)

    def load(self, modules: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Take up the state, if there is one, and return how many steps were done."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, weights_only=True, map_location="cpu")
        modules.load_state_dict(state["modules"])
        optimizer.load_state_dict(state["optimizer"])
        return int(state["step"])


def train(
    name: str,
    modules: nn.Module,
    step_fn: Step,
    batches: Callable[[int], Iterable[dict[str, Tensor]]],
    schedule: Schedule,
    directory: Path,
    device: torch.device,
    show: Callable[[dict[str, Any]], None],
) -> None:
    """Train `modules` from where the last checkpoint left off to the end of the schedule.

    Args:
        name: of the stage; its checkpoint and log are `<name>.pt` and `<name>.jsonl` in `directory`.
        modules: everything that learns (parameters with `requires_grad`) or is saved.
        step_fn: a batch in, the loss and the numbers worth logging out.
        batches: first step in, the batches of this and all later steps out.
        schedule: steps and rates.
        directory: where checkpoints and logs go.
        device: where the batches go.
        show: called with each log line.

    Raises:
        VtbenchError: the loss is no longer a number; the last good checkpoint is kept.
    """
    decayed = [p for p in modules.parameters() if p.requires_grad and p.ndim >= 2]
    plain = [p for p in modules.parameters() if p.requires_grad and p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=schedule.rate, betas=(0.9, 0.98))
    checkpoint = Checkpoint(directory / f"{name}.pt")
    first = checkpoint.load(modules, optimizer)
    if first >= schedule.steps:
        return
    directory.mkdir(parents=True, exist_ok=True)
    modules.train()
    sums: dict[str, float] = {}
    started, counted = time.perf_counter(), 0
    with (directory / f"{name}.jsonl").open("a", encoding="utf-8") as log:
        for step, batch in enumerate(batches(first), first):
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate * schedule.factor(step)
            batch = {key: value.to(device, non_blocking=True) for key, value in batch.items()}
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss, shown = step_fn(batch)
            if not torch.isfinite(loss):
                raise VtbenchError(
                    f"{name}: the loss diverged at step {step}; the last good state is {checkpoint.path}"
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            # Only what learns: a frozen part may still hold a gradient of the stage before.
            nn.utils.clip_grad_norm_([*decayed, *plain], schedule.clip)
            optimizer.step()
            for key, value in {"loss": loss.item(), **shown}.items():
                sums[key] = sums.get(key, 0.0) + value
            counted += 1
            if counted == EVERY_LOG or step + 1 == schedule.steps:
                seconds = time.perf_counter() - started
                line = {"stage": name, "step": step + 1, **{k: round(v / counted, 4) for k, v in sums.items()}}
                line["images_per_s"] = round(counted * schedule.batch_size / seconds, 1)
                log.write(json.dumps(line) + "\n")
                log.flush()
                show({**line, "steps": schedule.steps, "seconds_per_step": seconds / counted})
                sums, started, counted = {}, time.perf_counter(), 0
            if (step + 1) % schedule.save_every == 0 or step + 1 == schedule.steps:
                checkpoint.save(modules, optimizer, step + 1)
