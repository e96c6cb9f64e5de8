"""A LLaVA around a pretrained decoder: what it takes over, what is trained when, and how it resumes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from tiny_language_model import save_tiny

from vtbench.cli import status
from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench.types import Sample
from vtbench_llava import WEIGHTS
from vtbench_study.plan import Plan
from vtbench_training.finetune.trainer import finetune
from vtbench_training.pretrain.caption_scores import score_captions
from vtbench_training.pretrain.curriculum import PromptAnswer
from vtbench_training.pretrain.packing import Packer
from vtbench_training.pretrain.pipeline import pretrain
from vtbench_training.pretrain.recipe import InitialTower, PretrainedDecoder, Recipe, Stage, decoder_recipe
from vtbench_training.small_models.pretrained_decoder import DecoderLlava, add_image_token, build
from vtbench_training.small_models.sizes import SIZES
from vtbench_training.training_loop import Schedule

SIZES_112 = SIZES["llava"]
CPU = torch.device("cpu")
FEW = Schedule(steps=3, rate=1e-2, batch_size=2, warmup=1, save_every=1)
TOWER, CONNECTOR = "vision_tower.", "multi_modal_projector."


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("decoder") / "tiny")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def recipe(decoder: Path, lora: int = 0, schedule: Schedule = FEW) -> Recipe:
    stages = [Stage(kind, schedule, {"coarse": 1, "relational": 1}) for kind in ("connector", "captions")]
    return Recipe(questions=2, stages=(PretrainedDecoder(str(decoder), lora), InitialTower("embedded"), *stages))


def weights(directory: Path) -> dict[str, torch.Tensor]:
    model = transformers.LlavaForConditionalGeneration.from_pretrained(directory, dtype=torch.float32)
    return model.state_dict()


def test_the_image_token_comes_behind_all_others(tiny: Path) -> None:
    language = transformers.AutoModelForCausalLM.from_pretrained(tiny)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny)
    before, rows = tokenizer.get_vocab(), language.get_input_embeddings().weight.clone()
    head = language.get_output_embeddings().weight.clone()
    assert add_image_token(language, tokenizer) == len(before) == len(rows)
    assert {token: id for token, id in tokenizer.get_vocab().items() if token != "<image>"} == before
    grown = language.get_input_embeddings().weight
    assert torch.equal(grown[:-1], rows)
    assert torch.equal(language.get_output_embeddings().weight[:-1], head)
    torch.testing.assert_close(grown[-1], rows.mean(0))
    assert add_image_token(language, tokenizer) == len(before)  # once is enough
    assert len(language.get_input_embeddings().weight) == len(grown)


def test_without_an_image_it_says_what_the_decoder_says(tiny: Path) -> None:
    language = transformers.AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).eval()
    model, processor, digest = build(str(tiny), SIZES_112)
    ids = torch.tensor([processor.tokenizer.encode("Where is the star?", add_special_tokens=False)])
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits[..., :-1], language(ids).logits)
    assert len(digest) == 64


@pytest.mark.parametrize("template", [None, "its own"])
def test_what_is_learned_is_what_the_adapter_asks(template: str | None, tiny: Path, tmp_path: Path) -> None:
    decoder = tiny if template else save_tiny(tmp_path / "base", template=None)
    llava = DecoderLlava(*build(str(decoder), SIZES_112)[:2], SIZES_112)
    llava.save(tmp_path / "model", torch.float32)
    adapter = Registry().adapter("llava", {"pretrained": str(tmp_path / "model")}, "cpu", "float32")
    image = Image.fromarray(np.zeros((112, 112, 3), np.uint8))
    text = PromptAnswer("Where is the star?", "left", ())
    sample = Sample("0", 0, (image,), text.prompt, text.answer, choices=("left", "right"))
    encoded = Packer(llava.tokenizer, len(llava.prefix_ids), llava.prompt_format).encode(text)
    with adapter.batch([sample]):
        asked = adapter.batch_inputs([sample])["input_ids"][0].tolist()
    assert [*llava.prefix_ids, *encoded.ids[: encoded.answer_start]] == asked
    (row,) = adapter.encode_training([sample])["input_ids"].tolist()
    assert row == [*llava.prefix_ids, *encoded.ids]
    shown = adapter.tokenizer.decode([id for id in asked if id != llava.model.config.image_token_id])
    assert shown.startswith("<|user|>" if template else "<s>USER: ")


@pytest.mark.parametrize("lora", [0, 2])
def test_the_connector_learns_first_and_then_the_decoder_too(lora: int, tiny: Path, tmp_path: Path) -> None:
    at = recipe(tiny, lora, replace(FEW, steps=1))
    first = weights(pretrain(replace(at, stages=at.stages[:-1]), tmp_path / "a", CPU, lambda line: None))
    start = build(str(tiny), SIZES_112)[0].state_dict()
    embedded = weights(WEIGHTS)
    for name, weight in first.items():
        before = embedded if TOWER in name else start
        same = torch.equal(weight, before[name].bfloat16().float())
        assert same == (CONNECTOR not in name), name
    both = weights(pretrain(at, tmp_path / "b", CPU, lambda line: None))
    moved = {name for name, weight in both.items() if not torch.equal(weight, first[name])}
    assert not any(TOWER in name for name in moved)
    assert any(CONNECTOR in name for name in moved)
    assert any("q_proj" in name for name in moved)
    assert any("norm" in name or "embed" in name for name in moved) == (lora == 0)


@pytest.mark.parametrize(("stop", "lora"), [("3-connector", 2), ("4-captions", 0), ("4-captions", 2)])
def test_a_killed_training_ends_with_the_same_weights(stop: str, lora: int, tiny: Path, tmp_path: Path) -> None:
    """Stopped before the last step of a stage was saved."""

    def train(directory: Path, stop_at: str | None) -> dict[str, torch.Tensor]:
        def show(line: dict) -> None:
            if stop_at == line["stage"]:
                raise KeyboardInterrupt

        return weights(pretrain(recipe(tiny, lora), directory, CPU, show))

    unbroken = train(tmp_path / "a", None)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "b", stop)
    broken = train(tmp_path / "b", None)
    assert all(torch.equal(weight, broken[name]) for name, weight in unbroken.items())


def test_the_loss_falls_and_captions_are_scored(tiny: Path, tmp_path: Path) -> None:
    lines: list[dict] = []
    longer = replace(FEW, steps=24, save_every=50)
    model = pretrain(recipe(tiny, 0, longer), tmp_path, CPU, lines.append)
    first, *_, last = (line["loss"] for line in lines)
    assert last < first - 1
    scores = score_captions(model, 4, "cpu")
    assert 0 < scores.loss < 6
    assert {"shape", "colour"} <= scores.cues.keys()


def test_a_study_trains_from_it(tiny: Path, tmp_path: Path) -> None:
    base = pretrain(recipe(tiny, 0, replace(FEW, steps=1)), tmp_path / "base", CPU, lambda line: None)
    arms: dict[str, Any] = {"mixes": {}, "penalties": {}, "full_rate": (), "snapshots": ()}
    plan = Plan(base=str(base), families=("coarse", "relational"), seeds=(0,), steps=1, **arms)
    trained = finetune(replace(plan.settings(plan.cell("relational-0")), batch_size=2), tmp_path / "cell", "cpu")
    assert any(not torch.equal(weight, weights(base)[name]) for name, weight in weights(trained).items())
    adapter = Registry().adapter("llava", {"pretrained": str(trained)}, "cpu", "float32")
    assert adapter.traits.prompt_format == "plain"


def test_another_decoder_is_refused(tiny: Path, tmp_path: Path) -> None:
    decoder = save_tiny(tmp_path / "decoder")
    short = recipe(decoder, 0, replace(FEW, steps=1))
    pretrain(short, tmp_path / "out", CPU, lambda line: None)
    model = transformers.AutoModelForCausalLM.from_pretrained(decoder)
    model.get_input_embeddings().weight.data += 1
    model.save_pretrained(decoder)
    with pytest.raises(VtbenchError, match="another recipe"):
        pretrain(short, tmp_path / "out", CPU, lambda line: None)


def test_a_decoder_that_llava_does_not_compute_is_refused(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one whose logits are capped: the class around it has an output layer of its own."""
    forward = transformers.LlamaForCausalLM.forward

    def capped(self, *given, **named):
        out = forward(self, *given, **named)
        out.logits = torch.tanh(out.logits)
        return out

    monkeypatch.setattr(transformers.LlamaForCausalLM, "forward", capped)
    with pytest.raises(VtbenchError, match="'llama' model, whose logits"):
        build(str(tiny), SIZES_112)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--decoder", "nowhere.gguf"], "nowhere.gguf"),
        (["--decoder", ".", "--model", "fuyu"], "fuyu"),
        (["--lora", "4"], "--decoder"),
        (["--decoder", "EMPTY"], "config.json"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    given = [str(tmp_path / "empty") if text == "EMPTY" else text for text in arguments]
    assert status(["pretrain", "--output", str(tmp_path / "x"), *given]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


@pytest.mark.parametrize("name", ["default", "neutral"])
def test_the_recipes_begin_with_the_connector(name: str) -> None:
    made = decoder_recipe(name, "somewhere", 8)
    assert made.decoder == PretrainedDecoder("somewhere", 8)
    kinds = [stage.kind for stage in made.stages if isinstance(stage, Stage)]
    assert kinds[0] == "connector"
    assert ("decoder" in kinds) == (name == "default")
    half = made.scaled(0.5)
    assert half.decoder == made.decoder


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({}, "there is no such directory or GGUF file"),
        ({"decoder.gguf": "hello"}, "this is no GGUF file, as it does not begin with 'GGUF'; download"),
        ({"decoder.gguf": ""}, "this is no GGUF file"),
        ({"decoder.bin": "hello"}, "this is a file; name the directory that it lies in"),
        ({"decoder/notes.txt": ""}, "has no config.json: a checkpoint of a language model holds config.json"),
        ({"decoder/adapter_config.json": "{}"}, "it holds a LoRA adapter; merge it into its base model first"),
        ({"decoder/config.json": "{"}, "config.json: broken"),
        ({"decoder/config.json": '{"model_type": "clip_vision_model"}'}, "not a causal language model"),
        ({"decoder/config.json": '{"model_type": "llama"}'}, "its tokenizer cannot be loaded"),
    ],
)
def test_a_decoder_that_is_none_is_one_line_that_says_what_to_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], made: dict[str, str], message: str
) -> None:
    for name, text in made.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    decoder = str(tmp_path / next(iter(made), "nowhere").split("/")[0])
    assert status(["pretrain", "--decoder", decoder, "--output", str(tmp_path / "out"), "--device", "cpu"]) != 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"vtbench: --decoder {decoder}: ")
    assert message in line
    assert line.endswith("a GGUF file, or a name on the hub like org/model")
    assert "pretrained=" not in line


def test_a_gguf_file_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "decoder.gguf").write_bytes(b"GGUF and so on")
    monkeypatch.setattr("vtbench_language.loader.find_spec", lambda name: None)
    with pytest.raises(VtbenchError, match=r"read with the package 'gguf': pip install .*\[gguf\]'"):
        build(str(tmp_path / "decoder.gguf"), SIZES_112)
