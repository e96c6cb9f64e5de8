"""Every noun of vtbench, on one screen.

    Task -> Sample -> adapter -> Output, VisualTokens -> metric -> Observation -> Record -> Score

A `Task` makes `Sample`s by index. An adapter turns samples into `Output`s and `VisualTokens`. A metric turns each
sample into an `Observation`, and all observations of a task into `Score`s. A `Record` is what is kept of one sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from vtbench.scenes.scene import Scene

Capability = Literal["generate", "rank", "visual_tokens", "budget", "train"]
"""What an adapter may be able to do: answer, weigh given answers, show its visual tokens, answer from a part of them
(`vtbench.budget`), be trained."""

Observation = Mapping[str, Any]
"""What a metric must remember of one sample. Numbers, strings and short lists are written into the sample's line of
samples.jsonl; numpy arrays go to the metric's own file under visual/. JSON-able apart from the arrays."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One question about one or more images."""

    id: str
    """Unique within a run, e.g. `relational/test/0/17` (task/split/seed/index)."""
    index: int
    images: tuple[Image, ...]
    """RGB images, in the order the model sees them; one for every task of today."""
    prompt: str
    """The question, without any image placeholder or chat template: those are the adapter's."""
    target: str
    choices: tuple[str, ...] = ()
    """The closed set of answers, for ranking; empty where the answer is open."""
    kind: str = ""
    """What is asked, e.g. `colour`, `left_of`, for breakdowns."""
    cluster: str = ""
    """Samples of one cluster share a scene (a minimal pair, say): intervals are clustered by it. Empty: its own."""
    scene_hash: str = ""
    scene: Scene | None = None
    """The truth behind a synthetic image; None for a user's own images."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Further facts for metrics and reports, JSON-able (the signed offset of a `precise_offset` item, say)."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a model said about one sample. Each part is None where it was not asked for."""

    text: str | None = None
    logprobs: tuple[float, ...] | None = None
    """log p(choice | images, prompt) in nats, summed over the choice's tokens, one for each of `Sample.choices`."""
    logprob_tokens: tuple[int, ...] | None = None
    """How many tokens each choice has, for length-normalised ranking."""
    tokens_in: int | None = None
    """Prompt length in the model's own tokens: visual tokens that the decoder reads included, padding not."""
    visual_tokens_in: int | None = None
    """How many visual tokens the decoder reads, in its prompt or by cross-attention."""
    tokens_out: int | None = None
    """How many tokens the answer took, the one that ends it included; where a model is paid by them."""
    cost: float | None = None
    """What was paid for all that was asked about the sample, in the currency of the prices that the adapter knows."""
    prefill_seconds: float | None = field(default=None, compare=False)
    """From the visual tokens to the first new token's logits: a token budget's own work and the decoder's pass over the
    prompt, the vision tower not. The batch's wall time, shared out evenly."""
    decode_seconds: float | None = field(default=None, compare=False)
    """All new tokens after the first; the batch's wall time, shared out evenly."""


@dataclass(frozen=True, slots=True)
class VisualTokens:
    """A batch's visual tokens at one named layer."""

    layer: str
    tokens: Any
    """(n, N, d) floats: numpy array or torch tensor on the model's device; row order as in the batch."""
    boxes: np.ndarray | None = None
    """(N, 4) float: left, top, right, bottom of the image part that token i stands for, as fractions of the image.
    None where a token has no place of its own (resampler queries)."""


@dataclass(frozen=True, slots=True)
class Score:
    """One number of the results table. `value` is None where it cannot be said, never 0 or NaN instead."""

    value: float | None
    stderr: float | None = None
    interval: tuple[float, float] | None = None
    """95 %."""
    n: int = 0
    chance: float | None = None
    flags: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Further numbers that belong to this one (a breakdown by kind, a curve), JSON-able."""
    percent: bool = True
    """Whether tables show the value times 100."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a run keeps of one sample: one line of samples.jsonl."""

    task: str
    id: str
    index: int
    prompt: str
    target: str
    choices: tuple[str, ...] = ()
    kind: str = ""
    cluster: str = ""
    scene_hash: str = ""
    image_sha256: tuple[str, ...] = ()
    """sha256 of each image's decoded RGB bytes."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    output: str | None = None
    logprobs: tuple[float, ...] | None = None
    scores: Mapping[str, Observation] = field(default_factory=dict)
    """By metric name."""
    error: str | None = None
    """Why there is no answer. A failed sample is a record: neither a wrong answer nor a crash."""
    seconds: float = 0.0
    tokens_in: int | None = None
    visual_tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a report shows of one sample beside its record."""

    index: int
    images: tuple[tuple[str, str], ...] = ()
    """(sha256, data URI of a thumbnail) of each image."""
    cues: tuple[tuple[str, str], ...] = ()
    """(cue, word) of the scene's objects, each once, e.g. `("colour", "red")`; empty without a scene."""


class Task(Protocol):
    """A benchmark that makes its samples by index: any slice is a shard, in any order, in any process."""

    name: str
    version: int
    description: str
    split: str
    metrics: tuple[str, ...]
    max_new_tokens: int
    """How many tokens an answer may take."""

    def __len__(self) -> int: ...

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`, rendered at `image_size` pixels where the task draws its own images.

        Raises:
            SampleError: this one sample cannot be made (an unreadable image).
        """
        ...

    def config(self) -> dict[str, Any]:
        """Every setting that decides what the samples are, JSON-able: part of the run's digest."""
        ...
