"""`vtbench train`: its flags are the fields of `FineTune`, and what it refuses it refuses in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from tiny_base import write_tiny_base

from vtbench.cli import status
from vtbench_training.cli import train
from vtbench_training.finetune.settings import FineTune


def test_every_field_has_a_flag() -> None:
    assert {field.name for field in fields(FineTune)} <= {option.name for option in train.params}


def test_asking_for_help_imports_no_torch() -> None:
    code = "import sys; from vtbench.cli import status; status(['train', '--help']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_it_trains_and_says_where_the_model_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, output = write_tiny_base(tmp_path / "tiny"), tmp_path / "out"
    flags = {"base": base, "mix": "coarse=1,relational=2", "steps": 2, "batch-size": 4, "freeze": "vision,text"}
    flags |= {"redundancy-penalty": "decorrelation:0", "output": output, "precision": "float32", "check-images": 60}
    arguments = ["train", "--json"]
    for name, value in flags.items():
        arguments += [f"--{name}", str(value)]
    assert status(arguments) == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert document["model"] == str(output / "model")
    assert document["guard"]["penalty"] == ["decorrelation", 0]
    after = shown.err[shown.err.index("step 2/2: loss ") :]
    assert f"writing  the model to {output}\n" in after
    assert "checking the penalty, against the model before it\n" in after
    assert "loading" not in shown.err
    assert "samples/s" in shown.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "nope", "--task", "coarse"], "unknown model 'nope'. Did you mean"),
        (
            ["--model", "echo", "--task", "coarse"],
            "model echo cannot be trained: it takes no --model-args pretrained",
        ),
        (["--model", "mllama", "--task", "coarse"], "--model mllama needs a checkpoint"),
        ([], "by --task or by --mix"),
        (["--task", "coarse", "--mix", "coarse=1"], "by --task or by --mix"),
        (["--task", "relatonal"], "Did you mean 'relational'"),
        (["--mix", "coarse=1,coarse=2"], "is there twice"),
        (["--mix", "coarse=lots"], "--mix: coarse: must be a valid number"),
        (["--task", "coarse", "--redundancy-penalty", "cosine"], "write name:weight"),
        (["--task", "coarse", "--base", "neutrall/x/y"], "there is no directory"),
        (["--task", "coarse", "--budget", "rand:k=1"], "unknown budget 'rand'"),
        (["--task", "coarse", "--steps", "many"], "--steps: must be a valid integer"),
        (["--task", "coarse", "--steps", "0"], "--steps: must be greater than or equal to 1, not '0'"),
        (["--task", "coarse", "--freeze", "vison"], "--freeze: must be 'vision', 'connector' or 'text', not 'vison'"),
        (["--task", "coarse", "--tracker", "notes"], "none called 'notes'"),
        (["--task", "coarse", "--device", "cuda:99"], "cannot be used here"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["train", "--output", str(tmp_path / "x"), *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.startswith("vtbench: ")
    assert error.count("\n") == 1


def test_a_checkpoint_of_another_architecture_is_told_its_adapter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_vl"}')
    assert status(["train", "--task", "coarse", "--base", str(tmp_path), "--output", str(tmp_path / "x")]) == 2
    error = capsys.readouterr().err
    assert "is a 'qwen2_vl' checkpoint, and --model llava takes llava ones; --model qwen2_vl takes it" in error
    assert error.count("\n") == 1
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    assert status(["train", "--task", "coarse", "--base", str(tmp_path), "--output", str(tmp_path / "x")]) == 2
    assert "no other adapter names that type" in capsys.readouterr().err
