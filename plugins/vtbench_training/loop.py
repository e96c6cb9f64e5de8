"""The training loop that every stage shares: optimiser, schedule, checkpoints, resume, a log line every few steps."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from vtbench.errors import VtbenchError
from vtbench_hf.allocator import return_freed_memory
from vtbench_training.checkpoint import Checkpoint, writing
from vtbench_training.course import Course, cut_log

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


def train(
    name: str,
    modules: nn.Module,
    step_fn: Step,
    batches: Callable[[int], Iterable[dict[str, Tensor]]],
    schedule: Schedule,
    directory: Path,
    device: torch.device,
    show: Callable[[dict[str, Any]], None],
    accelerator: Accelerator | None = None,
    precision: torch.dtype | None = None,
    log_every: int = EVERY_LOG,
    share: Callable[[str], float] = lambda name: 1.0,
) -> None:
    """Train `modules` from where the last checkpoint left off to the end of the schedule.

    A checkpoint is written once the next step's loss is known, so the last one is always good.

    Args:
        name: of the stage; its checkpoint and log are `<name>.pt` and `<name>.jsonl` in `directory`.
        modules: everything that learns: its parameters with `requires_grad`.
        step_fn: a batch in, the loss and the numbers worth logging out.
        batches: first step in, the batches of this and all later steps out.
        schedule: steps and rates.
        directory: where checkpoints and logs go.
        device: where the batches go.
        show: called with each log line, by the main process.
        accelerator: what joins several processes, with `step_fn` prepared by it; by default there is one process.
        precision: of the forward pass; bfloat16 on a GPU and float32 elsewhere by default.
        log_every: steps from one log line to the next.
        share: the name of a parameter in, the part of the rate at which it learns out.

    Raises:
        VtbenchError: the loss is no longer a number, or jumped; the last good checkpoint is kept.
        StoreError: a checkpoint cannot be written; the one before is kept.
    """
    accelerator = accelerator or Accelerator(cpu=device.type == "cpu")
    precision = precision or (torch.bfloat16 if device.type == "cuda" else torch.float32)
    groups = _groups(modules, schedule, share)
    learning = [parameter for group in groups for parameter in group["params"]]
    optimizer = torch.optim.AdamW(groups, lr=schedule.rate, betas=(0.9, 0.98))
    checkpoint, log = Checkpoint(directory / f"{name}.pt"), directory / f"{name}.jsonl"
    first, state = checkpoint.load(modules, optimizer)
    if first >= schedule.steps:
        return
    course = Course(state)
    if accelerator.is_main_process:
        cut_log(log, first)

    def save(step: int) -> None:
        if accelerator.is_main_process:
            checkpoint.save(modules, optimizer, step, course.state())

    def stop(step: int, why: str) -> VtbenchError:
        kept = f"the last good state is {checkpoint.path}" if checkpoint.path.exists() else "no state was saved yet"
        return VtbenchError(f"{name}: the loss diverged at step {step}: {why}; {kept}. Try a lower rate")

    modules.train()
    return_freed_memory()  # a worker forked from here on would keep a copy of it
    started, since = time.perf_counter(), first
    for step, batch in enumerate(batches(first), first):
        for group in optimizer.param_groups:
            group["lr"] = group["share"] * schedule.rate * schedule.factor(step)
        batch = {key: value.to(device, non_blocking=True) for key, value in batch.items()}
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            loss, shown = step_fn(batch)
        value = float(accelerator.reduce(loss.detach(), "mean"))
        if trouble := course.trouble(value):
            raise stop(step, trouble)
        if step > first and step % schedule.save_every == 0:
            save(step)
            return_freed_memory()
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        # Only what learns: a frozen part may still hold a gradient of the stage before.
        norm = float(nn.utils.clip_grad_norm_(learning, schedule.clip))
        if not math.isfinite(norm):
            raise stop(step, f"its gradient is {norm}")
        optimizer.step()
        course.add(value, shown)
        if (step + 1) % log_every == 0 or step + 1 == schedule.steps:
            seconds = (time.perf_counter() - started) / (step + 1 - since)
            started, since = time.perf_counter(), step + 1
            line = {"stage": name, "step": step + 1, **course.means()}
            line["images_per_s"] = round(schedule.batch_size / seconds, 1)
            if accelerator.is_main_process:
                _append(log, line)
                show({**line, "steps": schedule.steps, "seconds_per_step": seconds})
    save(schedule.steps)
    accelerator.wait_for_everyone()


def _groups(modules: nn.Module, schedule: Schedule, share: Callable[[str], float]) -> list[dict[str, Any]]:
    """Sort what learns by its part of the rate, and by whether weights decay, which matrices do."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in modules.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((share(name), parameter.ndim >= 2), []).append(parameter)
    return [
        {"params": some, "share": part, "weight_decay": schedule.weight_decay if decays else 0.0}
        for (part, decays), some in sorted(groups.items(), key=lambda item: item[0], reverse=True)
    ]


def _append(log: Path, line: dict[str, Any]) -> None:
    with writing(log, "the log"):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
