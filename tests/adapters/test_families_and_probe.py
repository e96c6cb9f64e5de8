"""The files of families give what the probe finds: the same tokens, answers and budgets."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tiny_models
import torch

from vtbench.registry import Registry
from vtbench.testing.example_budgets import Halves, KeepFirst
from vtbench_hf.probed_adapter import ProbedAdapter

KINDS = ("llava", "idefics3", "smolvlm", "qwen2_vl", "paligemma", "blip-2", "internvl", "llava_next", "llava_onevision")


@pytest.fixture(scope="module", params=[kind for kind in KINDS if kind in tiny_models.FAMILIES])
def both(request, tmp_path_factory):
    directory = tiny_models.save(request.param, tmp_path_factory.mktemp("one") / "tiny")
    registry = Registry()
    name = tiny_models.ADAPTERS.get(request.param, request.param)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = registry.adapter(name, {"pretrained": str(directory)}, "cpu", "float32")
        return own, ProbedAdapter(registry.adapter(name, {"pretrained": str(directory)}, "cpu", "float32").loaded)


def test_the_probe_finds_the_tokens_of_the_family(both):
    own, door = both
    asked = tiny_models.batch()
    (mine,), (found,) = (made.visual_tokens(asked, ["connector"]) for made in both)
    torch.testing.assert_close(torch.as_tensor(found.tokens), torch.as_tensor(mine.tokens), atol=1e-5, rtol=1e-5)
    assert {*own.layers} - {"encoder"} <= {*door.layers}
    depths = [layer for layer in own.layers if layer.startswith("decoder")]
    for one, other in zip(own.visual_tokens(asked, depths), door.visual_tokens(asked, depths), strict=True):
        torch.testing.assert_close(torch.as_tensor(other.tokens), torch.as_tensor(one.tokens), atol=1e-4, rtol=1e-4)


def test_answers_and_budgets_are_the_same(both):
    own, door = both
    asked = tiny_models.batch()
    budgets = [None, KeepFirst(3), Halves()] if "budget" in own.capabilities else [None]
    for budget in budgets:
        extra = () if budget is None else (budget,)
        one, other = own.rank(asked, *extra), door.rank(asked, *extra)
        for mine, found in zip(one, other, strict=True):
            np.testing.assert_allclose(found.logprobs, mine.logprobs, atol=5e-6)
        assert [o.visual_tokens_in for o in other] == [o.visual_tokens_in for o in one]
        assert [o.text for o in own.generate(asked, 4, *extra)] == [o.text for o in door.generate(asked, 4, *extra)]
