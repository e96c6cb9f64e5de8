"""The adapter protocol: how vtbench queries a model.

An adapter takes a batch of `Sample`s and returns one `Output` per sample, or the batch's `VisualTokens`. It declares
what it can do in `capabilities`, and the loop calls no other method. Each worker creates one adapter and uses it for
every task of a run. `BaseAdapter` has the defaults; `vtbench check MODEL` tests the contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

from annotated_types import Ge, Gt, Le, Lt

from vtbench.errors import AdapterError
from vtbench.types import Capability, Output, Sample, VisualTokens

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from vtbench.budget import Budget

PLAIN, INSTRUCT = "plain", "instruct"
"""Prompt formats that every task has: the bare question, and the one that says how to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """How a model generates (`--gen`), but for the number of tokens, which goes with each task.

    A factory that takes it has a parameter `generation`; it refuses what its engine cannot do.
    """

    temperature: Annotated[float, "0: the most likely token each time.", Ge(0), Lt(100)] = 0.0
    top_p: Annotated[float, "Sample from the most likely tokens that have this probability together.", Gt(0), Le(1)] = (
        1.0
    )
    top_k: Annotated[Annotated[int, Ge(1)] | None, "Sample from this many of the most likely tokens."] = None
    seed: Annotated[int, "Seed of the sampling; a sample's answer depends on it, the sample and the repeat.", Ge(0)] = 0
    until: Annotated[tuple[str, ...], "Texts at which an answer ends; they are not part of it."] = ()
    repeats: Annotated[int, "How many answers to each question.", Ge(1), Le(1000)] = 1

    @property
    def greedy(self) -> bool:
        """Whether nothing is drawn."""
        return self.temperature == 0

    def seed_of(self, sample: Sample) -> int:
        """Return the seed of one answer, below 2**31: a function of the run's seed, the sample and the repeat."""
        key = f"{self.seed}/{sample.id}/{sample.repeat}"
        return int.from_bytes(blake2b(key.encode(), digest_size=4).digest(), "little") >> 1


@dataclass(frozen=True, slots=True)
class Traits:
    """What a model is like, where a run depends on it: the attribute `traits` of an adapter, which may lack it."""

    prompt_format: str = INSTRUCT
    """The prompt format in which it is asked unless the user names one: `plain` for a model trained on our tasks."""
    reasons: bool = False
    """Whether it reasons before it answers, which takes more tokens than the answer."""
    metered: bool = False
    """Whether each answer is paid for, so that none is asked for twice."""


def traits_of(model: object) -> Traits:
    """Return the traits of an adapter or of an executor's model; the defaults if it has none."""
    traits = getattr(model, "traits", None)
    return traits if isinstance(traits, Traits) else Traits()


def readable_prompt(sample: Sample) -> str:
    r"""Return a sample's chat as a text for `Output.rendered_prompt`, where an engine shows no prompt of its own.

    >>> readable_prompt(Sample("q", 0, (), "Is it red?", "yes", system="Be brief."))
    'system: Be brief.\nuser: Is it red?'
    """
    return "\n".join(
        f"{message.role}: " + "".join(part if isinstance(part, str) else "<image>\n" for part in message.content)
        for message in sample.messages
    )


IGNORE_INDEX = -100
"""A training target that enters no loss: torch's default `ignore_index`."""


@runtime_checkable
class Adapter(Protocol):
    """A model behind a common interface.

    The loop calls `generate`, `rank` and `visual_tokens` in turn with the same batch, so an adapter may cache what they
    share (the image embeddings, for example) until the next batch.

    Any method may raise `vtbench.errors.OutOfMemory` (the loop retries with a smaller batch) or
    `vtbench.errors.SampleError` (the loop retries sample by sample, and the faulty one becomes a failed record).
    """

    capabilities: frozenset[Capability]
    image_size: int | None
    """Side in pixels of the model's input images, so that tasks render at that size; None for no preference."""
    layers: tuple[str, ...]
    """Names that `visual_tokens` accepts, the main one (`connector`) first; empty without the capability."""

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer, greedily unless the factory was given a `Generation`.

        `Output.text` is the continuation of the prompt, without special tokens.
        """
        ...

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Score each sample's `choices`: `Output.logprobs` and `Output.logprob_tokens`."""
        ...

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the batch's visual tokens: one `VisualTokens` per name in `layers`, in that order."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return what run.json records about the model, JSON-able and without secrets.

        The keys are `checkpoint`, `fingerprint` (sha256 of the weights), `parameters`, `device`, `dtype`, `versions`
        (of the backend's packages), and whatever else identifies the model.
        """
        ...

    def close(self) -> None:
        """Release memory and processes."""
        ...


@runtime_checkable
class BudgetAdapter(Adapter, Protocol):
    """A model that can answer from a part of its visual tokens (capability `budget`).

    Dropped tokens leave the decoder's sequence, which becomes shorter; `Output.tokens_in` and
    `Output.visual_tokens_in`, which are never None here, count the tokens that the decoder read. A budget of None, and
    one that keeps every token, give the answers of the full token set. The loop queries one batch under many budgets,
    so the vision tower and the connector should run once for all of them.
    """

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        """Decode greedily from the visual tokens that the budget gives.

        Raises:
            VtbenchError: the budget asks for more tokens than there are, or returns invalid weights
                (`checked_weights`).
        """
        ...

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        """Score each sample's `choices` from the visual tokens that the budget gives."""
        ...


@runtime_checkable
class TrainableAdapter(Adapter, Protocol):
    """A model of torch that `vtbench train` can fine-tune: it has the capability `train`.

    Training starts from `pretrained=BASE`, or without a base from the model that the adapter's factory loads by
    default, in float32. What `save` writes is loaded again by `pretrained=DIRECTORY`.

    Letters in the shapes: B samples of a batch, L tokens of a row, A tokens of all answers of a batch, V the
    vocabulary, N visual tokens of a sample, d their width. `inputs` is what `encode_training` returned but `targets`,
    on the model's device.
    """

    model: nn.Module
    """The model whose parameters are trained. Training moves it, and wraps linear layers for LoRA, in place."""
    parts: Mapping[str, tuple[str, ...]]
    """Dotted names of modules or parameters of `model`, by part: `vision`, `connector`, `text`.

    Every parameter is in exactly one part. A model without a vision tower has no `vision`.
    """

    def encode_training(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Return the batch of some samples: prompts and images as at test time, with `Sample.target` as the answer.

        It is called in a forked process, so it stays on the CPU.

        Returns:
            The inputs of `answer_logits` by name, and `targets` int64: (B, L) the token that should follow each token
            of the row, or (B, T) the answers' tokens alone, as an encoder-decoder has them; `IGNORE_INDEX` at all
            tokens that belong to no answer. No input may be called `numbers`.
        """
        ...

    def answer_logits(self, inputs: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """Return the logits (A, V) at the targets that are not `IGNORE_INDEX`, row by row, with gradients."""
        ...

    def connector_tokens(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return each sample's visual tokens as they leave the connector, (B, N, d), with gradients.

        Redundancy penalties and token budgets need them, before `answer_logits` of the same inputs.
        """
        ...

    def forget(self) -> None:
        """Clear what is cached of the last batch: the weights change between two steps."""
        ...

    def save(self, directory: Path, dtype: str) -> None:
        """Write the model as a checkpoint that the adapter loads again with `pretrained=DIRECTORY`.

        Args:
            directory: to write to; it exists and is empty.
            dtype: of the weights in the files: `float32` or `bfloat16`.
        """
        ...


@runtime_checkable
class BudgetTrainableAdapter(TrainableAdapter, Protocol):
    """A model that can be trained under a token budget: it has the capabilities `train` and `budget`."""

    def token_boxes(self, size: tuple[int, int], layer: str) -> np.ndarray | None:
        """Return the image region of each token of a layer.

        Args:
            size: width and height of the image in pixels.
            layer: name of the layer.

        Returns:
            (N, 4): left, top, right, bottom as fractions of the image; None where tokens have no location.
        """
        ...

    def budgeted_answer_logits(
        self, inputs: Mapping[str, Tensor], targets: Tensor, tokens: Tensor, weights: Sequence[np.ndarray]
    ) -> Tensor:
        """Return the logits (A, V) as `answer_logits` does, from the visual tokens that a budget gives.

        Args:
            inputs: of the batch.
            targets: of the batch.
            tokens: what `connector_tokens` returned, (B, N, d).
            weights: each sample's weights (k, N); row j makes one token, sum_i w_ji z_i (`vtbench.budget.Budget`).
        """
        ...


class BaseAdapter:
    """Base class with defaults: override those of `generate`, `rank` and `visual_tokens` that the model supports.

        class MyModel(BaseAdapter):
            def generate(self, samples, max_new_tokens):
                return [Output(text=my_model(s.images[0], s.prompt)) for s in samples]

    `capabilities` follow from the overridden methods unless the subclass sets them (as it must for `budget` and
    `train`). If `visual_tokens` is overridden, `layers` defaults to `("connector",)`.
    """

    capabilities: frozenset[Capability] = frozenset()
    image_size: int | None = None
    layers: tuple[str, ...] = ()
    traits: Traits = Traits()

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "capabilities" not in vars(cls):
            found = [name for name in _METHODS if getattr(cls, name) is not getattr(BaseAdapter, name)]
            cls.capabilities = cls.capabilities | frozenset(found)
        if "layers" not in vars(cls) and not cls.layers and "visual_tokens" in cls.capabilities:
            cls.layers = ("connector",)

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Raise `AdapterError`: the model cannot generate."""
        raise AdapterError(f"{type(self).__name__} cannot generate")

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Raise `AdapterError`: the model gives no log-probabilities."""
        raise AdapterError(f"{type(self).__name__} cannot rank answers")

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Raise `AdapterError`: the model gives no visual tokens."""
        raise AdapterError(f"{type(self).__name__} gives no visual tokens")

    def check_layers(self, layers: Sequence[str]) -> None:
        """Raise `AdapterError` for a name that is not in `layers`; an overridden `visual_tokens` begins with it."""
        if unknown := [layer for layer in layers if layer not in self.layers]:
            known = ", ".join(map(repr, self.layers)) or "none"
            raise AdapterError(f"{type(self).__name__} has no layer {unknown[0]!r}; its layers: {known}")

    def describe(self) -> Mapping[str, Any]:
        """Return the class's name; override it to record checkpoint, device and number format."""
        return {"checkpoint": f"{type(self).__module__}.{type(self).__qualname__}", "device": "cpu"}

    def close(self) -> None:
        """Do nothing; override it to release memory and processes."""

    def connector_tokens(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Refuse: the model cannot be trained under a redundancy penalty or a token budget."""
        raise AdapterError(f"{type(self).__name__} gives no connector tokens to train under a penalty or a budget")

    def forget(self) -> None:
        """Drop nothing."""


_METHODS: tuple[Capability, ...] = ("generate", "rank", "visual_tokens")
