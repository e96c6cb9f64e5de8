"""A LLaVA around a pretrained decoder: any causal language model of transformers -> CLIP tower, new connector, decoder.

The decoder keeps its tokenizer, to which `<image>` is added behind all others, and its chat template, in which the
image stands before the question. `DecoderLlava` trains its connector, and all of the decoder or LoRA updates to it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from vtbench.errors import AdapterError, VtbenchError, install_command
from vtbench_hf.checkpoint.arguments import LoadArguments
from vtbench_hf.checkpoint.loader import LoadedModel
from vtbench_language.loader import load as load_language_model
from vtbench_training.finetune.trainable import with_lora
from vtbench_training.small_models.components import chat_template, tower_sizes
from vtbench_training.small_models.llava import IMAGE, Llava
from vtbench_training.small_models.sizes import Sizes

_TOLERANCE = 1e-3
"""Largest difference of the logits, as a share of their largest, between the decoder alone and within the LLaVA."""
_GGUF = b"GGUF"
_HUB_NAME = re.compile(r"[\w-][\w.-]*(?<!\.gguf)(/[\w-][\w.-]*(?<!\.gguf))?", re.ASCII | re.IGNORECASE)
_WANTED = (
    "Wanted: a causal language model, as a directory with config.json, weights and tokenizer, a GGUF file, or a name"
    " on the hub like org/model"
)
_JOINED_CONTENT = (
    "{%- set joined = namespace(messages=[]) -%}"
    "{%- for message in messages -%}"
    "{%- set said = namespace(text='') -%}"
    "{%- if message['content'] is string -%}{%- set said.text = message['content'] -%}"
    "{%- else -%}"
    "{%- for part in message['content'] if part['type'] == 'image' -%}"
    "{%- set said.text = said.text + '" + IMAGE + "\\n' -%}"
    "{%- endfor -%}"
    "{%- for part in message['content'] if part['type'] == 'text' -%}"
    "{%- set said.text = said.text + part['text'] -%}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{%- set joined.messages = joined.messages + [{'role': message['role'], 'content': said.text}] -%}"
    "{%- endfor -%}"
    "{%- set messages = joined.messages -%}"
)
"""Turns the parts of each message into a text, which is what the template of a language model takes."""


class DecoderLlava(Llava):
    """A LLaVA whose decoder was pretrained.

    Args:
        model: as `build` returns it.
        processor: its own.
        sizes: of tower and image; those of the decoder are its own.
        lora: rank of the updates to the decoder; 0 trains all its weights.
        seed: of the updates.

    Raises:
        VtbenchError: peft is not installed, or a prompt cut at the image and at the answer has other tokens than whole.
    """

    description = "CLIP ViT, two-layer MLP connector, a pretrained decoder"

    def __init__(self, model: Any, processor: Any, sizes: Sizes, lora: int = 0, seed: int = 0) -> None:
        super().__init__(model, processor, sizes)
        self._check_cuts()
        self._with_updates: Any = None
        if lora:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self._with_updates = with_lora(model, lora, (*self.vision_modules, "model.multi_modal_projector"))
            model.model.multi_modal_projector.requires_grad_(True)  # the updates froze everything else

    def _check_cuts(self) -> None:
        tokenizer, question, answer = self.processor.tokenizer, "Where is the star?", "left of it"
        texts = (self.before_image, IMAGE, self.prompt_format.question(question), self.prompt_format.answer(answer))
        parts = [id for text in texts for id in tokenizer.encode(text, add_special_tokens=False)]
        if parts != tokenizer.encode("".join(texts), add_special_tokens=False):
            raise VtbenchError(
                f"decoder: its tokenizer ({type(tokenizer).__name__}) has other tokens for a prompt that is cut at the"
                " image than for the whole; take a decoder with a byte-level tokenizer (llama 3, qwen2, smollm2, ...)"
            )

    def train_decoder(self, enabled: bool) -> None:
        """Train the decoder with its output layer, or the updates to it, or freeze all of it."""
        for part in (self.decoder, self.model.get_output_embeddings()):
            for name, parameter in part.named_parameters():
                parameter.requires_grad_(enabled and (self._with_updates is None or "lora_" in name))

    def save(self, directory: Path, dtype: torch.dtype) -> None:
        """Write the model, with the updates merged into its weights, in the published layout."""
        if self._with_updates is not None:
            self._with_updates.merge_and_unload()
            self._with_updates = None
        super().save(directory, dtype)


def build(decoder: str, sizes: Sizes, seed: int = 0) -> tuple[LlavaForConditionalGeneration, LlavaProcessor, str]:
    """Return a LLaVA in float32 with a pretrained decoder, all else random, its processor and the decoder's sha256.

    Args:
        decoder: a causal language model: a directory with its tokenizer, a GGUF file, or a name on the hub.
        sizes: of tower and image.
        seed: of the random weights; the caller's random state is left alone.

    Raises:
        VtbenchError: it cannot be read, or LLaVA's classes do not compute what it computes.
    """
    loaded = _load(decoder)
    language, tokenizer = loaded.model, loaded.processor.tokenizer
    probe = torch.tensor([tokenizer.encode("Where is the star?", add_special_tokens=False)])
    with torch.no_grad():
        alone = language(probe).logits
    image_token = add_image_token(language, tokenizer)
    tied = bool(language.config.tie_word_embeddings)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**tower_sizes(sizes), projection_dim=sizes.vision_hidden),
        text_config=language.config,
        image_token_index=image_token,
        image_seq_length=sizes.grid**2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=tied,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(language.base_model.state_dict())
    head = language.get_output_embeddings()
    if not tied and head is not None:
        model.lm_head.load_state_dict(head.state_dict(), strict=False)  # a bias that it lacks shows in the logits
    model.generation_config = language.generation_config
    with torch.no_grad():
        within = model.eval()(input_ids=probe).logits
    if (within[..., : alone.shape[-1]] - alone).abs().max() > _TOLERANCE * alone.abs().max():
        raise VtbenchError(
            f"decoder: {decoder} is a {language.config.model_type!r} model, whose logits LLaVA's classes do not"
            " compute; take one of another type (llama, qwen2, ...)"
        )
    return model, _processor(tokenizer, loaded.processor.chat_template, sizes), str(loaded.fingerprint())


def _load(decoder: str) -> LoadedModel:
    """Return the causal language model.

    Raises:
        VtbenchError: it is not there, or no such model; the message says what was looked for and what to name.
    """
    path = Path(decoder).expanduser()
    problem = None
    if path.suffix.lower() == ".gguf" and path.is_file():
        try:
            with path.open("rb") as file:
                if file.read(len(_GGUF)) != _GGUF:
                    problem = "this is no GGUF file, as it does not begin with 'GGUF'; download or convert it again"
        except OSError as error:
            problem = f"it cannot be read ({error.strerror})"
    elif path.is_file():
        problem = "this is a file; name the directory that it lies in, or a GGUF file"
    elif not path.exists() and _HUB_NAME.fullmatch(decoder) is None:
        problem = "there is no such directory or GGUF file, and it is no name on the hub either"
    if problem is None:
        try:
            place = str(path) if path.exists() else decoder
            return load_language_model("llava", LoadArguments(pretrained=place, device="cpu", dtype="float32"))
        except ModuleNotFoundError as error:
            raise VtbenchError(f"--decoder {decoder}: {error}: {install_command('gguf')}") from error
        except AdapterError as error:
            problem = str(error).removeprefix("--model llava: ")
    raise VtbenchError(f"--decoder {decoder}: {problem}. {_WANTED}")


def add_image_token(language: Any, tokenizer: Any) -> int:
    """Add `<image>` behind all tokens, unless it is there, with a row of embeddings of its own; return its id.

    The row is the mean of the others, so that it is as likely as the average token where the output layer shares it;
    as an input it is never read, since visual tokens replace it.

    Args:
        language: a causal language model; its embeddings grow where they have no row to spare.
        tokenizer: its own.
    """
    token = AddedToken(IMAGE, special=True, normalized=False)
    if IMAGE not in tokenizer.get_vocab():
        tokenizer.add_tokens([token], special_tokens=True)
    rows = language.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        language.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        with torch.no_grad():
            for layer in (language.get_input_embeddings(), language.get_output_embeddings()):
                layer.weight[rows:] = layer.weight[:rows].mean(dim=0)
    found: int = tokenizer.convert_tokens_to_ids(IMAGE)
    return found


def _processor(tokenizer: Any, template: str | None, sizes: Sizes) -> LlavaProcessor:
    """Return the processor: CLIP's resize, crop and normalise, and the chat template with an image before the question.

    A decoder without a chat template gets that of LLaVA 1.5.
    """
    pixels = CLIPImageProcessorPil(
        size={"shortest_edge": sizes.image_size}, crop_size={"height": sizes.image_size, "width": sizes.image_size}
    )
    tokenizer.chat_template = None  # the processor has one, which takes images
    return LlavaProcessor(
        image_processor=pixels,
        tokenizer=tokenizer,
        patch_size=sizes.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE,
        chat_template=_JOINED_CONTENT + template if template else chat_template(IMAGE),
    )
