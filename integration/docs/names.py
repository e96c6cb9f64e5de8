"""Which stand-in each name of the docs gets, in the directory in which a command or a block of Python runs."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from documented import Block, Command
from stand_ins import (
    ITEMS,
    Writer,
    answers,
    array,
    checkpoint,
    coco,
    coco_images,
    copied,
    cues,
    cutouts,
    harness_task,
    image_array,
    image_folder,
    language_model,
    lora,
    nothing,
    parquet,
    runs,
    shipped,
    small_llava,
    task,
    unscored,
)

_LLAVA, _QWEN = partial(checkpoint, "llava"), partial(checkpoint, "qwen2_vl")
_RULES: tuple[tuple[str, dict[str, Writer]], ...] = (
    (r"--output DIR|--runs DIR", {"DIR": nothing}),
    (r" board DIR", {"DIR": runs}),
    (r"lm-eval:DIR", {"DIR": partial(harness_task, "lm-eval")}),
    (r"lmms:DIR", {"DIR": partial(harness_task, "lmms")}),
    (r"--model (captioned|question_only) |--decoder DIR", {"DIR": language_model}),
    (r"vtbench (train|study|pretrain) .*(DIR|base/model|plain/model)",
     dict.fromkeys(("DIR", "base/model", "plain/model"), small_llava)),
    (r" board results", {"results": runs}),
    (r"diagnose|tsne_panel", {"RUN": cues, **{f"results/{name}": cues for name in ("A", "B", "RUN")}}),
    (r"rescore", {"results/2026-11-28T10-11-12-llava-relational": unscored}),
    (r"", {
        "DIR": _LLAVA, "DIR_OR_HUB_NAME": _LLAVA, "llava-hf/llava-1.5-7b-hf": _LLAVA,
        "base/model": _LLAVA, "results/train/relational-base-0/model": _LLAVA,
        "Qwen/Qwen2-VL-2B-Instruct": _QWEN, "Qwen/Qwen2-VL-7B-Instruct": _QWEN,
        "./my-smolvlm": partial(checkpoint, "idefics3"), "LANGUAGE_MODEL": language_model,
        "LORA_DIR": partial(lora, "llava"),
        "results/train/relational-Qwen2-VL-7B-Instruct-0/lora": partial(lora, "qwen2_vl"),
        **{f"adapters/vtbench_llava/{name}": partial(shipped, name) for name in ("weights", "neutral")},
        "RUN": answers, **{f"results/{name}": answers for name in ("A", "B", "C", "BLIND", "RUN", "BEFORE", "AFTER")},
        "tokens.npy": partial(array, shape=(16, 8)), "run.safetensors": partial(array, shape=(16, 8)),
        "clip.npy": partial(array, shape=(12,)), "patches.npy": partial(array, shape=(16, 12)),
        "images.npy": image_array, "images/": image_folder,
        "mine.yaml": partial(task, ITEMS), "my/photos.yaml": partial(task, 500),
        "photos": cutouts, "stamps": cutouts, "instances_val2017.json": coco, "val2017": coco_images,
        "vtb-parquet": parquet,
    }),
)  # fmt: skip
"""A pattern that a line or a code has, and what names in it stand for; the first that has a name decides."""


def provide(documented: Command | Block, store: Path, directory: Path) -> None:
    """Write the stand-ins of all names that a command or a block of Python has into its directory.

    Args:
        documented: the command or the block.
        store: directory that keeps what is written once.
        directory: where the command runs.
    """
    text = documented.line if isinstance(documented, Command) else documented.code
    done: set[str] = set()
    for pattern, names in _RULES:
        if re.search(pattern, text):
            for name, write in names.items():
                if name not in done and re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w-])", text):
                    done.add(name)
                    copied(store, write, directory / name)
