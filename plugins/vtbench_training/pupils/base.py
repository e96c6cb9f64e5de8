"""What the small models share: a head of prompt and picture, packed texts behind it, one pass of the decoder over both.

In: pictures and packed token ids. Out: patches for the lessons in seeing, states for the lessons in saying. A family
says how pictures become its inputs (`pixels`), which tokens its decoder is given (`visual`) and where its patches are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from vtbench_llava.build import CHAT_TEMPLATE
from vtbench_training.recipe import Sizes
from vtbench_training.vocabulary import train_tokenizer
from vtbench_training.wording import Wording

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
Pixels = Mapping[str, Tensor]

TEMPLATE = CHAT_TEMPLATE.replace("<image>", "PICTURE")
"""LLaVA 1.5's turns, with `PICTURE` where a family writes what stands for a picture."""


class Pupil:
    """A small model of one family, and what training must know of it.

    Args:
        model: in float32.
        processor: its own.
        sizes: those that it was built with.
    """

    about: ClassVar[str]
    """What it is made of, for its card."""
    sees: ClassVar[tuple[str, ...]]
    """The modules that learn to see, and are left alone while the decoder learns to answer."""
    wording: ClassVar[Wording]
    """What stands around a question and its answer."""
    reads_both_ways: ClassVar[bool] = False
    """Whether all that precedes an answer sees all of it: then the picture's tokens know the question, and no two
    questions can share them."""
    head: list[int]
    """Token ids before the first question: what precedes the picture, and its placeholders."""

    def __init__(self, model: Any, processor: Any, sizes: Sizes) -> None:
        self.model, self.processor, self.sizes = model, processor, sizes

    @classmethod
    def build(cls, sizes: Any, seed: int) -> Self:
        """Return an untrained one, the same for the same arguments; the caller's random state is left alone."""
        raise NotImplementedError

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer behind the processor's."""
        backend: Tokenizer = self.processor.tokenizer.backend_tokenizer
        return backend

    @property
    def head_positions(self) -> Tensor:
        """Position of each token of the head, (axes, P); the text goes on after the largest."""
        return torch.arange(len(self.head))[None]

    @property
    def decoder(self) -> nn.Module:
        """The language model, without what makes words of its states."""
        module: nn.Module = self.model.model.language_model
        return module

    @property
    def patch_width(self) -> int:
        """Width of the tokens of `patches`."""
        return self.sizes.vision_hidden

    def pixels(self, pictures: Tensor) -> Pixels:
        """Return what the model is given of pictures, as its processor would make it.

        Args:
            pictures: (B, 3, S, S) uint8, S the model's own size.
        """
        return {"pixel_values": normalise(pictures)}

    def patches(self, pixels: Pixels) -> Tensor:
        """Return what the model has seen in each patch, row by row, (B, grid * grid, d).

        Here: a vision tower's tokens, without the one of its class.
        """
        tokens: Tensor = self.model.model.vision_tower(pixels["pixel_values"]).last_hidden_state[:, 1:]
        return tokens

    def visual(self, pixels: Pixels) -> Tensor:
        """Return the tokens that take the placeholders' places, (B, N, d)."""
        raise NotImplementedError

    def is_visual(self, ids: Tensor) -> Tensor:
        """Whether a token is a placeholder."""
        return ids == self.model.config.image_token_id

    def states(self, ids: Tensor, mask: Tensor, positions: Tensor, pixels: Pixels) -> tuple[Tensor, ...]:
        """Return the decoder's states in every layer, embeddings first, (B, P, d) each; words are made of the last.

        Args:
            ids: (B, P) int64.
            mask: (B, 1, P, P), to be added to the scores.
            positions: (B, P), or (axes, B, P) where there are several.
            pixels: what `pixels` gave.
        """
        return self.states_of(ids, mask, positions, self.visual(pixels))

    def states_of(self, ids: Tensor, mask: Tensor, positions: Tensor, seen: Tensor) -> tuple[Tensor, ...]:
        """Return the same of pictures that are visual tokens already, (B, N, d)."""
        embedded = self.model.get_input_embeddings()(ids)
        inputs = embedded.masked_scatter(self.is_visual(ids)[..., None], seen.to(embedded.dtype))
        out = self.decoder(
            inputs_embeds=inputs,
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
            output_hidden_states=True,
        )
        return tuple(out.hidden_states)

    def logits(self, states: Tensor) -> Tensor:
        """Return the scores of the next token, float32."""
        scores: Tensor = self.model.get_output_embeddings()(states)
        return scores.float()

    def seeing(self, learns: bool) -> None:
        """Let the modules that see learn, or leave them alone."""
        for name in self.sees:
            self.model.get_submodule(name).requires_grad_(learns)

    def save(self, directory: Any, dtype: torch.dtype) -> None:
        """Write the finished model as the hub has it."""
        from vtbench_llava.layout import save_published

        save_published(self.model.cpu().eval(), self.processor, directory, dtype)


def normalise(pictures: Tensor, mean: tuple[float, ...] = CLIP_MEAN, std: tuple[float, ...] = CLIP_STD) -> Tensor:
    """Return (B, 3, S, S) uint8 pictures as an image processor would hand them over, float32."""
    means, stds = (torch.tensor(values, device=pictures.device).view(1, 3, 1, 1) for values in (mean, std))
    return (pictures.float() / 255 - means) / stds


def built(make: Callable[[], Any], seed: int) -> Any:
    """Return a model in float32, the same for the same seed; the caller's random state is left alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make()
    model.generation_config.update(**special_ids())
    return model


def special_ids() -> dict[str, int]:
    """Return the ids that every config names."""
    return {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def fast_tokenizer(*more: str, **named: str) -> Any:
    """Return the benchmark's tokenizer as transformers', with further special tokens; `named` become its attributes."""
    from transformers import PreTrainedTokenizerFast

    backend = train_tokenizer()
    backend.add_special_tokens([token for token in (*more, *named.values()) if backend.token_to_id(token) is None])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=named,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def tower_sizes(sizes: Sizes) -> dict[str, int]:
    """Return the sizes of a vision tower, under the names of most configs."""
    return {
        "hidden_size": sizes.vision_hidden,
        "num_hidden_layers": sizes.vision_layers,
        "num_attention_heads": sizes.vision_heads,
        "intermediate_size": 4 * sizes.vision_hidden,
        "image_size": sizes.image_size,
        "patch_size": sizes.patch_size,
    }


def decoder_sizes(sizes: Sizes, vocabulary: int) -> dict[str, Any]:
    """Return the sizes of a decoder, under the names of most configs."""
    return {
        "hidden_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "intermediate_size": sizes.intermediate,
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        **special_ids(),
    }
