"""Every registered adapter keeps the contract, a third party's as much as vtbench's own.

An adapter that needs a checkpoint is made on a random tiny one: of its own family where tests/adapters has it, else on
a LLaVA. One whose backend is not installed is not checked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contract_budgets import BUDGETS, FEW_BUDGETS, MORE_BUDGETS

from vtbench.adapter import Adapter, Generation
from vtbench.errors import AdapterError, VtbenchError
from vtbench.registry import Registry
from vtbench.testing import adapter_checks, assert_checks
from vtbench_families import FAMILIES
from vtbench_hf.checkpoint.loader import make_greedy
from vtbench_hf.checkpoint.published import save_published
from vtbench_hf.named_models import NAMED
from vtbench_training.small_models.llava import build_llava, build_processor
from vtbench_training.small_models.sizes import Sizes

sys.path += [str(Path(__file__).parents[1] / name) for name in ("adapters", "openai", "vtbench_echo")]
import tiny_models
from endpoint_fakes import FakeEndpoint, serve

import vtbench_echo

REGISTRY = Registry()


def _installed(name: str) -> bool:
    """Whether the packages that an adapter needs are there."""
    try:
        REGISTRY.check_adapter(name, {"pretrained": "x"})
    except AdapterError:
        return False
    except VtbenchError:
        pass  # it takes other arguments
    return True


ELSEWHERE = {"lmms", "vllm", "captioned", "question_only", *NAMED}
"""Those of lmms-eval and vLLM need engines, and the names of `hf` differ in nothing but the checkpoint; the suites in
integration/ and tests/lmms ask them, tests/language the controls that only read, and integration/shipped the weights
that adapters ship with."""
REGISTERED = [name for name in sorted(REGISTRY.named("model")) if name not in ELSEWHERE and _installed(name)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
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
def endpoint() -> Iterator[Any]:
    """Serve made-up answers and likelihoods over HTTP."""
    with serve(FakeEndpoint(scores=True)) as served:
        yield served


def maker(name: str, **arguments: Any) -> Callable[[], Adapter]:
    return lambda: REGISTRY.adapter(name, arguments, device="cpu", dtype="float32")


def drawing(name: str, **arguments: Any) -> Callable[[], Adapter] | None:
    """Return a maker of the adapter with a temperature; None where it takes none, or its answers are made up."""
    if name == "openai" or "generation" not in REGISTRY.find("model", name).settings:
        return None
    return lambda: REGISTRY.adapter(name, arguments, "cpu", "float32", Generation(temperature=2.0))


@pytest.mark.parametrize("name", REGISTERED)
def test_a_registered_adapter(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    arguments = {}
    if name in ("hf", "llava", "duplicated"):
        arguments = {"pretrained": request.getfixturevalue("tiny")}
    elif name == "openai":
        arguments = {"base_url": request.getfixturevalue("endpoint").url, "model": "tiny"}
    elif name in FAMILIES:
        arguments = {"pretrained": str(tiny_models.save(FAMILIES[name].model_types[0], tmp_path / name))}
    budgets = (*BUDGETS, *MORE_BUDGETS) if name in ("llava", "echo") else BUDGETS
    if name in FAMILIES and FAMILIES[name].small:
        budgets = FEW_BUDGETS  # integration/shipped asks the weights that ship about all of them
    assert_checks(adapter_checks(maker(name, **arguments), budgets=budgets, drawing=drawing(name, **arguments)))


def test_a_control_around_a_model(tiny: str) -> None:
    assert_checks(adapter_checks(maker("blind", model="hf", pretrained=tiny), budgets=FEW_BUDGETS))


def test_a_third_partys_adapter() -> None:
    assert_checks(adapter_checks(vtbench_echo.parrot))


def test_what_is_checked_follows_from_what_is_declared() -> None:
    """An adapter that only generates is asked nothing else; every capability that the loop asks for has its checks."""
    names = {name: [check.name for check in adapter_checks(maker(name))] for name in ("echo", "oracle")}
    words = ("rank ", "visual_tokens", "budget")
    parrot = [check.name for check in adapter_checks(vtbench_echo.parrot)]
    assert not [name for name in parrot for word in words if word in name]
    assert [word for word in words if any(word in name for name in names["echo"])] == [*words]
    assert [word for word in words if any(word in name for name in names["oracle"])] == ["rank "]
