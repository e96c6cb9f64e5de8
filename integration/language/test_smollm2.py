"""The language-only controls on a real pretrained model: SmolLM2-135M-Instruct, from a GGUF file."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import vtbench
from vtbench import Output, Sample
from vtbench.registry import Registry
from vtbench.scoring.choices import parse_answer
from vtbench.scoring.graph import parse_graph
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.task.prepared import in_format
from vtbench_hf.checkpoint.arguments import LoadArguments
from vtbench_language.adapter import LanguageAdapter
from vtbench_language.caption import caption
from vtbench_language.loader import load
from vtbench_language.told_samples import with_captions, without_images

FAMILIES = ("coarse", "attribute", "relational", "scene_graph")
CONTROLS = {"question_only": without_images, "captioned": with_captions}
ITEMS, TOKENS = 4, 20
"""Items of each family, and tokens of an answer: the shortest scene graph has 19."""
Answers = Callable[[str, str], list[tuple[Sample, Output]]]


@pytest.fixture(scope="session")
def answers(checkpoint: Path) -> Answers:
    """Return a function that asks a control items of every family in a prompt format, all in one batch."""
    loaded = load("captioned", LoadArguments(pretrained=str(checkpoint), device="cpu", dtype="float32"))
    adapters = {name: LanguageAdapter(loaded, name, tell) for name, tell in CONTROLS.items()}

    @cache
    def answers(control: str, prompt_format: str) -> list[tuple[Sample, Output]]:
        tasks = [in_format(load_task(find_task_files()[name]), prompt_format) for name in FAMILIES]
        samples = [task.sample(index, 16) for task in tasks for index in range(ITEMS)]
        return list(zip(samples, adapters[control].generate(samples, TOKENS), strict=True))

    return answers


@pytest.fixture(scope="session")
def plain(checkpoint: Path) -> Callable[[str], tuple[str, int]]:
    """Return what transformers itself answers to a rendered prompt, and the number of the prompt's tokens."""
    source, name = str(checkpoint.parent), checkpoint.name
    tokenizer = transformers.AutoTokenizer.from_pretrained(source, gguf_file=name)
    unpacked = transformers.GgufConfig(dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        source, gguf_file=name, dtype=torch.float32, quantization_config=unpacked
    ).eval()

    def answer(prompt: str) -> tuple[str, int]:
        ids = torch.tensor([tokenizer.encode(prompt, add_special_tokens=False)])
        with torch.no_grad():
            new = model.generate(ids, max_new_tokens=TOKENS, do_sample=False)[0, ids.shape[1] :]
        return tokenizer.decode(new, skip_special_tokens=True).strip(), ids.shape[1]

    return answer


def is_parsed(sample: Sample, output: Output) -> bool:
    if sample.answer_type == "graph":
        return parse_graph(output.text).well_formed
    return parse_answer(output.text, sample.choices) is not None


@pytest.mark.parametrize("control", CONTROLS)
def test_instruct_parses_at_least_as_often_as_plain(control: str, answers: Answers) -> None:
    counts = {name: sum(is_parsed(*pair) for pair in answers(control, name)) for name in ("plain", "instruct")}
    assert counts["instruct"] >= counts["plain"]
    assert counts["instruct"] > ITEMS * len(FAMILIES) / 2


@pytest.mark.parametrize("control", CONTROLS)
def test_answers_of_a_batch_are_those_of_transformers_alone(
    control: str, answers: Answers, plain: Callable[[str], tuple[str, int]]
) -> None:
    for _, output in answers(control, "instruct")[:: 2 if control == "captioned" else 4]:
        prompt = output.rendered_prompt
        assert prompt is not None
        assert prompt.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
        assert prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")
        assert (output.text, output.tokens_in) == plain(prompt)


def test_only_captioned_is_told_the_scene(answers: Answers) -> None:
    for (sample, told), (_, untold) in zip(
        *(answers(name, "instruct") for name in ("captioned", "question_only")), strict=True
    ):
        assert sample.scene is not None
        assert told.rendered_prompt is not None
        text = caption(sample.scene)
        assert text in told.rendered_prompt
        assert told.rendered_prompt.replace(f"{text}\n\n", "") == untold.rendered_prompt


def test_a_run(checkpoint: Path, tmp_path: Path) -> None:
    done = vtbench.run(
        "captioned",
        ["coarse"],
        model_args={"pretrained": str(checkpoint.parent)},
        metrics=["accuracy"],
        limit=2,
        fewshot=2,
        device="cpu",
        dtype="bfloat16",
        report=False,
        output=tmp_path,
    )
    about = read(done.path / "run.json")["model"]
    assert about["architecture"] == "LlamaForCausalLM"
    assert about["parameters"] == 134_515_008
    assert about["dtype"] == "bfloat16"
    assert len(about["fingerprint"]) == 64
    for line in (done.path / "samples.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert record["error"] is None
        assert record["rendered_prompt"].count("The image shows one object") == 3


@pytest.mark.parametrize("share", [0, 0.0001, 0.02, 0.5])
def test_a_file_that_is_cut_is_one_line(share: float, checkpoint: Path, tmp_path: Path) -> None:
    whole = checkpoint.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(vtbench.VtbenchError) as caught:
        Registry().adapter("captioned", {"pretrained": str(cut)}, "cpu", "float32")
    assert "\n" not in str(caught.value)
    assert cut.name in str(caught.value)


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document
