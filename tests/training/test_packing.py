"""Packed training sequences: each question is exactly the prompt that it will be at test time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vtbench.adapter import IGNORE_INDEX
from vtbench_training.pretrain.curriculum import Mention, PromptAnswer
from vtbench_training.pretrain.packing import Packer, block_mask, prefix_mask, unpack
from vtbench_training.small_models import random_model
from vtbench_training.small_models.llava import build_processor
from vtbench_training.small_models.sizes import Sizes
from vtbench_training.small_models.tokenizer import train_tokenizer

QUESTIONS = [
    PromptAnswer(
        "Where is the red circle relative to the blue square?", "left", (Mention(23, 0.1, 0.2), Mention(51, 0.3, 0.4))
    ),
    PromptAnswer("What colour is the star?", "red", (Mention(23, 0.5, 0.6),)),
    PromptAnswer("Describe the scene.", "1 large red striped circle ; 2 small blue solid square | 1 left 2", ()),
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer()


@given(text=st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_the_tokenizer_encodes_any_text(text: str) -> None:
    tokenizer = _shared()
    special = ("<pad>", "<s>", "</s>", "<image>")
    if not any(token in text for token in special):
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def _shared(cache: list = []):  # noqa: B006 - one tokenizer for all examples of a property
    if not cache:
        cache.append(train_tokenizer())
    return cache[0]


def test_every_answer_word_is_one_token(tokenizer) -> None:
    for word in ("yes", "no", "left", "right", "above", "below", "red", "crescent", "checkered", "large"):
        assert len(tokenizer.encode(f" {word}").ids) == 1, word


def test_a_packed_question_is_tokenised_as_the_chat_template_would(tokenizer) -> None:
    packer, processor = Packer(tokenizer, 64), build_processor(tokenizer, 112, 14)
    for text in QUESTIONS:
        parts = [{"type": "image"}, {"type": "text", "text": text.prompt}]
        chat = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
        encoded = packer.encode(text)
        prompt = [
            *tokenizer.encode("<s>USER: ").ids,
            tokenizer.token_to_id("<image>"),
            *encoded.ids[: encoded.answer_start],
        ]
        assert tokenizer.encode(chat).ids == prompt
        answer = tokenizer.decode(encoded.ids[encoded.answer_start :], skip_special_tokens=False)
        assert answer == f" {text.answer}</s>"


def test_named_objects_point_at_their_last_word(tokenizer) -> None:
    packer = Packer(tokenizer, 64)
    for text, ends in zip(QUESTIONS, (("circle", "square"), ("star",), ()), strict=True):
        encoded = packer.encode(text)
        words = [tokenizer.decode([encoded.ids[place]]).strip() for place, _, _ in encoded.mentions]
        assert tuple(words) == ends


def test_packing_changes_no_logit(tokenizer) -> None:
    """Several questions under the block mask give what each gives alone under a plain causal mask."""
    packer = Packer(tokenizer, 11)
    sizes = Sizes(
        vision_hidden=20, vision_layers=1, hidden=20, layers=2, heads=5, kv_heads=5, intermediate=16,
        image_size=28,
    )  # fmt: skip
    model = random_model("llava", sizes)[0].eval()
    language, embed = model.model.language_model, model.model.language_model.embed_tokens
    before = packer.start
    prefix = torch.randn(1, before, 20, generator=torch.Generator().manual_seed(0))
    batch = packer.batch([QUESTIONS])
    positions = torch.cat([torch.arange(before)[None], batch["positions"]], 1)
    with torch.no_grad():
        packed = language(
            inputs_embeds=torch.cat([prefix, embed(batch["ids"])], 1),
            attention_mask=block_mask(batch["segments"], before),
            position_ids=positions,
            use_cache=False,
        ).last_hidden_state[0, before:]
        for number, text in enumerate(QUESTIONS):
            ids = torch.tensor([packer.encode(text).ids])
            alone = language(inputs_embeds=torch.cat([prefix, embed(ids)], 1), use_cache=False).last_hidden_state
            mine = batch["segments"][0] == number
            torch.testing.assert_close(packed[mine], alone[0, before:], atol=1e-5, rtol=1e-4)


def test_targets_are_the_next_tokens_of_answers_alone(tokenizer) -> None:
    packer = Packer(tokenizer, 64)
    batch = packer.batch([QUESTIONS, QUESTIONS[:1]])
    said = batch["targets"][0][batch["targets"][0] != IGNORE_INDEX].tolist()
    assert tokenizer.decode(said, skip_special_tokens=False) == "".join(f" {q.answer}</s>" for q in QUESTIONS)
    assert (batch["targets"][1] != IGNORE_INDEX).sum() == 2
    assert (batch["segments"][1] == -1).any()


def test_a_batch_taken_apart_has_each_question_in_a_row_of_its_own(tokenizer) -> None:
    packer = Packer(tokenizer, 64)
    rows = [QUESTIONS, QUESTIONS[1:2], QUESTIONS[:2]]
    batch = packer.batch(rows)
    groups = list(unpack(batch))
    assert [texts.image.tolist() for texts in groups] == [[0, 1, 2], [0, 2], [0]]
    for number, texts in enumerate(groups):
        encoded = [packer.encode(rows[image][number]) for image in texts.image]
        assert texts.prompt.tolist() == [one.answer_start for one in encoded]
        assert [ids[keep].tolist() for ids, keep in zip(texts.ids, texts.real, strict=True)] == [
            one.ids for one in encoded
        ]
        assert torch.equal(texts.ids[texts.real], batch["ids"][texts.packed])
    assert torch.equal(sum(texts.packed.int() for texts in groups), (batch["segments"] >= 0).int())


def test_a_prompt_is_read_both_ways_and_an_answer_is_not() -> None:
    seen_by = prefix_mask(torch.tensor([2, 3]), 4)[:, 0].int().tolist()
    assert seen_by[0] == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert seen_by[1] == [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
