"""The `vllm` adapter without vLLM: arguments, errors, the vision model, and the calls of a stand-in engine."""

from __future__ import annotations

import dataclasses
import enum
import json
import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import plain
import pytest
import tiny_checkpoints
import tiny_models
import torch
from huggingface_hub import constants

import vtbench_vllm
from vtbench.adapter import Adapter, Generation
from vtbench.errors import AdapterError, SampleError
from vtbench.registry import Registry
from vtbench_hf.checkpoint.model_types import adapter_for
from vtbench_hf.probed_adapter import ProbedAdapter
from vtbench_hf.visual_features import DECODER_DEPTHS
from vtbench_vllm.adapter import VllmAdapter
from vtbench_vllm.arguments import checked_arguments, checked_engine_arguments
from vtbench_vllm.checkpoint import open_checkpoint
from vtbench_vllm.engine import Completion, Engine, Prompt, check_sampling
from vtbench_vllm.vision_model import load_vision_model, vision_layers

SAMPLES = tiny_models.batch()


class Backend(enum.Enum):
    EAGER = "eager_attention"


EngineArgs = dataclasses.make_dataclass(
    "EngineArgs",
    {
        "model": str,
        "tensor_parallel_size": int,
        "gpu_memory_utilization": float,
        "enforce_eager": bool,
        "attention_backend": Backend | None,
        "limit_mm_per_prompt": dict[str, int] | None,
        "_private": int,
    }.items(),
)
"""As vLLM declares its own."""


def test_arguments_are_read_as_the_engines_types():
    given = {"tensor_parallel_size": "2", "attention_backend": "EAGER", "limit_mm_per_prompt": {"image": 1}}
    assert checked_engine_arguments(given, EngineArgs) == given | {
        "tensor_parallel_size": 2,
        "attention_backend": Backend.EAGER,
    }


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"tensor_paralel_size": 2},
            "tensor_paralel_size: vLLM's engine takes no such argument. Did you mean 'tensor_parallel_size'",
        ),
        ({"tensor_parallel_size": "two"}, "model 'vllm': tensor_parallel_size: must be a valid integer"),
        ({"gpu_memory_utilization": "lots"}, "gpu_memory_utilization: must be a valid number"),
        ({"enforce_eager": "maybe"}, "enforce_eager: must be a valid boolean"),
        ({"model": "org/other"}, "pretrained= names the checkpoint"),
        ({"_private": 1}, "_private: vLLM's engine takes no such argument"),
    ],
)
def test_wrong_arguments_are_one_line(given, says):
    with pytest.raises(AdapterError, match=r"^[^\n]*$") as caught:
        checked_engine_arguments(given, EngineArgs)
    assert says.lower() in str(caught.value).lower()


def _create(**arguments: Any) -> Adapter:
    return Registry({"vllm": vtbench_vllm}).adapter("vllm", arguments)


def test_wrong_arguments_of_the_adapter_are_one_line_too(monkeypatch):
    monkeypatch.setattr(vtbench_vllm.engine, "engine_args_class", lambda: EngineArgs)
    own, engine = checked_arguments({"pretrained": "org/model", "tensor_parallel_size": "2", "visual_tokens": False})
    assert (own.pretrained, own.visual_tokens, engine) == ("org/model", False, {"tensor_parallel_size": 2})
    with pytest.raises(AdapterError, match=r"^model 'vllm': visual_tokens: must be a valid boolean, .*'no way'$"):
        checked_arguments({"visual_tokens": "no way"})


def test_a_missing_engine_says_which_extra_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(AdapterError, match=r"pip install .*\[vllm\]'"):
        _create()


def test_an_engine_that_does_not_import_says_why(monkeypatch):
    broken = ModuleType("vllm")
    monkeypatch.setitem(sys.modules, "vllm", broken)

    def fail(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError("operator torchvision::nms does not exist")

    broken.__getattr__ = fail  # type: ignore[method-assign]
    with pytest.raises(AdapterError, match=r"cannot be imported \(operator torchvision::nms does not exist\)"):
        _create()


@pytest.fixture
def engine_module(monkeypatch):
    """Install a stand-in for vLLM whose engine returns given outputs; yield its settings and calls."""
    fake = SimpleNamespace(outputs=[], error=None, asked=None, sampling=None, closed=0, start=None)

    class LLM:
        def __init__(self, model: str, **settings: Any) -> None:
            if fake.start:
                raise fake.start
            os.write(1, b"a worker's banner\n")
            fake.settings = {"model": model, **settings}
            close = SimpleNamespace(shutdown=lambda: setattr(fake, "closed", fake.closed + 1))
            self.llm_engine = SimpleNamespace(engine_core=close, renderer=close)

        def generate(self, prompts: list[dict[str, Any]], params: dict[str, Any], use_tqdm: bool) -> list[Any]:
            assert not use_tqdm
            fake.asked, fake.sampling = prompts, params
            if fake.error:
                raise fake.error
            return fake.outputs

    class EngineDeadError(Exception):
        pass

    class VLLMClientError(Exception):
        pass

    modules = {name: ModuleType(name) for name in ("vllm", "vllm.exceptions", "vllm.v1.engine.exceptions")}
    vars(modules["vllm"]).update(LLM=LLM, SamplingParams=dict, __version__="0", __path__=[])
    vars(modules["vllm.exceptions"])["VLLMClientError"] = VLLMClientError
    vars(modules["vllm.v1.engine.exceptions"])["EngineDeadError"] = EngineDeadError
    for name in ("vllm.v1", "vllm.v1.engine"):
        modules[name] = ModuleType(name)
        modules[name].__path__ = []
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    fake.dead, fake.refusal = EngineDeadError(), VLLMClientError("prompt is too long\nby far")
    return fake


def test_prompts_go_to_the_engine_as_token_ids_and_images(engine_module, tmp_path):
    image = SAMPLES[0].images[0]
    engine_module.outputs = [
        SimpleNamespace(
            prompt_token_ids=[1, 3, 3, 7], outputs=[SimpleNamespace(token_ids=(9, 8, 2), finish_reason="stop")]
        ),
        SimpleNamespace(prompt_token_ids=[1], outputs=[SimpleNamespace(token_ids=(9, 8), finish_reason="length")]),
    ]
    completions = Engine(tmp_path, {}).generate([Prompt([1, 3, 7], (image,)), Prompt([1], ())], 3)
    assert engine_module.asked == [
        {"prompt_token_ids": [1, 3, 7], "multi_modal_data": {"image": [image]}},
        {"prompt_token_ids": [1]},
    ]
    assert engine_module.sampling == {"temperature": 0.0, "max_tokens": 3, "detokenize": False}
    assert [list(completion.tokens) for completion in completions] == [[9, 8], [9, 8]]
    assert [completion.finish_reason for completion in completions] == ["stop", "length"]


def test_each_prompt_has_its_own_sampling(engine_module, tmp_path):
    engine_module.outputs = [
        SimpleNamespace(
            prompt_token_ids=[1],
            outputs=[SimpleNamespace(token_ids=(9, 8), finish_reason="stop", stop_reason=reason)],
        )
        for reason in (None, 2, ".")
    ]
    own = [{"temperature": 0.5, "seed": 1}, {"temperature": 0.5, "seed": 2}, {"stop": ["."], "detokenize": True}]
    completions = Engine(tmp_path, {}).generate([Prompt([1], ())] * 3, 3, own)
    common = {"temperature": 0.0, "max_tokens": 3, "detokenize": False}
    assert engine_module.sampling == [common | each for each in own]
    assert [list(completion.tokens) for completion in completions] == [[9], [9], [9, 8]], "a stop text is no token"
    assert [completion.tokens_out for completion in completions] == [2, 2, 2]


def test_settings_that_the_engine_does_not_take_are_refused_at_the_start(engine_module):
    def refuse(**settings):
        if settings["temperature"] > 2:
            raise ValueError(f"temperature must be in [0, 2], got {settings['temperature']}. (parameter=temperature)")

    vars(sys.modules["vllm"])["SamplingParams"] = refuse
    check_sampling(Generation(temperature=2.0, top_k=3))
    with pytest.raises(AdapterError, match=r"^model 'vllm': --gen: temperature must be in \[0, 2\], got 3\.0"):
        check_sampling(Generation(temperature=3.0))


def test_a_continuation_is_scored_by_its_own_tokens_only(engine_module, tmp_path):
    steps = [None, *({token: SimpleNamespace(logprob=-(2.0**-token))} for token in (3, 3, 7, 5, 6))]
    output = SimpleNamespace(prompt_token_ids=[1, 3, 3, 7, 5, 6], prompt_logprobs=steps)
    engine_module.outputs = [output]
    ((completion, total),) = Engine(tmp_path, {}).score([Prompt([1, 3, 7], ())], [[5, 6]])
    assert engine_module.asked == [{"prompt_token_ids": [1, 3, 7, 5, 6]}]
    assert total == -(2.0**-5) - 2.0**-6
    assert list(completion.prompt) == [1, 3, 3, 7]


def test_errors_of_the_engine_are_told_apart(engine_module, tmp_path):
    engine = Engine(tmp_path, {})
    for error, kind, says in [
        (engine_module.dead, AdapterError, "engine died"),
        (engine_module.refusal, SampleError, r"too long$"),
        (ValueError("a broken image"), SampleError, "broken image"),
        (RuntimeError("a bug"), RuntimeError, "a bug"),
    ]:
        engine_module.error = error
        with pytest.raises(kind, match=says):
            engine.generate([Prompt([1], ())], 1)
    engine_module.start = RuntimeError("Engine core initialization failed.\nmuch more")
    with pytest.raises(AdapterError, match=r"does not start: Engine core initialization failed\.$"):
        Engine(tmp_path, {})


def test_the_engine_keeps_off_standard_output_and_closes(engine_module, tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("VLLM_LOGGING_STREAM", raising=False)
    engine = Engine(tmp_path, {"seed": 1})
    print("the document")
    engine.close()
    out, err = capfd.readouterr()
    assert out == "the document\n"
    assert "a worker's banner" in err
    assert os.environ["VLLM_LOGGING_STREAM"] == "ext://sys.stderr"
    assert engine_module.settings == {"model": str(tmp_path), "use_tqdm_on_load": False, "seed": 1}
    assert engine_module.closed == 2


class InTransformers:
    """Stand-in for the engine: plain transformers, one prompt at a time."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.processor = model, processor
        self.facts = {"dtype": "float32"}

    def _inputs(self, prompt: Prompt) -> dict[str, torch.Tensor]:
        token, count = self.model.config.image_token_id, self.model.config.image_seq_length
        tokens = [t for part in prompt.tokens for t in ([part] * count if part == token else [part])]
        pixels = self.processor.image_processor(list(prompt.images), return_tensors="pt")["pixel_values"]
        ids = torch.tensor([tokens])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels}

    def generate(self, prompts, max_new_tokens):
        read = [self._inputs(prompt) for prompt in prompts]
        rows = [(r["input_ids"][0].tolist(), plain.greedy(self.model, r, max_new_tokens)[0]) for r in read]
        counts = [min(len(new) + 1, max_new_tokens) for _, new in rows]
        reasons = ["length" if len(new) == max_new_tokens else "stop" for _, new in rows]
        return [Completion(*row, *ended) for row, ended in zip(rows, zip(reasons, counts, strict=True), strict=True)]

    def score(self, prompts, continuations):
        read = [self._inputs(prompt) for prompt in prompts]
        return [
            (Completion(r["input_ids"][0].tolist(), ()), plain.likelihood(self.model, r, new))
            for r, new in zip(read, continuations, strict=True)
        ]

    def close(self):
        self.model = None


@pytest.fixture(scope="module")
def llava_directory(tmp_path_factory):
    return tiny_models.save("llava", tmp_path_factory.mktemp("vllm") / "llava")


@pytest.fixture
def both(llava_directory):
    """Yield the `llava` adapter of a checkpoint, and its `vllm` adapter with transformers as the engine."""
    llava = Registry().adapter("llava", {"pretrained": str(llava_directory)}, device="cpu", dtype="float32")
    checkpoint = open_checkpoint(str(llava_directory), None, False, None)
    vision = load_vision_model(checkpoint, "cpu", "float32")
    yield llava, VllmAdapter(checkpoint, InTransformers(llava.model, llava.processor), vision, "cpu")
    vision.close()


def test_it_answers_and_ranks_as_llava(both):
    llava, adapter = both
    assert isinstance(adapter, Adapter)
    assert adapter.capabilities == {"generate", "rank", "visual_tokens", "context", "images"}
    assert adapter.image_size == llava.image_size
    assert adapter.generate(SAMPLES, 6) == llava.generate(SAMPLES, 6)
    for mine, theirs in zip(adapter.rank(SAMPLES), llava.rank(SAMPLES), strict=True):
        assert mine.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)
        assert dataclasses.replace(mine, logprobs=None) == dataclasses.replace(theirs, logprobs=None)


def test_chats_and_settings_of_sampling_go_to_the_engine(both):
    llava, adapter = both
    shot = dataclasses.replace(SAMPLES[1], target="left")
    asked = [dataclasses.replace(SAMPLES[0], system="from", examples=(shot,), repeat=k) for k in range(2)]
    sent = []

    class Recording(InTransformers):
        def generate(self, prompts, max_new_tokens, sampling=()):
            sent.append((prompts, sampling))
            return super().generate(prompts, max_new_tokens)

    engine = Recording(llava.model, llava.processor)
    settings = Generation(temperature=0.7, top_k=5, until=("\n",), seed=3)
    made = VllmAdapter(adapter._checkpoint, engine, None, "cpu", settings)
    assert [output.rendered_prompt for output in made.generate(asked, 3)] == [
        output.rendered_prompt for output in llava.generate(asked, 3)
    ]
    ((prompts, sampling),) = sent
    assert prompts[0].images == [*shot.images, *SAMPLES[0].images]
    common = {"temperature": 0.7, "top_p": 1.0, "top_k": 5, "stop": ["\n"], "detokenize": True}
    assert sampling == [{**common, "seed": settings.seed_of(sample)} for sample in asked]
    assert sampling[0]["seed"] != sampling[1]["seed"]


def test_describe_has_the_facts_of_llava_and_of_the_engine(both, monkeypatch):
    llava, adapter = both
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(__version__="0.1", LLM=None))
    mine, theirs = json.loads(json.dumps(adapter.describe())), llava.describe()
    for same in ("checkpoint", "fingerprint", "architecture", "parameters", "device", "dtype"):
        assert mine[same] == theirs[same], same
    assert mine["versions"] == {**theirs["versions"], "vllm": "0.1"}


def test_visual_tokens_need_the_vision_model(both):
    _, adapter = both
    with pytest.raises(AdapterError, match=r"'decoder_50'.*'encoder'"):
        adapter.visual_tokens(SAMPLES, ["decoder_50"])
    without = VllmAdapter(adapter._checkpoint, adapter._engine, None, "cpu")
    assert without.capabilities == {"generate", "rank", "context", "images"}
    assert without.layers == ()
    assert without.image_size == adapter.image_size


@pytest.mark.parametrize("name", ["llava", "idefics3", "qwen2_vl", "blip-2", "gemma3"])
def test_the_vision_model_gives_the_tokens_of_the_whole_model(name, tmp_path):
    directory = tiny_models.save(name, tmp_path / "tiny")
    config = json.loads((directory / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "awq", "bits": 4}  # of the decoder, whose weights are not read
    checkpoint = open_checkpoint(str(directory), None, False, None)
    (directory / "config.json").write_text(json.dumps(config))
    quantised = open_checkpoint(str(directory), None, False, None)
    vision, other = load_vision_model(checkpoint, "cpu", "float32"), load_vision_model(quantised, "cpu", "float32")
    del config["quantization_config"]
    (directory / "config.json").write_text(json.dumps(config))
    whole = Registry().adapter(
        adapter_for(checkpoint.config.model_type), {"pretrained": str(directory)}, "cpu", "float32"
    )
    layers = vision_layers(vision)
    assert layers == tuple(name for name in whole.layers if name not in DECODER_DEPTHS)
    side = whole.image_size or 56
    samples = tiny_models.batch((side, side))
    expected = whole.visual_tokens(samples, layers)
    for adapter in (vision, other):
        for mine, theirs in zip(adapter.visual_tokens(samples, layers), expected, strict=True):
            assert torch.equal(mine.tokens, theirs.tokens)
            np.testing.assert_array_equal(mine.boxes, theirs.boxes)
    assert vision.image_size == whole.image_size
    decoder = whole.model.get_decoder()
    # The probe of a checkpoint without a family of its own looks at the texts' embeddings too.
    words = 0 if isinstance(vision, ProbedAdapter) else decoder.get_input_embeddings().weight.numel()
    stubs = 2  # one weight in place of each embedding matrix
    assert vision.model.num_parameters() <= whole.model.num_parameters() - words - _layers_of(decoder) + stubs


def test_a_vision_model_whose_decoder_needs_its_layers_leaves_them_on_the_disk(tmp_path):
    directory = tiny_checkpoints.save("gemma4", tmp_path / "tiny")
    vision = load_vision_model(open_checkpoint(str(directory), None, False, None), "cpu", "float32")
    assert vision_layers(vision) == ("connector",)
    assert any(place == "disk" for place in vision.model.hf_device_map.values())
    whole = Registry().adapter("gemma4", {"pretrained": str(directory)}, "cpu", "float32")
    samples = tiny_models.batch((112, 112))
    (mine,), (theirs,) = (adapter.visual_tokens(samples, ["connector"]) for adapter in (vision, whole))
    assert torch.equal(mine.tokens, theirs.tokens)


def _layers_of(decoder: torch.nn.Module) -> int:
    return sum(w.numel() for name, w in decoder.named_parameters() if ".layers." in f".{name}")


def test_shipped_checkpoints_are_known_by_name():
    from vtbench_llava import SHIPPED

    for given, name in ((None, "embedded"), ("neutral", "neutral")):
        checkpoint = open_checkpoint(given, None, False, None)
        assert (checkpoint.name, checkpoint.directory) == (name, SHIPPED[name])


def test_a_missing_or_broken_checkpoint_is_named(tmp_path, monkeypatch, llava_directory):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for missing in ("no/such", str(tmp_path / "nowhere")):
        with pytest.raises(AdapterError, match=f"^[^\n]*no directory '{missing}'[^\n]*$"):
            open_checkpoint(missing, None, False, None)
    with pytest.raises(AdapterError, match=r"has no config\.json"):
        open_checkpoint(str(tmp_path), None, False, None)
    for path in llava_directory.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"half of it")
    with pytest.raises(AdapterError, match=r"model\.safetensors is not a whole"):
        open_checkpoint(str(tmp_path), None, False, None)


def test_a_vision_model_that_cannot_be_loaded_names_the_checkpoint(tmp_path, llava_directory):
    from safetensors.torch import load_file, save_file

    for path in llava_directory.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {k: w for k, w in weights.items() if "projector" not in k}, tmp_path / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(AdapterError, match=rf"^{tmp_path} lacks .*projector.*visual_tokens=false") as caught:
        load_vision_model(open_checkpoint(str(tmp_path), None, False, None), "cpu", "float32")
    assert "vtbench-" not in str(caught.value)
