"""The language-only controls on a real pretrained model: SmolLM2-135M-Instruct, from a GGUF file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import vtbench
from vtbench.registry import Registry
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_language.caption import caption

FAMILIES = ["coarse", "attribute", "relational", "scene_graph"]
CONTROLS = ("question_only", "captioned")
ITEMS, TOKENS = 4, 24
"""Items of each family, and tokens of an answer: the shortest scene graph has 19."""
Run = Callable[[str, str], vtbench.RunResult]


@pytest.fixture(scope="session")
def run(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a function that runs a control in a prompt format."""

    @cache
    def run(control: str, prompt_format: str) -> vtbench.RunResult:
        return vtbench.run(
            control,
            FAMILIES,
            model_args={"pretrained": str(checkpoint)},
            metrics=["accuracy", "scene_graph"],
            prompt_format=prompt_format,
            limit=ITEMS,
            max_new_tokens=TOKENS,
            batch_size=16,
            device="cpu",
            dtype="float32",
            report=False,
            output=tmp_path_factory.mktemp("runs"),
        )

    return run


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


def records(result: vtbench.RunResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (result.path / "samples.jsonl").read_text().splitlines()]


def parsed(scores: Mapping[str, Mapping[str, vtbench.Score]]) -> float:
    """Return the share of answers that were parsed, over all families."""
    shares = [1 - scores[family]["acc"].detail["unparsed"] for family in FAMILIES[:3]]
    return (sum(shares) + (scores["scene_graph"]["parse_rate"].value or 0)) / len(FAMILIES)


@pytest.mark.parametrize("control", CONTROLS)
def test_instruct_parses_at_least_as_often_as_plain(control: str, run: Run) -> None:
    shares = {name: parsed(run(control, name).scores) for name in ("plain", "instruct")}
    assert shares["instruct"] >= shares["plain"]
    assert shares["instruct"] > 0.5


@pytest.mark.parametrize("control", CONTROLS)
def test_answers_are_those_of_transformers(
    control: str, run: Run, plain: Callable[[str], tuple[str, int]], checkpoint: Path
) -> None:
    answered = records(run(control, "instruct"))
    assert len(answered) == ITEMS * len(FAMILIES)
    for record in answered:
        assert record["error"] is None
        assert record["rendered_prompt"].startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
        assert record["rendered_prompt"].endswith("<|im_end|>\n<|im_start|>assistant\n")
        assert (record["output"], record["tokens_in"]) == plain(record["rendered_prompt"])


def test_only_captioned_is_told_the_scene(run: Run) -> None:
    told, untold = (records(run(control, "instruct")) for control in ("captioned", "question_only"))
    tasks = {name: load_task(find_task_files()[name]) for name in FAMILIES}
    for one, other in zip(told, untold, strict=True):
        scene = tasks[one["task"]].sample(one["index"], 16).scene
        assert scene is not None
        text = caption(scene)
        assert text in one["rendered_prompt"]
        assert one["rendered_prompt"].replace(f"{text}\n\n", "") == other["rendered_prompt"]


def test_a_batch_answers_as_each_alone(checkpoint: Path) -> None:
    adapter = Registry().adapter("captioned", {"pretrained": str(checkpoint.parent)}, "cpu", "float32")
    samples = [load_task(find_task_files()[name]).sample(index, 16) for name in FAMILIES[:3] for index in (20, 21)]
    together = [output.text for output in adapter.generate(samples, TOKENS)]
    adapter.close()
    adapter = Registry().adapter("captioned", {"pretrained": str(checkpoint)}, "cpu", "float32")
    assert [adapter.generate([sample], TOKENS)[0].text for sample in samples] == together


def test_what_the_run_records(run: Run, checkpoint: Path) -> None:
    about = json.loads((run("captioned", "instruct").path / "run.json").read_text())["model"]
    assert about["architecture"] == "LlamaForCausalLM"
    assert about["parameters"] == 134_515_008
    assert about["dtype"] == "float32"
    assert len(about["fingerprint"]) == 64


def test_a_file_that_is_cut_is_one_line(checkpoint: Path, tmp_path: Path) -> None:
    whole = checkpoint.read_bytes()
    for part in (0, 100, 200_000, len(whole) // 2):
        cut = tmp_path / f"{part}.gguf"
        cut.write_bytes(whole[:part])
        with pytest.raises(vtbench.VtbenchError) as caught:
            Registry().adapter("captioned", {"pretrained": str(cut)}, "cpu", "float32")
        assert "\n" not in str(caught.value)
        assert cut.name in str(caught.value)
