"""The data types of vtbench.

    Task -> Sample -> adapter -> Output, VisualTokens -> metric -> Observation -> Record -> Score

A `Task` makes `Sample`s by index. An adapter maps samples to `Output`s and `VisualTokens`. A metric maps each sample to
an `Observation`, and reduces all observations of a task to `Score`s. A `Record` is the stored form of one sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from vtbench.scenes.scene import Scene

Capability = Literal["generate", "rank", "visual_tokens", "budget", "train", "context", "images"]
"""Optional abilities of an adapter: generate answers, rank given ones, return visual tokens, answer from a part of them
(`vtbench.budget`), be fine-tuned, read what stands before the question (`Sample.messages`: a system prompt, few-shot
examples), and read several images in one prompt."""

AnswerType = Literal["choice", "text", "graph"]
"""The form of an answer: one of the choices, free text, or a scene graph in the line grammar of vtbench."""

Role = Literal["system", "user", "assistant"]
"""Who says a message of a chat."""

Observation = Mapping[str, Any]
"""What a metric stores about one sample. Numbers, strings and short lists go to the sample's line of samples.jsonl,
numpy arrays to the metric's own file under visual/. Everything but the arrays is JSON-able."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: tuple[Image | str, ...]
    """Texts and images in their order."""


IMAGE_PLACE = "\ufffc"
"""In a prompt, the place of an image among the words (U+FFFC, the object replacement character of Unicode)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One question about one or more images."""

    id: str
    """Unique within a run, e.g. `relational/test/0/17` (task/split/seed/index)."""
    index: int
    images: tuple[Image, ...]
    """RGB images, in the order of the model's input; the built-in tasks have one per sample."""
    prompt: str
    """The question in the words of the prompt format; the adapter adds image placeholders and the chat template. The
    images stand before it, or at its `IMAGE_PLACE`s, where it has one for each image."""
    target: str
    choices: tuple[str, ...] = ()
    """The closed set of answers, for ranking; empty if the answer is open."""
    kind: str = ""
    """Kind of question, e.g. `colour` or `left`, for breakdowns. It is data, and decides nothing."""
    cluster: str = ""
    """Samples of one cluster share a scene (a minimal pair, for example), and intervals are clustered by it. Empty: a
    cluster of its own."""
    scene_hash: str = ""
    scene: Scene | None = None
    """The scene of a synthetic image; None for a user's own images."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Further facts for metrics and reports, JSON-able (the signed offset of a `precise_offset` item, for example)."""
    references: tuple[str, ...] = ()
    """Further right answers, beside `target`; an answer is right if it fits one of them."""
    answer_type: AnswerType | None = None
    """The form of the answer, which decides what metrics apply; None: `choice` with choices, else `text`."""
    question: str = ""
    """The bare question, where the prompt format puts more into `prompt`; empty: `prompt` is the question."""
    answer: str = ""
    """A right answer as the prompt format writes it (a letter, JSON), for few-shot examples; empty: `target`."""
    labels: tuple[str, ...] = ()
    """The letters that the prompt gives the choices, one for each in the order of `choices`: an answer may be one of
    them, and a ranking scores them. Empty: the prompt has no letters."""
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further words for answers, by the answer (`{"yes": ("ja", "oui")}`), which count as it."""
    system: str = ""
    """The system prompt."""
    examples: tuple[Sample, ...] = ()
    """Few-shot examples, questions with their right answers, which stand before this question."""
    multiturn: bool = True
    """Whether each example is a turn of a chat with an answer of the assistant, or all stand in the user's message."""
    repeat: int = 0
    """Which of several answers to the same question this one is, from 0; a model that samples gives each another."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """The chat that ends in the question: system prompt, examples, then the images and the prompt.

        Without `multiturn` there is one message of the user, in which each example is its images, prompt, a space, its
        answer and an empty line, as lm-eval writes it.
        """
        chat = [Message("system", (self.system,))] if self.system else []
        before: list[Image | str] = []
        for example in self.examples:
            said = example.answer or example.target
            if self.multiturn:
                chat += [Message("user", _interleaved(example, example.prompt)), Message("assistant", (said,))]
            else:
                before += _interleaved(example, f"{example.prompt} {said}\n\n")
        return (*chat, Message("user", (*before, *_interleaved(self, self.prompt))))

    @property
    def interleaved(self) -> bool:
        """Whether images stand amid the words of the prompt."""
        return bool(self.images) and self.prompt.count(IMAGE_PLACE) == len(self.images)

    @property
    def prompt_texts(self) -> tuple[str, ...]:
        """The texts of the prompt between its images: one, where the images stand before the question."""
        return tuple(part for part in _interleaved(self, self.prompt) if isinstance(part, str))


def _interleaved(sample: Sample, text: str) -> tuple[Image | str, ...]:
    """Return images and texts of a sample's message in their order."""
    if not sample.interleaved:
        return (*sample.images, text)
    pieces = text.split(IMAGE_PLACE)
    parts: list[Image | str] = [pieces[0]]
    for image, piece in zip(sample.images, pieces[1:], strict=True):
        parts += [image, piece]
    return tuple(part for part in parts if part != "")


def readable(prompt: str) -> str:
    """Return a prompt with `<image>` where an image stands among its words."""
    return prompt.replace(IMAGE_PLACE, "<image>")


@dataclass(frozen=True, slots=True)
class Output:
    """A model's answer to one sample. Parts that were not requested are None."""

    text: str | None = None
    logprobs: tuple[float, ...] | None = None
    """log p(choice | images, prompt) in nats, summed over the choice's tokens, one per entry of `Sample.choices`."""
    logprob_tokens: tuple[int, ...] | None = None
    """Number of tokens of each choice, for length-normalised ranking."""
    tokens_in: int | None = None
    """Prompt length in the model's tokens, including the visual tokens that the decoder reads, without padding."""
    visual_tokens_in: int | None = None
    """Number of visual tokens that the decoder reads, in its prompt or by cross-attention."""
    tokens_out: int | None = None
    """Number of generated tokens, with those of reasoning and the end token."""
    cost: float | None = None
    """Price of all queries about the sample, in the currency of the prices given to the adapter."""
    prefill_seconds: float | None = field(default=None, compare=False)
    """Time from the visual tokens to the first new token's logits: the token budget and the decoder's pass over the
    prompt, without the vision tower. The batch's wall time, divided evenly among its samples."""
    decode_seconds: float | None = field(default=None, compare=False)
    """Time of all new tokens after the first; the batch's wall time, divided evenly among its samples."""
    finish_reason: str | None = None
    """Why the text ends: `stop` (the model ended it), `length` (cut at the maximal number of tokens, or at the model's
    context), or an engine's own word; None if the engine does not say."""
    reasoning: str | None = None
    """What the model wrote before its answer, if the engine gives it apart from the answer; it is kept, not scored."""
    reasoning_tokens: int | None = None
    """How many of `tokens_out` are reasoning before the answer."""
    rendered_prompt: str | None = None
    """The prompt that was sent, with the chat template and one placeholder for each image; None if it is unknown."""


@dataclass(frozen=True, slots=True)
class VisualTokens:
    """A batch's visual tokens at one named layer."""

    layer: str
    tokens: Any
    """(n, N, d) floats: a numpy array, or a torch tensor on the model's device; n in the order of the batch. An adapter
    may return n arrays (N_i, d) where the samples have unequal numbers; metrics are shown those of one number
    together."""
    boxes: np.ndarray | Sequence[np.ndarray | None] | None = None
    """(N, 4) float: left, top, right, bottom of the image region of token i, as fractions of the image. Where images of
    several sizes are in a batch: one such array, or None, for each sample. None if tokens have no position (resampler
    queries)."""
    partial: bool = False
    """Whether the image enters the decoder by a further path too, which these tokens do not show."""

    def boxes_of(self, row: int) -> np.ndarray | None:
        """Return the boxes (N, 4) of one sample's tokens."""
        shared = self.boxes is None or getattr(self.boxes, "ndim", 0) == 2
        return cast("np.ndarray | None", self.boxes if shared else self.boxes[row])  # type: ignore[index]


@dataclass(frozen=True, slots=True)
class Score:
    """One score of the results table. `value` is None if it is undefined, never 0 or NaN instead."""

    value: float | None
    stderr: float | None = None
    interval: tuple[float, float] | None = None
    """95 % interval."""
    n: int = 0
    chance: float | None = None
    flags: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Further results that belong to this score (a breakdown by kind, a curve), JSON-able."""
    percent: bool = True
    """Whether tables show the value times 100."""


@dataclass(frozen=True, slots=True)
class Record:
    """The stored form of one sample: one line of samples.jsonl."""

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
    references: tuple[str, ...] = ()
    answer_type: AnswerType | None = None
    output: str | None = None
    finish_reason: str | None = None
    """That of `Output`: `length` if the answer was cut."""
    reasoning: str | None = None
    logprobs: tuple[float, ...] | None = None
    logprob_tokens: tuple[int, ...] | None = None
    scores: Mapping[str, Observation] = field(default_factory=dict)
    """Observations by metric name."""
    error: str | None = None
    """Why there is no answer; None if there is one. A failed sample counts neither as right nor as wrong."""
    transient: bool = False
    """Whether the error may be gone next time (a busy endpoint); `--resume` asks such a sample again."""
    seconds: float = 0.0
    tokens_in: int | None = None
    visual_tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float | None = None
    question: str = ""
    labels: tuple[str, ...] = ()
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repeat: int = 0
    rendered_prompt: str | None = None
    reasoning_tokens: int | None = None
    unobserved: Mapping[str, str] = field(default_factory=dict)
    """Why metrics have no observation of the answer, by metric name: they stand on the other samples."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The part of a report's sample row that is not in the record: thumbnails and cues."""

    index: int
    images: tuple[tuple[str, str], ...] = ()
    """(sha256, data URI of a thumbnail) of each image."""
    cues: tuple[tuple[str, str], ...] = ()
    """(cue, word) pairs of the scene's objects without repeats, e.g. `("colour", "red")`; empty without a scene."""


class Task(Protocol):
    """A benchmark whose samples are made by index: any process can make any slice, in any order."""

    name: str
    version: int
    description: str
    split: str
    metrics: tuple[str, ...]
    max_new_tokens: int
    """Maximal number of tokens of an answer."""

    def __len__(self) -> int: ...

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`, at `image_size` pixels if the task renders its own images.

        Raises:
            SampleError: this sample cannot be made (an unreadable image).
        """
        ...

    def config(self) -> dict[str, Any]:
        """Return every setting that decides what the samples are, JSON-able; it is part of the run's digest."""
        ...
