"""Fine-tuning: `FineTune` -> a trained checkpoint in the published layout. A killed training resumes.

directory/finetune.json    the settings, and versions
          finetune.jsonl   the log
          finetune.pt      the newest state
          model/           the finished checkpoint: `--model-args pretrained=directory/model` for the model trained
          step-N/          the checkpoint after N steps, where these are kept (`keep`)
          lora/            under --lora, the updates alone: `--model-args pretrained=BASE,peft=directory/lora`; of a
                           quantised base there is no model/, since its weights were rounded before they were trained
          guard.json       after a redundancy penalty: information, redundancy and accuracy before and after
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_start_method
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor
from torch.utils.data import DataLoader

from vtbench.adapter import TrainableAdapter
from vtbench.errors import VtbenchError, nearest
from vtbench.registry import Registry
from vtbench.runs.disk import disk, write_file
from vtbench.runs.git_commit import git_commit
from vtbench.runs.json_file import read_object
from vtbench.runs.provenance import differing, strict, versions
from vtbench_hf.checkpoint.placement import choose_device
from vtbench_training.checkpoint import writing
from vtbench_training.finetune.base_model import load_base
from vtbench_training.finetune.item_batches import ItemStream, TrainingItems, deciding_settings, image_side, raising
from vtbench_training.finetune.item_checks import check_items
from vtbench_training.finetune.lora_directory import save_lora
from vtbench_training.finetune.penalty_check import CHECK_IMAGES, check_penalty
from vtbench_training.finetune.settings import FineTune
from vtbench_training.finetune.trainable import TrainableVLM, check
from vtbench_training.training_loop import LogCallback, Schedule, choose_precision, train

__all__ = ["FineTune", "finetune"]

Phase = Callable[[str, str], None]
TRACKERS = ("tensorboard", "wandb")
NAME = "finetune"
_NEWER = {"base_dtype": "float32", "quantization": None}
"""Settings that trainings begun before they existed do not record, and the values that those had."""


def finetune(
    config: FineTune,
    directory: Path,
    device: str | torch.device = "auto",
    show: LogCallback = lambda line: None,
    *,
    save_every: int = 50,
    log_every: int = 10,
    trackers: Sequence[str] = (),
    check_images: int = CHECK_IMAGES,
    keep: Sequence[int] = (),
    registry: Registry | None = None,
    phase: Phase = lambda what, about: None,
) -> Path:
    """Train as `config` says and return the directory of what is finished: `finished_in(directory, config)`.

    Called again with the same config, it resumes from the newest state, to the same losses and weights; where the
    training is finished it returns at once.

    Args:
        config: everything that decides the weights.
        directory: for states, log and model; created if missing.
        device: `auto`, `cpu`, `cuda` and the like; under `accelerate launch` each process has its own.
        show: called with each log line.
        save_every: steps from one written state to the next.
        log_every: steps from one log line to the next.
        trackers: `tensorboard` (written to `directory`), `wandb`.
        check_images: images on which a penalty is checked; 0 skips the check.
        keep: numbers of steps after which the model is kept too, in `step_directory`; without --lora alone.
        registry: plugins to use; the installed ones by default.
        phase: called with what is done before and after the steps, and about what: `loading`, the model.

    Raises:
        VtbenchError: bad settings, or some that this model does not support; another config was trained here (names
            the keys); the loss diverged.
        ResultsError: the disk is full; what was written before is intact.
    """
    registry = registry or Registry()
    if keep and config.lora:
        raise VtbenchError("keep: checkpoints of a training under --lora cannot be kept; train all weights")
    if config.budget:
        registry.budget(config.budget)  # refuses an unknown one before anything is loaded
    place = choose_device(str(device))
    accelerator = _accelerator(place, trackers, directory)
    place = accelerator.device if accelerator.num_processes > 1 else place
    if config.batch_size % accelerator.num_processes:
        raise VtbenchError(
            f"batch_size {config.batch_size} cannot be shared equally by {accelerator.num_processes} processes"
        )
    precision = choose_precision(config.precision, place)
    base_dtype = choose_base_dtype(config, place, precision)
    if base_dtype is torch.bfloat16:
        precision = torch.bfloat16
    phase("loading", f"{config.model} {config.base}")
    adapter = load_base(
        config.base, place, config.model, registry, dtype=_name(base_dtype), quantization=config.quantization
    )
    check(adapter, config)
    if config.penalty and check_images and not adapter.capabilities >= {"generate", "visual_tokens"}:
        raise VtbenchError(
            f"penalty: --model {config.model} does not answer or shows no visual tokens, so the penalty cannot be"
            " checked; --check-images 0 skips the check"
        )
    items = TrainingItems(config.mix, config.seed, image_side(adapter), registry)
    finished = finished_in(directory, config)
    if not finished.exists():
        phase("checking", "the first items")
        check_items(items, adapter, config.budget)  # a directory that is claimed takes no other rows
    if accelerator.is_main_process:
        _claim(directory, config, precision, base_dtype, items, adapter, registry)
    accelerator.wait_for_everyone()
    if not finished.exists():
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            trainable = TrainableVLM(adapter, config, registry)
            if config.quantization is None:  # quantised weights are where they were made
                trainable.to(place)
            if accelerator.is_main_process:
                _record_parameters(directory, trainable)
            phase("starting", "the first step")
            _train(trainable, items, directory, place, show, save_every, log_every, accelerator, precision, keep, phase)
    if config.penalty and check_images and accelerator.is_main_process and not (directory / "guard.json").exists():
        phase("checking", "the penalty, against the model before it")
        check_penalty(config, finished, directory, str(place), check_images, registry)
    return finished


def _train(
    trainable: TrainableVLM,
    items: TrainingItems,
    directory: Path,
    place: torch.device,
    show: LogCallback,
    save_every: int,
    log_every: int,
    accelerator: Accelerator,
    precision: torch.dtype,
    keep: Sequence[int],
    phase: Phase,
) -> None:
    config, adapter = trainable.config, trainable.adapter
    step = accelerator.prepare_model(trainable, device_placement=False)
    part = (accelerator.process_index, accelerator.num_processes)

    def batches(first: int) -> Iterator[dict[str, Tensor]]:
        stream = ItemStream(items, adapter, first, config.steps, config.batch_size, part)
        # One worker renders and encodes while the model trains; the batches do not depend on the number of workers. It
        # must be a fork: a spawned one would be sent a copy of the model with the adapter.
        workers: dict[str, Any] = {"num_workers": 1, "prefetch_factor": 4} if get_start_method() == "fork" else {}
        return raising(DataLoader(stream, batch_size=None, **workers))

    def shown(line: dict[str, Any]) -> None:
        numbers = {key: value for key, value in line.items() if isinstance(value, int | float)}
        accelerator.log({key: value for key, value in numbers.items() if key not in ("step", "steps")}, line["step"])
        show(line)

    plain = {
        key: value if isinstance(value, int | float | str) else str(value) for key, value in asdict(config).items()
    }
    accelerator.init_trackers("vtbench", plain)

    def write_model(target: Path, what: str) -> None:
        if accelerator.is_main_process:
            _write(target, what, lambda path: adapter.save(path, _name(precision)))

    kept = {n: partial(write_model, step_directory(directory, n), f"the model after {n} steps") for n in keep}
    schedule = Schedule(
        config.steps, config.rate, config.batch_size, config.warmup, config.weight_decay, config.clip,
        save_every=save_every,
    )  # fmt: skip
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # their threads do not survive the worker's fork
    train(
        NAME,
        trainable,
        step,
        batches,
        schedule,
        directory,
        place,
        shown,
        accelerator,
        precision,
        log_every,
        trainable.rate_factor,
        kept,
    )
    if accelerator.is_main_process:
        phase("writing", f"the model to {directory}")
        if config.lora:
            _write(
                directory / "lora", "the finished updates", partial(save_lora, trainable.model, adapter, config.base)
            )
        if config.quantization is None:
            trainable.merge_lora().cpu().eval()
            write_model(directory / "model", "the finished model")
    accelerator.wait_for_everyone()
    accelerator.end_training()


def step_directory(directory: Path, step: int) -> Path:
    """Return where a training keeps the model as it was after `step` steps."""
    return directory / f"step-{step}"


def finished_in(directory: Path, config: FineTune) -> Path:
    """Return where a training leaves what is finished: the checkpoint, or the updates of a quantised base."""
    return directory / ("model" if config.quantization is None else "lora")


def choose_base_dtype(config: FineTune, device: torch.device, precision: torch.dtype) -> torch.dtype:
    """Return the dtype of the weights that are not trained.

    `auto` is bfloat16 under LoRA on a GPU: half the memory of what is never written.
    """
    if config.base_dtype != "auto":
        return torch.bfloat16 if config.base_dtype == "bfloat16" else torch.float32
    fits = bool(config.lora) and device.type == "cuda" and precision is torch.bfloat16
    return torch.bfloat16 if fits else torch.float32


def _write(target: Path, what: str, write: Callable[[Path], None]) -> None:
    """Write a directory that is either whole or not there."""
    unfinished = target.with_name(f"{target.name}.part")
    for old in (unfinished, target):  # of a killed process
        shutil.rmtree(old, ignore_errors=True)
    with writing(target, what, unfinished):
        unfinished.mkdir()
        write(unfinished)
        os.replace(unfinished, target)


def _record_parameters(directory: Path, trainable: TrainableVLM) -> None:
    """Add the numbers of trained and of all parameters to what is recorded of the training."""
    path = directory / f"{NAME}.json"
    facts = read_object(path, cure="; remove it, or choose another directory")
    write_file(path, json.dumps(facts | {"parameters": trainable.parameter_counts()}, indent=2) + "\n")


def _accelerator(device: torch.device, trackers: Sequence[str], directory: Path) -> Accelerator:
    for name in trackers:
        if name not in TRACKERS:
            raise VtbenchError(f"tracker: there is none called {name!r}.{nearest(name, [*TRACKERS])}")
        if find_spec(name) is None:
            raise VtbenchError(f"tracker: {name} is not installed: pip install {name}")
    # Tower layers behind the one that the connector reads get no gradient.
    distributed = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(
        cpu=device.type == "cpu", log_with=list(trackers) or None, project_dir=directory, kwargs_handlers=[distributed]
    )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _claim(
    directory: Path,
    config: FineTune,
    precision: torch.dtype,
    base_dtype: torch.dtype,
    items: TrainingItems,
    adapter: TrainableAdapter,
    registry: Registry,
) -> None:
    """Record the config in `directory`, or refuse another one than it holds."""
    derived = {"precision": _name(precision), "base_weights": adapter.describe().get("fingerprint")}
    settings = asdict(config) | {"base_dtype": _name(base_dtype), "mix": items.mix}
    del settings["gradient_checkpointing"]  # the weights do not depend on it
    for name, usual in _NEWER.items():
        if settings[name] == usual:
            del settings[name]
    keys = json.loads(json.dumps(strict(settings | derived | {"tasks": items.config()})))
    path = directory / f"{NAME}.json"
    if path.exists():
        stored = read_object(path, cure="; remove it, or choose another directory").get("config")
        there = stored if isinstance(stored, dict) else {}
        there = there | {"tasks": deciding_settings(there.get("tasks") or {})}  # vtbench 0.1.0 wrote all settings
        if there != keys:
            differences = differing(keys, there)
            raise VtbenchError(
                f"{path}: another config was trained here, which differs in {', '.join(differences)}; "
                "give these the same values, or choose another directory"
            )
        return
    facts = {"config": keys, "versions": versions(registry.plugins()) | {"torch": torch.__version__}}
    with disk(directory):
        directory.mkdir(parents=True, exist_ok=True)
    write_file(path, json.dumps(facts | {"git": git_commit()}, indent=2) + "\n")
