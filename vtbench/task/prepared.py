"""Tasks as a run asks them: in a prompt format, with what stands before each question, limited and repeated.

    task -> InFormat -> WithContext -> Limited -> Repeated

Each wraps a task and passes on what it does not change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from vtbench.metric import Metric, TaskWithMetrics
from vtbench.task.fewshot import ExamplePool
from vtbench.task.formats import PromptFormat, choose, vocabulary
from vtbench.task.sources import FileTask, MixTask
from vtbench.types import Sample, Task


class Wrapped:
    """Base: a task that passes everything on."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __len__(self) -> int:
        return len(self._task)

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`."""
        return self._task.sample(index, image_size)

    def config(self) -> dict[str, Any]:
        """Return the task's settings."""
        return self._task.config()

    @property
    def metric_factories(self) -> Mapping[str, Callable[[], Metric]]:
        """The task's own metrics; a property, since protocol checks do not see attributes from `__getattr__`."""
        return self._task.metric_factories if isinstance(self._task, TaskWithMetrics) else {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy and pickle look up such names before `_task` is set
            raise AttributeError(name)
        return getattr(self._task, name)


class InFormat(Wrapped):
    """A task in one of its prompt formats other than `plain`."""

    def __init__(self, task: FileTask, name: str, format: PromptFormat) -> None:
        super().__init__(cast(Task, task))
        self._name, self._format = name, format
        self._words = vocabulary(task.spec.scene, format.answer) if task.spec.family else {}
        self.max_new_tokens: int = format.max_new_tokens or task.max_new_tokens

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`, with its prompt in the format."""
        return self._format.apply(self._task.sample(index, image_size), self._words)

    def config(self) -> dict[str, Any]:
        """Return the task's settings and the format."""
        return {
            **self._task.config(),
            "max_new_tokens": self.max_new_tokens,
            "prompt_format": self._name,
            "format": self._format.model_dump(mode="json"),
        }


def in_format(task: Task, name: str) -> Task:
    """Return a task in a prompt format.

    Args:
        task: in the format `plain`.
        name: of the format. `instruct` is the bare question where a task has no such text.

    Raises:
        TaskError: the task has no such format.
    """
    if isinstance(task, MixTask):
        return MixTask(task.spec, [in_format(part, name) for part in task.parts])
    known = task.spec.formats if isinstance(task, FileTask) else {}
    format = choose(known, name, task.name)
    return task if format is None else InFormat(cast(FileTask, task), name, format)


class WithContext(Wrapped):
    """A task with a system prompt, few-shot examples, or both, before each question.

    Args:
        task: in its prompt format.
        system: the system prompt; empty for none.
        pool: gives the examples.
        multiturn: whether the examples are turns of a chat.
    """

    def __init__(self, task: Task, system: str, pool: ExamplePool | None, multiturn: bool) -> None:
        super().__init__(task)
        self._system, self._pool, self._multiturn = system, pool, multiturn

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index` with what stands before it."""
        sample = replace(self._task.sample(index, image_size), system=self._system, multiturn=self._multiturn)
        return sample if self._pool is None else replace(sample, examples=self._pool.draw(sample, image_size))

    def config(self) -> dict[str, Any]:
        """Return the task's settings, and where the examples are from."""
        return {**self._task.config(), **({"fewshot": self._pool.describe()} if self._pool else {})}


class Limited(Wrapped):
    """The first samples of a task (`--limit`).

    Args:
        task: any task.
        limit: number of samples; below 1, the share of them, rounded up as lm-eval does.
    """

    def __init__(self, task: Task, limit: float) -> None:
        super().__init__(task)
        self._n = math.ceil(len(task) * limit) if limit < 1 else int(limit)
        self.unlimited: int = getattr(task, "unlimited", len(task))
        """Samples of the whole task."""

    def __len__(self) -> int:
        return min(self._n, len(self._task))


class Repeated(Wrapped):
    """Each question `k` times: sample `k * i + r` is repeat `r` of the task's sample `i`, all of one cluster."""

    def __init__(self, task: Task, k: int) -> None:
        super().__init__(task)
        self.repeats = k

    def __len__(self) -> int:
        return len(self._task) * self.repeats

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make a repeat of a sample."""
        number, repeat = divmod(index, self.repeats)
        sample = self._task.sample(number, image_size)
        name = f"{sample.id}~{repeat}" if repeat else sample.id
        return replace(sample, id=name, index=index, repeat=repeat, cluster=sample.cluster or sample.id)


class AtMost(Wrapped):
    """A task whose answers may have another number of tokens."""

    def __init__(self, task: Task, max_new_tokens: int) -> None:
        super().__init__(task)
        self.max_new_tokens = max_new_tokens

    def config(self) -> dict[str, Any]:
        """Return the task's settings, and the number of tokens."""
        return {**self._task.config(), "max_new_tokens": self.max_new_tokens}
