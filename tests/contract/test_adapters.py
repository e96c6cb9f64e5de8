"""What every registered adapter keeps to, a third party's as much as vtbench's own.

An adapter that needs a checkpoint is built on a random tiny one: of its own family where tests/adapters has it, on a
LLaVA where it takes that, and left out where it does neither.
"""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from vtbench.adapter import Adapter, BudgetAdapter
from vtbench.errors import AdapterError, PluginError, VtbenchError
from vtbench.registry import Registry
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_budgets import Amount, Complexity, DownSample, GridKeep, Merge, RandomKeep, Saliency, Spread
from vtbench_families import FAMILIES
from vtbench_hf.checkpoint.loader import make_greedy
from vtbench_hf.checkpoint.published import save_published
from vtbench_training.small_models.llava import build_llava, build_processor
from vtbench_training.small_models.sizes import Sizes

sys.path += [str(Path(__file__).parents[1] / name) for name in ("adapters", "openai")]
import tiny_models
from endpoint_fakes import FakeEndpoint, serve

REGISTRY = Registry()
TASKS = ("relational", "attribute", "scene_graph")
ASK = {"generate", "rank", "visual_tokens"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    """Return the directory of a LLaVA with random weights."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "<s>", "</s>", "<image>"]
    trainer = trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([], trainer)
    processor = build_processor(tokenizer, image_size=56, patch_size=14)
    model = build_llava(Sizes(32, 2, 2, 32, 2, 2, 2, 64, image_size=56), len(processor.tokenizer), seed=1)
    for weight in model.parameters():  # initial weights are too small to tell one answer from another
        weight.data *= 4 if weight.ndim > 1 else 1
    make_greedy(model.generation_config, processor.tokenizer)
    directory = tmp_path_factory.mktemp("tiny") / "llava"
    save_published(model, processor, directory)
    return str(directory)


@pytest.fixture(scope="module")
def endpoint():
    """Serve made-up answers and likelihoods over HTTP."""
    with serve(FakeEndpoint(scores=True)) as served:
        yield served


OWN = [f"{name}, own weights" for name in ("llava", *(name for name, entry in FAMILIES.items() if entry.small))]


@pytest.fixture(scope="module", params=[*sorted(REGISTRY.adapters()), *OWN, "blind, wrapped"])
def make(request, tiny, endpoint, tmp_path_factory) -> Callable[[], Adapter]:
    """Return a function that makes the adapter anew."""
    name, _, how = request.param.partition(", ")
    arguments = {"hf": {"pretrained": tiny}, "llava": {"pretrained": tiny}}.get(name, {})
    if name == "openai":
        arguments = {"base_url": endpoint.url, "model": "tiny"}
    if name in FAMILIES and not how:
        kind = FAMILIES[name].model_types[0]
        arguments = {"pretrained": str(tiny_models.save(kind, tmp_path_factory.mktemp("tiny") / name))}
    if how == "own weights":
        arguments = {}
    if how == "wrapped":
        arguments = {"model": "hf", "pretrained": tiny}

    def factory() -> Adapter:
        return REGISTRY.adapter(name, arguments, device="cpu", dtype="float32")

    try:
        factory().close()
    except AdapterError as error:
        pytest.skip(f"it cannot be made without arguments: {error}")
    return factory


@pytest.fixture(scope="module")
def adapter(make):
    made = make()
    yield made
    made.close()


@pytest.fixture
def samples(adapter) -> list[Sample]:
    """Return a batch of items whose prompts, choices and pictures differ."""
    tasks = [load_task(find_task_files()[name]) for name in TASKS]
    return [task.sample(index, adapter.image_size or 64) for task in tasks for index in range(3)]


def _ask(adapter: Adapter, samples: list[Sample]) -> list[tuple[Output | None, Output | None, list[np.ndarray]]]:
    """Return what the adapter says about each sample, in all that it can do, as the loop would ask."""
    said = adapter.generate(samples, 6) if "generate" in adapter.capabilities else [None] * len(samples)
    ranked: list[Output | None] = [None] * len(samples)
    if "rank" in adapter.capabilities:
        closed = [i for i, sample in enumerate(samples) if sample.choices]
        for i, output in zip(closed, adapter.rank([samples[i] for i in closed]) if closed else [], strict=True):
            ranked[i] = output
    layers = adapter.visual_tokens(samples, adapter.layers) if "visual_tokens" in adapter.capabilities else []
    arrays = [_array(visual) for visual in layers]
    return [(said[i], ranked[i], [array[i] for array in arrays]) for i in range(len(samples))]


def _array(visual: VisualTokens) -> np.ndarray:
    tokens = visual.tokens
    return np.asarray(tokens.float().cpu() if hasattr(tokens, "cpu") else tokens)


def _same(one, other) -> None:
    """Fail where two answers differ by more than rounding does."""
    for (said, ranked, tokens), (said_too, ranked_too, tokens_too) in zip(one, other, strict=True):
        assert said == said_too
        assert (ranked is None) == (ranked_too is None)
        if ranked is not None:
            assert ranked.logprobs == pytest.approx(ranked_too.logprobs, abs=1e-4)
            assert ranked.logprob_tokens == ranked_too.logprob_tokens
        for array, array_too in zip(tokens, tokens_too, strict=True):
            np.testing.assert_allclose(array, array_too, atol=1e-4, rtol=1e-3)


def test_it_meets_the_protocol(adapter):
    assert isinstance(adapter, Adapter)
    assert adapter.capabilities <= set(get_args(Capability))
    assert adapter.capabilities & ASK, "an adapter that can do nothing is of no use"
    assert adapter.image_size is None or adapter.image_size > 0


def test_layers_go_with_the_capability(adapter):
    assert bool(adapter.layers) == ("visual_tokens" in adapter.capabilities)
    assert len(set(adapter.layers)) == len(adapter.layers)
    if adapter.layers:
        assert adapter.layers[0] == "connector"


def test_one_output_a_sample(adapter, samples):
    for sample, (said, ranked, tokens) in zip(samples, _ask(adapter, samples), strict=True):
        if said is not None:
            assert isinstance(said.text, str)
            assert said.tokens_in is None or said.tokens_in > 0
        if ranked is not None:
            assert len(ranked.logprobs) == len(sample.choices)
            assert all(isinstance(p, float) and not math.isnan(p) and p <= 1e-6 for p in ranked.logprobs)
            assert ranked.logprob_tokens is None or all(n >= 1 for n in ranked.logprob_tokens)
        assert all(array.ndim == 2 and np.isfinite(array).all() for array in tokens)


def test_visual_tokens_come_in_the_order_asked_for(adapter, samples):
    if not adapter.layers:
        pytest.skip("it gives no visual tokens")
    names = [*adapter.layers][::-1]
    found = adapter.visual_tokens(samples, names)
    assert [visual.layer for visual in found] == names
    for visual in found:
        n, count, width = visual.tokens.shape
        assert (n, width > 0) == (len(samples), True)
        if visual.boxes is not None:
            assert visual.boxes.shape == (count, 4)
            left, top, right, bottom = visual.boxes.T
            assert visual.boxes.min() >= 0
            assert visual.boxes.max() <= 1
            assert (left < right).all()
            assert (top < bottom).all()


def test_an_unknown_layer_is_refused(adapter, samples):
    if not adapter.layers:
        pytest.skip("it gives no visual tokens")
    with pytest.raises(AdapterError, match="nosuchlayer"):
        adapter.visual_tokens(samples, ["nosuchlayer"])


class Uneven:
    """Keeps the first tokens and merges the rest into one, another number of them for each sample."""

    name = "uneven"

    def weights(self, visual, keys):
        total = visual.tokens.shape[1]
        rows = []
        for key in keys:
            kept = np.eye(total, dtype=np.float32)[: int(key.rpartition("/")[2])]
            rows.append(np.concatenate([kept, np.full((1, total), 1 / total, np.float32)]))
        return rows


@pytest.fixture
def frugal(adapter) -> BudgetAdapter:
    if "budget" not in adapter.capabilities:
        pytest.skip("it takes no token budget")
    assert isinstance(adapter, BudgetAdapter)
    return adapter


def _ask_within(adapter: BudgetAdapter, samples: list[Sample], budget) -> list:
    """Return what `_ask` does, under a budget; ranked are the samples that have choices."""
    said = adapter.generate(samples, 6, budget)
    closed = [i for i, sample in enumerate(samples) if sample.choices]
    ranked = dict(zip(closed, adapter.rank([samples[i] for i in closed], budget) if closed else [], strict=True))
    return [(said[i], ranked.get(i), []) for i in range(len(samples))]


WHOLE = [policy(Amount(fraction=1)) for policy in (GridKeep, RandomKeep, DownSample, Spread)] + [Saliency(1)]


@pytest.mark.parametrize("budget", WHOLE, ids=lambda budget: budget.name)
def test_a_budget_that_keeps_every_token_is_none(frugal, samples, budget):
    whole = _ask_within(frugal, samples, None)
    assert frugal.generate(samples, 6) == [said for said, _, _ in whole]
    _same(_ask_within(frugal, samples, budget), whole)


def test_the_decoder_reads_fewer_tokens_by_what_is_dropped(frugal, samples):
    whole = frugal.generate(samples, 6)
    none = frugal.generate(samples, 6, GridKeep(Amount(count=0)))
    assert all(output.text is not None and output.tokens_in > 0 for output in none), "a question without a picture"
    for budget in (GridKeep(Amount(count=3)), RandomKeep(Amount(count=1)), DownSample(Amount(count=2))):
        some = frugal.generate(samples, 6, budget)
        assert [s.tokens_in - n.tokens_in for s, n in zip(some, none, strict=True)] == [budget.amount.count] * len(some)
        assert [output.visual_tokens_in for output in some] == [budget.amount.count] * len(some)
        ranked = frugal.rank(samples, budget)
        for part in ("tokens_in", "visual_tokens_in"):
            assert [getattr(output, part) for output in ranked] == [getattr(output, part) for output in some]
    if "visual_tokens" in frugal.capabilities:
        count = frugal.visual_tokens(samples, ["connector"])[0].tokens.shape[1]
        assert [w.tokens_in - n.tokens_in for w, n in zip(whole, none, strict=True)] == [count] * len(whole)
        assert {output.visual_tokens_in for output in whole} == {count}


@pytest.mark.parametrize(
    "budget",
    [
        Uneven(),
        RandomKeep(Amount(mean=3.4)),
        DownSample(Amount(count=4)),
        GridKeep(Amount(count=0)),
        Saliency(0.6),
        Saliency(0.6, "norm"),
        Spread(Amount(fraction=0.7)),
        Merge(0.6),
        Complexity(0.3),
        Complexity(1, "rank", "grid"),
    ],
    ids=lambda budget: budget.name,
)
@pytest.mark.parametrize("size", [1, 4])
def test_the_batch_size_does_not_matter_under_a_budget(frugal, samples, budget, size):
    parts = [
        answer for i in range(0, len(samples), size) for answer in _ask_within(frugal, samples[i : i + size], budget)
    ]
    _same(parts, _ask_within(frugal, samples, budget))


def test_a_budget_is_forgotten_with_its_call(frugal, samples):
    before = _ask(frugal, samples)
    frugal.generate(samples, 6, GridKeep(Amount(count=1)))
    _same(_ask(frugal, samples), before)


def test_a_budget_that_cannot_be_met_is_refused(frugal, samples):
    class Broken(Uneven):
        name = "broken"

        def weights(self, visual, keys):
            return [2 * rows for rows in super().weights(visual, keys)]

    with pytest.raises(PluginError, match=r"'broken'.*sums to 1"):
        frugal.generate(samples, 6, Broken())
    with pytest.raises(VtbenchError, match="budget of 100000 where a picture has"):
        frugal.generate(samples, 6, RandomKeep(Amount(count=100000)))


def test_permuting_a_batch_permutes_the_outputs(adapter, samples):
    order = np.random.default_rng(0).permutation(len(samples)).tolist()
    straight = _ask(adapter, samples)
    _same(_ask(adapter, [samples[i] for i in order]), [straight[i] for i in order])


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_batch_size_does_not_matter(adapter, samples, size):
    parts = [answer for i in range(0, len(samples), size) for answer in _ask(adapter, samples[i : i + size])]
    _same(parts, _ask(adapter, samples))


def test_asking_again_gives_the_same(adapter, make, samples):
    first = _ask(adapter, samples)
    _same(_ask(adapter, samples), first)
    other = make()
    _same(_ask(other, samples), first)
    other.close()


def test_samples_are_not_changed(adapter, samples):
    before = [[image.tobytes() for image in sample.images] for sample in samples]
    facts = [(s.id, s.prompt, s.target, s.choices, dict(s.meta)) for s in samples]
    _ask(adapter, samples)
    assert [[image.tobytes() for image in sample.images] for sample in samples] == before
    assert [(s.id, s.prompt, s.target, s.choices, dict(s.meta)) for s in samples] == facts


def test_describe_is_json(adapter):
    described = json.loads(json.dumps(dict(adapter.describe()), allow_nan=False))
    assert described["checkpoint"]
