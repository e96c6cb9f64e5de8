"""Training throughput: our loop beside transformers' Trainer; and what share of our loop goes into making data.

    python benchmarks/training.py [--family relational] [--steps 12] [--batch-size 32] [--rounds 3]

Both train the embedded model with AdamW on the same batches, made beforehand, at the same precision, in turn; the
Trainer is set to do no more than that (no saving, no logging, no reports). Then our loop trains as `vtbench train`
does, items drawn on the fly by one worker, and the CPU seconds of the worker are set against those of all: what making
data costs where no core is idle. The time for which learning waited for data is printed beside it.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainingArguments
from transformers.utils import logging

from vtbench.adapter import IGNORE_INDEX, TrainableAdapter
from vtbench.engine.allocator import keep_freed_memory
from vtbench_training.finetune.base_model import load_base
from vtbench_training.finetune.item_batches import ItemStream, TrainingItems, image_side
from vtbench_training.finetune.settings import FineTune
from vtbench_training.finetune.trainable import TrainableVLM
from vtbench_training.training_loop import Schedule, choose_precision, train


def stream(config: FineTune, adapter: TrainableAdapter) -> ItemStream:
    """Return the batches of a fine-tuning."""
    items = TrainingItems(config.mix, config.seed, image_side(adapter))
    return ItemStream(items, adapter, 0, config.steps, config.batch_size)


def ours(config: FineTune, batches: Any, device: torch.device) -> tuple[float, float]:
    """Return the seconds that our loop takes for some batches, and their mean loss."""
    trainable = TrainableVLM(load_base("base", device), config).to(device)
    schedule = Schedule(config.steps, config.rate, config.batch_size, config.warmup, save_every=config.steps + 1)
    precision = choose_precision(config.precision, device)
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        train(
            "benchmark", trainable, trainable, lambda first: batches, schedule, Path(directory), device, lines.append,
            precision=precision, log_every=config.steps,
        )  # fmt: skip
        return time.perf_counter() - began, lines[0]["loss"]


class Whole(nn.Module):
    """The same model with the loss as transformers computes it."""

    def __init__(self, llava: Any) -> None:
        super().__init__()
        self.llava = llava

    def forward(self, **batch: Tensor) -> dict[str, Tensor]:
        """Return the loss."""
        return {"loss": self.llava(**batch, use_cache=False).loss}


def theirs(config: FineTune, batches: list[dict[str, Tensor]], device: torch.device) -> tuple[float, float]:
    """Return the seconds that transformers' Trainer takes for the same batches, and their mean loss."""
    rows = []
    for batch in batches:
        labels = torch.full_like(batch["targets"], IGNORE_INDEX)
        labels[:, 1:] = batch["targets"][:, :-1]
        rows.append(
            {name: batch[name] for name in ("input_ids", "attention_mask", "pixel_values")} | {"labels": labels}
        )
    with tempfile.TemporaryDirectory() as directory:
        arguments = TrainingArguments(
            directory, per_device_train_batch_size=1, max_steps=config.steps, learning_rate=config.rate,
            warmup_steps=config.warmup, lr_scheduler_type="cosine", weight_decay=config.weight_decay,
            max_grad_norm=config.clip, bf16=choose_precision(config.precision, device) == torch.bfloat16,
            use_cpu=device.type == "cpu", save_strategy="no", report_to=[], logging_strategy="no", disable_tqdm=True,
            remove_unused_columns=False,
        )  # fmt: skip
        # One row of the data set is a whole batch: collating is left out of their time.
        trainer = Trainer(Whole(load_base("base", device).model), arguments, lambda one: one[0], rows)
        trainer.remove_callback(PrinterCallback)
        began = time.perf_counter()
        loss = trainer.train().training_loss
        return time.perf_counter() - began, loss


class Waiting:
    """A loader's batches, and the seconds for which they were waited for."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader, self.seconds = loader, 0.0

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        batches = iter(self.loader)
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            self.seconds += time.perf_counter() - began
            if batch is None:
                return
            yield batch


def cpu_seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def shares(config: FineTune, adapter: TrainableAdapter, device: torch.device) -> tuple[float, float]:
    """Return the worker's share of all CPU time, and the share of the wall time spent waiting for it."""
    batches = Waiting(DataLoader(stream(config, adapter), batch_size=None, num_workers=1, prefetch_factor=4))
    here, there = cpu_seconds(resource.RUSAGE_SELF), cpu_seconds(resource.RUSAGE_CHILDREN)
    seconds, _ = ours(config, batches, device)
    here = cpu_seconds(resource.RUSAGE_SELF) - here
    there = cpu_seconds(resource.RUSAGE_CHILDREN) - there
    return there / (here + there), batches.seconds / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="relational")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    keep_freed_memory()  # for both, so that the memory allocator is not what is compared
    logging.set_verbosity_error()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = FineTune(
        mix={options.family: 1}, steps=options.steps, batch_size=options.batch_size, precision=options.precision
    )
    adapter = load_base("base", device)
    batches = list(stream(config, adapter))
    print(
        f"{options.family}, {options.steps} steps of {options.batch_size}, {choose_precision(config.precision, device)}"
        f" on {device}, {torch.get_num_threads()} threads; samples per second"
    )
    ours(config, batches, device)  # the first steps of a process are slower
    ratios = []
    for number in range(options.rounds):
        samples = options.steps * options.batch_size
        (mine, my_loss), (other, other_loss) = ours(config, batches, device), theirs(config, batches, device)
        ratios.append(other / mine)
        print(
            f"round {number + 1}: ours {samples / mine:.1f} (mean loss {my_loss:.3f}), "
            f"Trainer {samples / other:.1f} (mean loss {other_loss:.3f}), ratio {ratios[-1]:.2f}"
        )
    print(f"median ratio {statistics.median(ratios):.2f}")
    making, waiting = shares(config, adapter, device)
    print(f"making data: {100 * making:.1f} % of the CPU time; waiting for it: {100 * waiting:.1f} % of the wall time")


if __name__ == "__main__":
    main()
