"""`--check-batching`: tests whether a model's answers depend on the batch size.

It prints a line for every sample whose answer differs between batch size 1 and N; the exit status is 1 if any does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vtbench.adapter import Adapter, traits_of
from vtbench.config import RunConfig
from vtbench.console.json_document import say_json
from vtbench.console.terminal import say
from vtbench.engine.inference import query_outputs
from vtbench.engine.observing import Needs
from vtbench.engine.setup import RunPlan
from vtbench.errors import AdapterError, OutOfMemory, SampleError
from vtbench.registry import Registry
from vtbench.types import Sample, Task

SAMPLES, SIZE = 32, 8
_Row = dict[str, str | None]


def check_batching(config: RunConfig, registry: Registry) -> int:
    """Compare the answers at two batch sizes, print the differences, and return the exit status.

    Raises:
        AdapterError: the model can neither generate nor rank, or the batch does not fit into memory.
    """
    size = SIZE if config.batch_size == "auto" else config.batch_size
    plan = RunPlan.resolve(config, registry)
    adapter = plan.create_adapter()
    try:
        plan = plan.for_model(traits_of(adapter))
        if not adapter.capabilities & {"generate", "rank"}:
            raise AdapterError(f"model {config.model!r} can neither generate nor rank: there is nothing to compare")
        differing: list[dict[str, Any]] = []
        compared = 0
        for task in plan.tasks:
            samples = list(_samples(task, adapter))
            compared += len(samples)
            alone, together = (_answers(adapter, task, samples, n, f"model {config.model!r}") for n in (1, size))
            for sample, one, many in zip(samples, alone, together, strict=True):
                differing += [
                    {"id": sample.id, "form": form, "alone": one[form], "batched": many[form]}
                    for form in one
                    if one[form] != many[form]
                ]
    finally:
        adapter.close()
    say(f"{compared} samples at batch size 1 and {size}: {len(differing)} answers differ", err=config.json)
    for row in differing:
        say(f"{row['id']} {row['form']}: {row['alone']!r} alone, {row['batched']!r} batched", err=config.json)
    if config.json:
        say_json({"samples": compared, "batch_size": size, "differing": differing})
    return int(bool(differing))


def _samples(task: Task, adapter: Adapter) -> list[Sample]:
    made = []
    for index in range(min(SAMPLES, len(task))):
        try:
            made.append(task.sample(index, adapter.image_size))
        except SampleError:
            continue  # a sample that cannot be made cannot be compared
    return made


def _answers(adapter: Adapter, task: Task, samples: Sequence[Sample], size: int, model: str) -> list[_Row]:
    """Return each sample's generated answer and most likely choice.

    Raises:
        AdapterError: the adapter returned what it may not, or the batch does not fit into memory.
    """
    found: list[_Row] = []
    can = frozenset[str](adapter.capabilities)
    try:
        for start in range(0, len(samples), size):
            part = tuple(samples[start : start + size])
            outputs = query_outputs(part, adapter, Needs(can, can), task.max_new_tokens, model)
            for sample, output in zip(part, outputs, strict=True):
                row: _Row = {"generate": output.text} if "generate" in adapter.capabilities else {}
                if scores := output.logprobs:
                    row["rank"] = sample.choices[max(range(len(scores)), key=scores.__getitem__)]
                found.append(row)
    except OutOfMemory as error:
        raise AdapterError(f"batch size {size} does not fit into memory; give a smaller --batch-size") from error
    return found
