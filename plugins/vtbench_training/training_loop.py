"""The training loop of pretraining and fine-tuning: schedule, optimiser, precision, checkpoints, resume, log."""

from __future__ import annotations

import json
import math
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import IterableDataset, get_worker_info

from vtbench.engine.allocator import return_freed_memory
from vtbench.errors import VtbenchError
from vtbench_training.checkpoint import Checkpoint, writing
from vtbench_training.loss_monitor import LossMonitor, truncate_log

Step = Callable[[dict[str, Tensor]], tuple[Tensor, dict[str, float]]]
"""A batch -> the loss, and the numbers to log."""
LogCallback = Callable[[dict[str, Any]], None]
"""Called with each log line."""
LOG_EVERY = 20
"""Steps from one log line to the next."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps, learning rate and optimiser settings of a stage."""

    steps: int
    rate: float
    batch_size: int
    warmup: int = 100
    weight_decay: float = 0.02
    clip: float = 1.0
    final: float = 0.02
    """Last learning rate as a share of the highest."""
    save_every: int = 250

    def factor(self, step: int) -> float:
        """Return the learning rate at a step as a share of the highest: linear warm-up, then cosine decay."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class StepStream(IterableDataset):
    """Batches of a stage from a step on; each depends on its step alone, so that a resumed stage sees the same ones.

    Loader processes share the steps; the batches are the same whatever their number.
    """

    def __init__(self, first_step: int, steps: int) -> None:
        self.first_step, self.steps = first_step, steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in range(self.first_step + offset, self.steps, stride):
            yield self.batch(step)

    @abstractmethod
    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of one step."""


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype of the forward pass: `auto` is bfloat16 where the hardware multiplies it, else float32."""
    if precision != "auto":
        return torch.float32 if precision == "float32" else torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    can = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return torch.bfloat16 if can.get("avx512_bf16") or can.get("amx_bf16") else torch.float32


def train(
    name: str,
    modules: nn.Module,
    step_fn: Step,
    batches: Callable[[int], Iterable[dict[str, Tensor]]],
    schedule: Schedule,
    directory: Path,
    device: torch.device,
    show: LogCallback,
    accelerator: Accelerator | None = None,
    precision: torch.dtype | None = None,
    log_every: int = LOG_EVERY,
    rate_factor: Callable[[str], float] = lambda name: 1.0,
    at_steps: Mapping[int, Callable[[], None]] = MappingProxyType({}),
) -> None:
    """Train `modules` from where the last checkpoint left off to the end of the schedule.

    A checkpoint is written once the next step's loss is known, so the last one is always good.

    Args:
        name: of the stage; its checkpoint and log are `<name>.pt` and `<name>.jsonl` in `directory`.
        modules: holds the trained parameters, those with `requires_grad`.
        step_fn: maps a batch to the loss and the numbers to log.
        batches: maps a first step to the batches of this and all later steps.
        schedule: steps, learning rate and optimiser settings.
        directory: for checkpoints and logs.
        device: to which batches are moved.
        show: called with each log line, by the main process.
        accelerator: of a run over several processes, with `step_fn` prepared by it; one process by default.
        precision: of the forward pass; bfloat16 on a GPU and float32 elsewhere by default.
        log_every: steps from one log line to the next.
        rate_factor: maps a parameter's name to the factor of its learning rate.
        at_steps: called when that number of steps is done, before a state of that step is written: a training that
            is killed in between does these steps, and the call, again.

    Raises:
        VtbenchError: the loss is not finite, or jumped; the last good checkpoint is kept.
        ResultsError: a checkpoint cannot be written; the one before is kept.
    """
    accelerator = accelerator or Accelerator(cpu=device.type == "cpu")
    precision = precision or (torch.bfloat16 if device.type == "cuda" else torch.float32)
    groups = _parameter_groups(modules, schedule, rate_factor)
    trained = [parameter for group in groups for parameter in group["params"]]
    optimizer = torch.optim.AdamW(groups, lr=schedule.rate, betas=(0.9, 0.98))
    checkpoint, log = Checkpoint(directory / f"{name}.pt"), directory / f"{name}.jsonl"
    first, state = checkpoint.load(modules, optimizer)
    if first >= schedule.steps:
        return
    monitor = LossMonitor(state)
    if accelerator.is_main_process:
        truncate_log(log, first)

    def save(step: int) -> None:
        if accelerator.is_main_process:
            checkpoint.save(modules, optimizer, step, monitor.state())

    def stop(step: int, why: str) -> VtbenchError:
        kept = f"the last good state is {checkpoint.path}" if checkpoint.path.exists() else "no state was saved yet"
        return VtbenchError(f"{name}: the loss diverged at step {step}: {why}; {kept}. Try a lower rate")

    modules.train()
    return_freed_memory()  # a worker forked later would hold a copy of it
    started, since = time.perf_counter(), first
    for step, batch in enumerate(batches(first), first):
        for group in optimizer.param_groups:
            group["lr"] = group["share"] * schedule.rate * schedule.factor(step)
        batch = {key: value.to(device, non_blocking=True) for key, value in batch.items()}
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            loss, shown = step_fn(batch)
        value = float(accelerator.reduce(loss.detach(), "mean"))
        if why := monitor.divergence(value):
            raise stop(step, why)
        if step > first:
            if step in at_steps:
                at_steps[step]()
            if step % schedule.save_every == 0:
                save(step)
                return_freed_memory()
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        # Of trained parameters alone: a frozen one may still hold a gradient of the stage before.
        norm = float(nn.utils.clip_grad_norm_(trained, schedule.clip))
        if not math.isfinite(norm):
            raise stop(step, f"its gradient is {norm}")
        optimizer.step()
        monitor.add(value, shown)
        if (step + 1) % log_every == 0 or step + 1 == schedule.steps:
            seconds = (time.perf_counter() - started) / (step + 1 - since)
            started, since = time.perf_counter(), step + 1
            line = {"stage": name, "step": step + 1, **monitor.means()}
            line["images_per_s"] = round(schedule.batch_size / seconds, 1)
            if accelerator.is_main_process:
                _append(log, line)
                show({**line, "steps": schedule.steps, "seconds_per_step": seconds})
    save(schedule.steps)
    accelerator.wait_for_everyone()


def _parameter_groups(
    modules: nn.Module, schedule: Schedule, rate_factor: Callable[[str], float]
) -> list[dict[str, Any]]:
    """Group the trained parameters by the factor of their rate, and by weight decay, which matrices alone have."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in modules.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((rate_factor(name), parameter.ndim >= 2), []).append(parameter)
    # "share" is a key of stored optimiser states.
    return [
        {"params": some, "share": factor, "weight_decay": schedule.weight_decay if decays else 0.0}
        for (factor, decays), some in sorted(groups.items(), key=lambda item: item[0], reverse=True)
    ]


def _append(log: Path, line: dict[str, Any]) -> None:
    with writing(log, "the log"):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
