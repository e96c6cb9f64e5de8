"""What a tiny checkpoint is made of, and how a model and its processor are made of that.

A recipe names classes of transformers and gives their arguments. Values may hold a `Part` or a `Token`, which are made
when the recipe is built, so that a table of recipes imports no backend and a type that cannot be built spoils no other.

A recipe's model has the class that transformers' own mappings give its config.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VOCABULARY = 768
"""Number of token ids of every model: room for the words of the benchmark and what processors add."""


@dataclass(frozen=True, slots=True)
class Token:
    """The id of a special token of the recipe's tokenizer."""

    text: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The ids of all tokens of the recipe's tokenizer, by their text."""


@dataclass(frozen=True, slots=True)
class SecondTokenizer:
    """A copy of the recipe's tokenizer that pads on the right, as a Q-Former has it."""


@dataclass(frozen=True, slots=True)
class Part:
    """An object of transformers that is to be made: `Part("CLIPImageProcessor", {"do_resize": False})`."""

    kind: str
    """Name of a class of transformers."""
    values: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    """Attributes that are set on it afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFacts:
    """How the documentation of transformers asks a model about an image."""

    prompt: str = "{question}"
    """The prompt of a processor without a chat template, with its placeholder."""
    interleaved: bool = False
    """Whether the processor takes images and texts in one list."""
    processor_call: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the processor's call."""
    answer_values: Mapping[str, int] = field(default_factory=dict)
    """Inputs with a value for each token, and their value at an answer's tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Of one model type: tokenizer, config and processor."""

    config: Mapping[str, Any]
    """Arguments of the config."""
    processor: str
    """Class of the processor."""
    parts: Mapping[str, Any]
    """Arguments of the processor beside its tokenizer and chat template."""
    tokens: tuple[str, ...] = ()
    """Special tokens of the tokenizer."""
    named: Mapping[str, str] = field(default_factory=dict)
    """Special tokens that are attributes of the tokenizer: `image_token`."""
    chat: str | None = None
    """The chat template; None for a processor that has none."""
    facts: PromptFacts = PromptFacts()
    config_class: str | None = None
    """Class of the config; by default the one that transformers has for the model type."""
    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    """Attributes that are set on the tokenizer."""
    generation: Mapping[str, Any] = field(default_factory=dict)
    """Values of the model's generation config."""
    files: Mapping[str, Any] = field(default_factory=dict)
    """Further files of the checkpoint, by name: what `torch.load` reads from each."""


def build(model_type: str, recipe: Recipe, seed: int = 0) -> tuple[Any, Any]:
    """Return a model in float32 and evaluation mode with random weights, and its processor.

    Raises:
        Exception: whatever transformers raises where the installed version, or a package that it lacks, does not allow
            this model.
    """
    import torch
    import transformers

    from vtbench_training.small_models.tokenizer import bpe_tokenizer

    tokenizer = bpe_tokenizer(*recipe.tokens, **recipe.named)
    for name, value in recipe.tokenizer.items():
        setattr(tokenizer, name, value)
    kind = getattr(transformers, recipe.config_class) if recipe.config_class else _config_class(model_type)
    config = kind(**_made(recipe.config, tokenizer))
    parts = _made(recipe.parts, tokenizer)
    if recipe.chat:
        parts["chat_template"] = recipe.chat
    processor = getattr(transformers, recipe.processor)(tokenizer=tokenizer, **parts)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = auto_class(model_type).from_config(config, dtype=torch.float32).eval()
        spread(model)
    model.generation_config.update(**recipe.generation)
    return model, processor


def save_files(recipe: Recipe, directory: Path) -> None:
    """Write the files of a checkpoint that neither its model nor its processor writes."""
    import torch

    for name, value in recipe.files.items():
        torch.save(value, directory / name)


def auto_class(model_type: str) -> Any:
    """Return the auto class that loads a model type: the image-text one, or the one for more modalities."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as IMAGE_TEXT

    return (
        transformers.AutoModelForImageTextToText if model_type in IMAGE_TEXT else transformers.AutoModelForMultimodalLM
    )


def _config_class(model_type: str) -> Any:
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[model_type]


def _made(value: Any, tokenizer: Any) -> Any:
    """Return a value with the parts and tokens in it made."""
    import transformers

    if isinstance(value, Part):
        made = getattr(transformers, value.kind)(**_made(value.values, tokenizer))
        for name, attribute in value.after.items():
            setattr(made, name, attribute)
        return made
    if isinstance(value, Token):
        found = tokenizer.convert_tokens_to_ids(value.text)
        if found is None or found == tokenizer.unk_token_id:
            raise KeyError(f"the tokenizer has no token {value.text!r}")
        return found
    if isinstance(value, Vocabulary):
        return tokenizer.get_vocab()
    if isinstance(value, SecondTokenizer):
        copy = deepcopy(tokenizer)
        copy.padding_side = "right"
        return copy
    if isinstance(value, Mapping):
        return {name: _made(one, tokenizer) for name, one in value.items()}
    if isinstance(value, list):
        return [_made(one, tokenizer) for one in value]
    return value


def spread(model: Any) -> None:
    """Make weights large enough that one image, or one answer, can be told from another, in place.

    Initial weights are small, and some matrices (learned queries, projections) begin as zeros or ones.
    """
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim < 2 or not weight.is_floating_point():
                continue
            if weight.numel() > 1 and bool((weight == weight.flatten()[0]).all()):
                weight.normal_(0, 0.1)
            weight.mul_(4)
