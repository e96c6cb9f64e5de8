"""`benchmarks/gpu.py` with tiny configurations on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu import PARTS
from gpu_parts import answers, lora, models, redundancy_score
from gpu_parts.runner import Part, Result, run
from gpu_parts.workload import BUDGETS, tiny

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
PUBLISHED = {"llava": 7_063_427_072, "qwen2_vl": 2_208_985_600}
"""Parameters of llava-hf/llava-1.5-7b-hf and Qwen/Qwen2-VL-2B-Instruct, as their model pages count them."""
MODELS = pytest.mark.parametrize("name", PUBLISHED)


@MODELS
def test_the_models_have_the_published_numbers_of_parameters(name: str) -> None:
    with torch.device("meta"):
        model = models.model_class(name)._from_config(models.config_of(name), dtype=torch.bfloat16)
    assert model.num_parameters() == PUBLISHED[name]
    assert model.dtype == torch.bfloat16


@MODELS
def test_the_published_models_show_576_visual_tokens(name: str) -> None:
    config = models.config_of(name)
    side = config.vision_config.image_size // 14 if name == "llava" else models.QWEN2_VL_SIDE // 28
    assert side**2 == 576


@MODELS
def test_fewer_layers_leave_the_widths(name: str) -> None:
    whole, cut = models.config_of(name), models.config_of(name, layers=2)
    assert cut.text_config.num_hidden_layers == 2 < whole.text_config.num_hidden_layers
    assert cut.text_config.hidden_size == whole.text_config.hidden_size


@MODELS
def test_answers_are_those_of_plain_transformers_and_rates_are_known(name: str) -> None:
    load = replace(tiny(), rounds=1)
    found = dict(answers.measure(name, load))
    assert found["answers"] == found["answers_as_plain_transformers"] == load.samples
    assert found["distinct_answers"] > 1
    assert found["largest_gap_nats"] == 0
    measured = [key for key in found if key.endswith(("per_second", "gib", "seconds"))]
    assert len(measured) == 8
    assert all(found[key] > 0 for key in measured)
    prefill = {key.removeprefix("prefill, "): value for key, value in found.items() if key.startswith("prefill")}
    assert list(prefill) == ["whole image", *BUDGETS]
    assert [prefill[text]["visual_tokens"] for text in ("whole image", "grid:f=0.5", "grid:f=0.25")] == [16, 8, 4]
    assert all(value["seconds_per_sample"] > 0 for value in prefill.values())


def test_other_answers_are_counted_and_their_gap_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def others(adapter: Any, samples: Any, count: int) -> list[list[int]]:
        return [[(row[0] + 1) % 1000, *row[1:]] for row, _ in zip(own(adapter, samples, count), samples, strict=True)]

    own = answers.own_answers
    monkeypatch.setattr(answers, "own_answers", others)
    adapter = models.build("llava", tiny())
    task = answers.load_task(answers.find_task_files()["relational"])
    batch = [task.sample(i, adapter.image_size) for i in range(2)]
    found = dict(answers._agreement(adapter, [batch], tiny()))
    assert (found["answers"], found["answers_as_plain_transformers"]) == (2, 0)
    assert found["largest_gap_nats"] > 0


def test_the_gap_is_that_at_the_first_difference() -> None:
    logits_TV = torch.tensor([[0.0, 3.0, 1.0, 0.0], [0.0, 1.0, 5.0, 2.0]])
    assert answers.first_gap(logits_TV, [1, 2], [1, 2], [0]) == 0
    assert answers.first_gap(logits_TV, [1, 3], [1, 2], [0]) == 3
    assert answers.first_gap(logits_TV, [1], [1, 2], [0]) == 5, "own answer ended, with the token 0"


@MODELS
def test_lora_steps_lower_the_loss_of_a_frozen_base(name: str) -> None:
    found = dict(lora.measure(name, tiny()))
    assert found["last_loss"] < found["first_loss"]
    assert 0 < found["trained_parameters"] < 100_000
    assert found["tokens_per_second"] == pytest.approx(found["tokens_per_step"] / found["step_seconds"])
    assert found["peak_gib"] > 0


def test_a_slow_cpu_measures_fewer_images_and_says_so() -> None:
    found = dict(redundancy_score.measure(replace(tiny(), images=150, cpu_seconds=0)))
    assert (found["images"], found["cpu_images"]) == (150, 100)
    assert "100 images, not 150" in found["cpu_note"]
    assert "difference_from_cpu" not in found
    assert found["interval"][0] < found["rs"] < found["interval"][1]
    assert all(found[key] > 0 for key in ("seconds", "cpu_seconds", "process_peak_gib", "speedup_an_image"))


def test_the_same_images_on_the_same_device_have_the_same_score() -> None:
    found = dict(redundancy_score.measure(tiny()))
    assert found["cpu_images"] == found["images"] == tiny().images
    assert found["difference_from_cpu"] == 0


def ran(code: str, tmp_path: Path, limit: float = 60) -> Result:
    shown: list[str] = []
    command = [sys.executable, "-c", code]
    result = run(command, Part("none", (), 1), tiny(), tmp_path / "log", lambda name, _: shown.append(name), limit)
    assert shown == [*result.figures]
    return result


def test_a_part_that_takes_too_long_is_stopped_and_keeps_its_figures(tmp_path: Path) -> None:
    result = ran("import time; print('[\"speed\", 3]', flush=True); time.sleep(600)", tmp_path, limit=2)
    assert result.figures == {"speed": 3}
    assert result.failed == "stopped after its 2 s"


def test_a_part_whose_process_dies_says_its_last_line(tmp_path: Path) -> None:
    result = ran("import os, sys; print('x\\nno memory', file=sys.stderr, flush=True); os._exit(3)", tmp_path)
    assert result.failed == "its process ended with status 3: no memory"


def test_a_part_that_fails_says_why_and_the_next_one_runs(tmp_path: Path) -> None:
    command = [sys.executable, SCRIPT, "--small", "--images", "10", "--parts", "redundancy,lora_llava"]
    done = subprocess.run([*command, "--output", tmp_path], capture_output=True, text=True, check=False)
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert done.returncode == 1
    assert "10 images are too few" in found["parts"]["redundancy"]["failed"]
    assert found["parts"]["lora_llava"]["failed"] is None
    assert found["parts"]["lora_llava"]["figures"]["tokens_per_second"] > 0
    assert found["machine"]["torch"] == torch.__version__
    assert found["workload"]["sizes"] == "tiny"
    assert "tokens_per_second" in done.stdout


def test_the_time_limits_are_under_ten_minutes() -> None:
    assert sum(part.seconds for part in PARTS.values()) < 600


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--small", "--parts", "lava"], "there is no part 'lava'; the parts are llava, qwen2_vl,"),
        pytest.param(
            [],
            "torch finds no GPU here; --small runs the same code",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_line(arguments: list[str], reason: str, tmp_path: Path) -> None:
    command = [sys.executable, SCRIPT, *arguments, "--output", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert reason in done.stderr.splitlines()[-1]
