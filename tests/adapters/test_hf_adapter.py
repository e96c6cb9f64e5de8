"""The `hf` adapter on random models of many architectures: answers and likelihoods are the model's own."""

from __future__ import annotations

import warnings

import plain
import pytest
import tiny_models
import torch
from transformers import MllamaForConditionalGeneration

from vtbench.errors import OutOfMemory, SampleError
from vtbench.types import Sample
from vtbench_hf.adapter import HFAdapter
from vtbench_hf.generation import until_stop
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_hf.probed_adapter import ProbedAdapter

CASES = [(name, HFAdapter) for name in tiny_models.BUILDERS]
CASES += [(name, MergedAdapter) for name in tiny_models.MERGED]
CASES += [(name, ProbedAdapter) for name in tiny_models.BUILDERS]
IDS = [f"{name}-{kind.__name__}" for name, kind in CASES]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=CASES, ids=IDS)
def adapter(request) -> HFAdapter:
    name, kind = request.param
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(tiny_models.loaded(name))


def _processed(adapter: HFAdapter, samples: list[Sample]) -> dict[str, torch.Tensor]:
    return plain.processed("", adapter.processor, samples)


def _full_forward(adapter: HFAdapter, sample: Sample, choice: str) -> tuple[float, int]:
    """Return log p(choice | prompt) and the choice's tokens, from one forward pass over prompt and choice."""
    inputs, tokenizer = _processed(adapter, [sample]), adapter.tokenizer
    end = inputs["input_ids"][0, -1:]
    open_ended = tokenizer.decode(end)[-1:].isspace() or end.item() in tokenizer.all_special_ids
    ids = tokenizer.encode(choice if open_ended else f" {choice}", add_special_tokens=False)
    return plain.likelihood(adapter.model, inputs, ids), len(ids)


def test_greedy_answers_are_those_of_generate(adapter):
    samples = tiny_models.batch()
    outputs = adapter.generate(samples, 7)
    inputs = _processed(adapter, samples)
    with torch.no_grad():
        sequences = adapter.model.generate(**inputs, do_sample=False, max_new_tokens=7)
    longest = inputs["input_ids"].shape[1]
    expected = [until_stop(row[longest:], [2]) for row in sequences.tolist()]
    assert [o.text for o in outputs] == [t.strip() for t in adapter.tokenizer.batch_decode(expected, True)]
    assert any(o.text for o in outputs), "a test of empty answers shows nothing"
    assert [o.tokens_in for o in outputs] == inputs["attention_mask"].sum(1).tolist()


def test_a_batch_answers_as_its_samples_alone(adapter):
    samples = tiny_models.batch()
    together = adapter.generate(samples, 5)
    assert [adapter.generate([sample], 5)[0] for sample in samples] == together


def test_likelihoods_are_those_of_an_unbatched_uncached_forward_pass(adapter):
    samples = tiny_models.batch()
    for sample, output in zip(samples, adapter.rank(samples), strict=True):
        expected = [_full_forward(adapter, sample, choice) for choice in sample.choices]
        assert output.logprobs == pytest.approx([value for value, _ in expected], abs=1e-4)
        assert output.logprob_tokens == tuple(n for _, n in expected)


def test_the_order_of_calls_does_not_matter(adapter):
    samples = tiny_models.batch()
    adapter.generate([samples[0]], 1)
    ranked_first = adapter.rank(samples)
    answers = adapter.generate(samples, 5)
    ranked_after = adapter.rank(samples)
    assert adapter.generate(samples, 5) == answers
    for one, other in zip(ranked_first, ranked_after, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_choices_of_one_token_only(adapter):
    samples = [tiny_models.sample(i, p, ("yes", "no")) for i, p in enumerate(("is it red?", "is the circle above it?"))]
    adapter.generate(samples, 2)
    for sample, output in zip(samples, adapter.rank(samples), strict=True):
        assert output.logprobs == pytest.approx(
            [_full_forward(adapter, sample, c)[0] for c in sample.choices], abs=1e-4
        )


def test_connector_tokens(adapter):
    samples = tiny_models.batch()
    if isinstance(adapter.model, MllamaForConditionalGeneration):
        assert "visual_tokens" not in adapter.capabilities
        assert adapter.layers == ()
        return
    assert adapter.layers[0] == "connector"
    (visual,) = adapter.visual_tokens(samples, ["connector"])
    assert visual.tokens.shape[0] == len(samples)
    assert visual.tokens.ndim == 3
    alone = [adapter.visual_tokens([sample], ["connector"])[0].tokens[0] for sample in samples]
    torch.testing.assert_close(visual.tokens, torch.stack(alone), atol=1e-5, rtol=1e-4)
    assert not torch.equal(alone[0], alone[1])


def test_images_of_unequal_token_counts_are_left_to_single_samples():
    adapter = HFAdapter(tiny_models.loaded("qwen2_vl"))
    samples = [tiny_models.sample(0, "where?", size=(56, 56)), tiny_models.sample(1, "where?", size=(112, 56))]
    with pytest.raises(SampleError, match="unequal numbers"):
        adapter.visual_tokens(samples, ["connector"])
    assert [adapter.visual_tokens([s], ["connector"])[0].tokens.shape[1] for s in samples] == [4, 8]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "python"],
)
def test_out_of_memory_has_one_error_type_and_the_batch_can_be_retried(monkeypatch, error):
    adapter = MergedAdapter(tiny_models.loaded("llava"))
    samples = tiny_models.batch()
    expected = adapter.generate(samples, 3)

    def fail(*args, **kwargs):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(type(adapter.model), "forward", fail)
        with pytest.raises(OutOfMemory, match="a batch of 2"):
            adapter.generate(samples[:2], 3)
    assert adapter.generate(samples, 3) == expected


def test_other_runtime_errors_keep_their_traceback(monkeypatch):
    adapter = MergedAdapter(tiny_models.loaded("llava"))

    def fail(*args, **kwargs):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(type(adapter.model), "forward", fail)
    with pytest.raises(RuntimeError, match="shapes cannot"):
        adapter.generate(tiny_models.batch(), 3)
