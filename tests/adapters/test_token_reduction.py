"""Token budgets on random models of three architectures: the decoder reads the remaining tokens and nothing else."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tiny_models
import torch

from vtbench.budget import Budget, checked_weights
from vtbench.errors import SampleError
from vtbench.types import Sample, VisualTokens
from vtbench_budgets import DownSample, GridKeep, RandomKeep, TokenCount
from vtbench_hf.adapter import HFAdapter
from vtbench_hf.generation import until_stop
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_llava.adapter import LlavaAdapter

BUDGETS = [
    RandomKeep(TokenCount(fraction=0.5)),
    GridKeep(TokenCount(count=1)),
    DownSample(TokenCount(count=3)),
    GridKeep(TokenCount(count=0)),
    RandomKeep(TokenCount(fraction=1)),
]


@pytest.fixture(scope="module", params=tiny_models.MERGED)
def adapter(request) -> MergedAdapter:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MergedAdapter(tiny_models.loaded(request.param))


def _by_hand(adapter: MergedAdapter, sample: Sample, budget: Budget, added: list[int]) -> torch.Tensor:
    """Return the logits after a prompt and `added` tokens from one forward pass: no batch, no padding, no cache.

    The prompt is put together token by token, from the model's own embedding layer and connector.
    """
    inputs = adapter.model_inputs([sample])
    ids = inputs["input_ids"][0].tolist()
    embed = adapter.model.get_input_embeddings()
    (visual,) = adapter.visual_tokens([sample], ["connector"])
    (weights,) = checked_weights(budget, visual, [sample.id])
    slots = [i for i, token in enumerate(ids) if token == adapter.model.config.image_token_id]
    parts = [(i, embed(torch.tensor(token))) for i, token in enumerate(ids) if i not in slots]
    parts += [(slots[int(row.argmax())], torch.from_numpy(row) @ visual.tokens[0]) for row in weights]
    parts.sort(key=lambda part: part[0])
    parts += [(len(ids) + i, embed(torch.tensor(token))) for i, token in enumerate(added)]
    with torch.no_grad():
        embeds = torch.stack([embedding for _, embedding in parts])[None]
        positions = torch.tensor([[place for place, _ in parts]])
        logits: torch.Tensor = adapter.model(inputs_embeds=embeds, position_ids=positions).logits[0]
    return logits[-len(added) - 1 :]


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.name)
def test_answers_and_likelihoods_are_those_of_a_prompt_put_together_by_hand(adapter, budget):
    samples = tiny_models.batch()
    answers, ranked = adapter.generate(samples, 4, budget), adapter.rank(samples, budget)
    for sample, answer, rank in zip(samples, answers, ranked, strict=True):
        tokens: list[int] = []
        for _ in range(4):
            tokens.append(int(_by_hand(adapter, sample, budget, tokens)[-1].argmax()))
        expected = adapter.tokenizer.decode(until_stop(tokens, [2]), skip_special_tokens=True).strip()
        assert answer.text == expected
        ids = adapter.model_inputs([sample])["input_ids"][0].tolist()
        for choice, logprob in zip(sample.choices, rank.logprobs, strict=True):
            chosen = adapter.choice_tokenizer(ids, choice)
            logits = _by_hand(adapter, sample, budget, chosen)[:-1].double().log_softmax(-1)
            assert logprob == pytest.approx(logits.gather(1, torch.tensor(chosen)[:, None]).sum().item(), abs=1e-4)


def test_what_is_left_decides(adapter):
    """Fewer tokens, another belief; without any, all images are alike."""
    samples = tiny_models.batch()
    whole, none = adapter.rank(samples), adapter.rank(samples, GridKeep(TokenCount(count=0)))
    half = adapter.rank(samples, RandomKeep(TokenCount(fraction=0.5)))
    for a, b in ((whole, none), (whole, half), (none, half)):
        assert all(x.logprobs != pytest.approx(y.logprobs, abs=1e-3) for x, y in zip(a, b, strict=True))
    other = [tiny_models.sample(7 + i, s.prompt, s.choices) for i, s in enumerate(samples)]
    blind = adapter.rank(other, GridKeep(TokenCount(count=0)))
    assert [o.logprobs for o in blind] == [pytest.approx(o.logprobs, abs=1e-5) for o in none]


def test_the_decoder_is_shorter_and_the_tower_runs_once(adapter):
    samples = tiny_models.batch()
    model = adapter.model.model
    tower = getattr(model, "vision_tower", None) or model.vision_model
    decoder = getattr(model, "language_model", None) or model.text_model
    runs: dict[str, list[int]] = {"tower": [], "decoder": []}
    hooks = [
        part.register_forward_hook(lambda _, args, out, name=name: runs[name].append(out.last_hidden_state.shape[1]))
        for name, part in {"tower": tower, "decoder": decoder}.items()
    ]
    lengths = [max(o.tokens_in for o in adapter.generate(samples, 1, budget)) for budget in (None, *BUDGETS)]
    for hook in hooks:
        hook.remove()
    assert len(runs["tower"]) == 1
    assert runs["decoder"] == lengths
    assert lengths[0] == lengths[-1] > lengths[1] > lengths[2] > lengths[4]


def test_only_models_with_visual_tokens_in_the_prompt_take_a_budget(adapter):
    assert "budget" in adapter.capabilities
    assert "budget" not in HFAdapter(tiny_models.loaded("llava")).capabilities


def test_images_of_several_sizes_are_budgeted_as_each_alone():
    """Their boxes differ, and so do the tokens that a grid takes."""

    class LeftHalf:
        name = "left half"

        def weights(self, visual: VisualTokens, keys):
            keep = np.flatnonzero(visual.boxes[:, 2] <= 0.5)
            return [np.eye(len(visual.boxes), dtype=np.float32)[keep]] * len(keys)

    adapter = LlavaAdapter(tiny_models.loaded("llava"))
    sizes = [(56, 56), (100, 50), (56, 56)]  # of a wide image the middle alone is seen
    samples = [tiny_models.sample(i, "where?", ("left", "right"), size) for i, size in enumerate(sizes)]
    together = adapter.rank(samples, LeftHalf())
    assert together[0].tokens_in == together[1].tokens_in
    for sample, output in zip(samples, together, strict=True):
        (alone,) = adapter.rank([sample], LeftHalf())
        assert output.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "tiles"), [("idefics3", {(56, 56): 5, (56, 28): 3}), ("internvl", {(56, 56): 5, (28, 28): 1})]
)
def test_images_with_unequal_numbers_of_tokens_are_left_to_single_samples(name, tiles):
    """Also where the tiles of all of them could be dealt out evenly."""
    adapter = MergedAdapter(tiny_models.loaded(name))
    samples = [tiny_models.sample(i, "where?", ("left", "right"), size) for i, size in enumerate(tiles)]
    assert [output.visual_tokens_in for output in adapter.generate(samples, 1)] == [4 * n for n in tiles.values()]
    budget = RandomKeep(TokenCount(fraction=0.5))
    for ask in (lambda: adapter.generate(samples, 1, budget), lambda: adapter.rank(samples, budget)):
        with pytest.raises(SampleError, match="unequal numbers"):
            ask()
    for sample, n in zip(samples, tiles.values(), strict=True):
        (ranked,) = adapter.rank([sample], budget)
        assert ranked.visual_tokens_in == 2 * n
        ids = adapter.model_inputs([sample])["input_ids"][0].tolist()
        for choice, logprob in zip(sample.choices, ranked.logprobs, strict=True):
            chosen = adapter.choice_tokenizer(ids, choice)
            logits = _by_hand(adapter, sample, budget, chosen)[:-1].double().log_softmax(-1)
            assert logprob == pytest.approx(logits.gather(1, torch.tensor(chosen)[:, None]).sum().item(), abs=1e-4)


def test_a_question_without_an_image_has_nothing_to_drop(adapter):
    sample = Sample("0", 0, (), "what is red?", "", ("yes", "no"))
    assert adapter.generate([sample], 3, GridKeep(TokenCount(count=1))) == adapter.generate([sample], 3)
