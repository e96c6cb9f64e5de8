"""Training of every family: the loss is the likelihood of `rank`, and every part can learn or be frozen."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import pytest
import tiny_models
import torch

from vtbench.errors import VtbenchError
from vtbench.types import Sample
from vtbench_families import FAMILIES
from vtbench_hf.training import end_of_answer
from vtbench_llava.adapter import LlavaAdapter
from vtbench_training.finetune.base_model import checked_trainable
from vtbench_training.finetune.part_parameters import is_in_modules, parameters_of
from vtbench_training.finetune.settings import FineTune
from vtbench_training.finetune.trainable import TrainableVLM, check

PLAIN = FineTune(mix={"relational": 1})
KINDS = {"llava": "llava", **{kind: name for name, entry in FAMILIES.items() for kind in entry.model_types}}
TRAINED = [name for name in tiny_models.FAMILIES if name.partition(",")[0] in KINDS]


def adapter_for(name: str):
    """Return the adapter of a random model, in memory."""
    loaded = tiny_models.loaded(name)
    if name == "llava":
        return LlavaAdapter(loaded)
    module, _, kind = FAMILIES[KINDS[name.partition(",")[0]]].adapter.partition(".")
    return getattr(import_module(f"vtbench_families.{module}"), kind)(loaded)


@pytest.fixture(params=TRAINED)
def adapter(request):
    return adapter_for(request.param)


def samples_for(adapter) -> list[Sample]:
    side = adapter.image_size or 56
    return tiny_models.batch((side, side))


def batch_of(adapter, samples: list[Sample]) -> dict[str, torch.Tensor]:
    return {"numbers": torch.arange(len(samples)), **adapter.encode_training(samples)}


def test_the_loss_is_the_likelihood_that_rank_gives_the_target(adapter):
    """An answer ends with a token that a choice does not have, so the choices get it here."""
    samples = samples_for(adapter)
    end = end_of_answer(adapter.model, adapter.tokenizer)
    choice = adapter.choice_tokenizer
    adapter.choice_tokenizer = lambda tail, text: [*choice(tail, text), end]
    asked = [replace(sample, choices=(sample.target,)) for sample in samples]
    ranked = adapter.rank(asked)
    each = [-output.logprobs[0] / output.logprob_tokens[0] for output in ranked]
    learner = TrainableVLM(adapter, PLAIN).eval()
    with torch.no_grad():
        together, _ = learner(batch_of(adapter, samples))
        alone = [learner(batch_of(adapter, [sample]))[0].item() for sample in samples]
    assert alone == pytest.approx(each, abs=1e-4)
    assert together.item() == pytest.approx(sum(each) / len(each), abs=1e-4)
    assert len({round(value, 3) for value in each}) == len(each), "a test of one value shows little"


def test_it_learns_one_batch_and_a_gradient_reaches_every_part(adapter):
    learner = TrainableVLM(adapter, PLAIN).eval()
    batch = batch_of(adapter, samples_for(adapter))
    optimizer = torch.optim.AdamW(learner.parameters(), lr=3e-3)
    losses = []
    for _ in range(6):
        loss, _ = learner(batch)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        if len(losses) == 1:
            for part, modules in adapter.parts.items():
                moved = [p.grad for p in parameters_of(adapter.model, modules) if p.grad is not None]
                assert any(grad.abs().max() > 0 for grad in moved), part
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]


def test_the_parts_are_the_whole_model_and_share_nothing(adapter):
    assert checked_trainable(adapter, "it") is adapter
    modules = {part: [*parameters_of(adapter.model, where)] for part, where in adapter.parts.items()}
    ids = [id(parameter) for some in modules.values() for parameter in some]
    assert len(set(ids)) == len({*map(id, adapter.model.parameters())})
    for one in modules:
        for other in modules.keys() - {one}:
            assert not {*map(id, modules[one])} & {*map(id, modules[other])}
    learner = TrainableVLM(adapter, replace(PLAIN, vision_rate=0.5))
    slow = {id(p) for name, p in learner.named_parameters() if learner.rate_factor(name) == 0.5}
    assert slow == {*map(id, modules.get("vision", []))}


def test_a_frozen_part_stays_and_the_others_learn_whatever_the_checkpoint_froze(adapter):
    for frozen in adapter.parts:
        learner = TrainableVLM(adapter, replace(PLAIN, freeze=(frozen,)))
        still = {id(p) for p in parameters_of(adapter.model, adapter.parts[frozen])}
        assert {id(p) for p in learner.parameters() if not p.requires_grad} == still


def test_lora_learns_in_what_is_not_frozen_and_leaves_a_plain_model(adapter):
    before = {name: value.clone() for name, value in adapter.model.state_dict().items()}
    learner = TrainableVLM(adapter, replace(PLAIN, lora=2, freeze=("text",), vision_rate=0.5))
    batch = batch_of(adapter, samples_for(adapter))
    optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], lr=3e-2)
    for _ in range(2):
        loss, _ = learner(batch)
        loss.backward()
        optimizer.step()
    names = [name for name, p in learner.named_parameters() if p.requires_grad]
    assert all(".lora_" in name for name in names)
    assert {learner.rate_factor(name) for name in names} == ({0.5, 1.0} if "vision" in adapter.parts else {1.0})
    after = learner.merge_lora().state_dict()
    assert after.keys() == before.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not any(is_in_modules(name, adapter.parts["text"]) for name in moved)


def test_a_penalty_is_on_the_connectors_tokens(adapter, monkeypatch):
    seen = []

    def keep(name, tokens_BND):
        seen.append(tokens_BND)
        return tokens_BND.square().mean(), tokens_BND.mean()

    monkeypatch.setattr("vtbench_training.finetune.trainable.penalty_and_floor", keep)
    samples = samples_for(adapter)
    learner = TrainableVLM(adapter, replace(PLAIN, penalty=("cosine", 0.1))).eval()
    loss, shown = learner(batch_of(adapter, samples))
    expected = adapter.visual_tokens(samples, ["connector"])[0].tokens
    torch.testing.assert_close(seen[0], expected, atol=1e-4, rtol=1e-4)
    assert loss.item() == pytest.approx(shown["answers"] + 0.1 * (shown["penalty"] + shown["floor"]), rel=1e-5)
    modules = [name for part, where in adapter.parts.items() if part != "text" for name in where]
    learning = list(parameters_of(adapter.model, modules))
    grads = torch.autograd.grad(seen[0].square().sum(), learning, allow_unused=True)
    assert any(grad is not None and grad.abs().max() > 0 for grad in grads)


def test_a_budget_is_taken_by_those_that_answer_under_one_and_refused_in_one_line_by_others(adapter):
    kept = replace(PLAIN, budget="random:f=1")
    if "budget" not in adapter.capabilities:
        with pytest.raises(VtbenchError, match="budget: --model llava takes none") as caught:
            check(adapter, kept)
        assert "\n" not in str(caught.value)
        return
    check(adapter, kept)
    batch = batch_of(adapter, samples_for(adapter))
    with torch.no_grad():
        whole, all_kept, few = (
            TrainableVLM(adapter, replace(PLAIN, budget=budget)).eval()(batch)[0].item()
            for budget in (None, "random:f=1", "random:f=0.3")
        )
    assert all_kept == pytest.approx(whole, rel=1e-5)
    assert few != pytest.approx(whole, rel=1e-4)


def test_a_family_without_a_tower_says_which_parts_it_has():
    fuyu = adapter_for("fuyu")
    with pytest.raises(VtbenchError, match="no part 'vision'; its parts are connector and text"):
        check(fuyu, replace(PLAIN, freeze=("vision",)))
    with pytest.raises(VtbenchError, match="nothing of --model llava is left to train"):
        check(fuyu, replace(PLAIN, freeze=("connector", "text")))
    with pytest.raises(VtbenchError, match="no visual token can move"):
        check(fuyu, replace(PLAIN, freeze=("connector",), penalty=("cosine", 0.1)))


def test_the_prefix_of_paligemma_is_read_both_ways_and_its_answer_is_not():
    adapter = adapter_for("paligemma")
    samples = samples_for(adapter)
    batch = batch_of(adapter, samples)
    asked = batch["targets"] != -100
    answer = torch.roll(asked, 1, 1)
    assert torch.equal(batch["token_type_ids"], answer.long())
    assert torch.equal(batch["input_ids"][answer], batch["targets"][asked])
    # A target that is not yet read changes nothing before it.
    learner = TrainableVLM(adapter, PLAIN).eval()
    other = {name: value.clone() for name, value in batch.items()}
    other["input_ids"][:, -1] = 7
    with torch.no_grad():
        assert learner(other)[0].item() == pytest.approx(learner(batch)[0].item(), rel=1e-5)
