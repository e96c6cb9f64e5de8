"""The `lmms` adapter with a stand-in for lmms-eval: its outputs, its errors and their messages."""

import io
import json
import os
import signal
import sys
from contextlib import redirect_stdout
from dataclasses import replace

import pytest
from lmms_fakes import ABSENT, PRESENT, samples

import vtbench_lmms
from vtbench.adapter import Generation
from vtbench.engine.loop import run
from vtbench.errors import AdapterError, OutOfMemory, SampleError, VtbenchError
from vtbench.registry import Registry
from vtbench.scoring import plugin
from vtbench_hf.checkpoint.loader import LoadedModel

REGISTRY = Registry({"lmms": vtbench_lmms})


@pytest.fixture
def start(monkeypatch):
    """Return a function that starts `--model lmms` with the stand-in and closes it after the test."""
    monkeypatch.setenv("PYTHONPATH", PRESENT)
    started = []

    def start(device="auto", dtype="auto", generation=None, **model_args):
        started.append(REGISTRY.adapter("lmms", model_args, device, dtype, generation))
        return started[-1]

    yield start
    for adapter in started:
        adapter.close()


def texts(adapter, *prompts: str) -> list[str]:
    return [output.text for output in adapter.generate(samples(*prompts), 9)]


def test_each_sample_is_answered_about_its_own_image(start):
    adapter = start(model="dummy")
    assert texts(adapter, "first", "second") == ["1 images, (0, 0, 7), first", "1 images, (10, 0, 7), second"]
    assert texts(adapter, "third") == ["1 images, (0, 0, 7), third"], "document numbers are not reused"


def test_models_of_the_simple_class_get_their_arguments(start):
    assert texts(start(model="simple"), "first", "second") == ["1 images, first", "1 images, second"]


def test_each_request_has_settings_of_its_own(start):
    assert texts(start(model="mutating"), "a", "b", "c") == ["[9, 0, False]"] * 3


def test_a_chat_model_is_sent_the_whole_chat(start):
    shot, sample = samples("first", "second")
    asked = replace(sample, system="Be brief.", examples=(replace(shot, target="yes"),))
    adapter = start(model="repeating")
    (output,) = adapter.generate([asked], 9)
    chat = [
        ("system", ["Be brief."]),
        ("user", ["<image>", "first"]),
        ("assistant", ["yes"]),
        ("user", ["<image>", "second"]),
    ]
    assert output.text.startswith(f"{chat} ")
    assert output.rendered_prompt == ("system: Be brief.\nuser: <image>\nfirst\nassistant: yes\nuser: <image>\nsecond")
    assert adapter.capabilities == {"generate", "context", "images"}


def test_a_simple_model_reads_nothing_before_the_question(start):
    adapter = start(model="simple")
    assert adapter.capabilities == {"generate"}
    with pytest.raises(SampleError, match="reads nothing before the question"):
        adapter.generate([replace(samples("first")[0], system="Be brief.")], 9)


def test_settings_of_sampling_go_to_the_model_and_an_answer_ends_before_a_stop_text(start):
    adapter = start(model="repeating", generation=Generation(temperature=0.5, top_p=0.9, until=("'do_sample'",)))
    (output,) = adapter.generate(samples("first"), 9)
    assert output.finish_reason == "stop"
    assert output.text == "[('user', ['<image>', 'first'])] [("
    whole = start(model="repeating", generation=Generation(temperature=0.5, top_p=0.9)).generate(samples("a", "b"), 9)
    for drawn in whole:
        assert "('do_sample', True), ('max_new_tokens', 9), ('num_beams', 1), ('temperature', 0.5)" in drawn.text
        assert "('top_p', 0.9)" in drawn.text


@pytest.mark.parametrize("setting", [{"seed": 4}, {"top_k": 5}])
def test_what_lmms_eval_cannot_do_is_refused_by_name(start, setting):
    with pytest.raises(AdapterError, match=rf"^model 'lmms': --gen {next(iter(setting))}: lmms-eval takes none"):
        start(model="repeating", generation=Generation(temperature=0.5, **setting))
    with pytest.raises(AdapterError, match="takes no --chat-template-args"):
        REGISTRY.adapter("lmms", {"model": "repeating"}, chat_template_args={"enable_thinking": False})


def test_what_lmms_eval_prints_stays_out_of_the_answers(start):
    said = io.StringIO()
    with redirect_stdout(said):
        start(model="dummy")
    assert said.getvalue() == ""
    assert "lmms_eval" not in sys.modules


def test_an_empty_answer_is_an_error_with_the_last_printed_line(start):
    adapter = start(model="swallowing")
    assert texts(adapter, "good") == ["fine"]
    with pytest.raises(SampleError, match=r"'swallowing' gave an empty answer.* printed: Error CUDA is on fire in"):
        texts(adapter, "good", "bad")
    assert texts(adapter, "good") == ["fine"], "the worker is still there"


def test_a_run_fails_the_one_sample_whose_answer_is_empty(start, tmp_path):
    samples("x")[0].images[0].save(tmp_path / "image.png")
    rows = [{"image": "image.png", "prompt": prompt, "target": "fine"} for prompt in ("good", "bad", "good too")]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "own.yaml").write_text("task: own\ndata: {path: own.jsonl}\nmetrics: [accuracy]\n")
    result = run(
        model="lmms",
        model_args={"model": "swallowing"},
        tasks=[str(tmp_path / "own.yaml")],
        output=str(tmp_path),
        report=False,
        registry=Registry({"lmms": vtbench_lmms, "scoring": plugin}),
    )
    records = [json.loads(line) for line in (result.path / "samples.jsonl").read_text().splitlines()]
    assert [record["output"] for record in records] == ["fine", None, "fine"]
    assert "empty answer" in records[1]["error"]
    assert result.exit_status == 1


def test_an_error_is_the_samples_and_takes_one_line(start):
    with pytest.raises(SampleError, match=r"^lmms-eval's 'raising' failed: ValueError: the processor refuses this \("):
        texts(start(model="raising"), "a")


def test_a_batch_that_does_not_fit_is_out_of_memory(start):
    adapter = start(model="hungry")
    with pytest.raises(OutOfMemory):
        texts(adapter, "a", "b", "c")
    assert len(texts(adapter, "a", "b")) == 2


def test_a_missing_answer_is_an_error(start):
    with pytest.raises(SampleError, match="1 answers to 2 questions"):
        texts(start(model="short"), "a", "b")


def test_a_worker_that_dies_is_an_error_with_the_signal_and_the_last_line(start):
    adapter = start(model="dying")
    with pytest.raises(AdapterError, match=r"was killed by SIGSEGV\. It last printed: Segmentation fault in a kernel"):
        texts(adapter, "a")
    with pytest.raises(AdapterError, match="SIGSEGV"):
        texts(adapter, "a")


def test_closing_ends_the_worker(start):
    adapter = start(model="dummy")
    process = adapter._worker._process
    adapter.close()
    assert process.returncode is not None
    adapter.close()


@pytest.mark.parametrize(
    ("model_args", "line"),
    [
        ({}, "model 'lmms' needs a model of lmms-eval: --model-args model=huggingface"),
        ({"model": "dumy"}, "lmms-eval has no model 'dumy'. Did you mean 'dummy'?"),
        ({"model": "dummy", "pretrained": "x"}, "lmms-eval's 'dummy' takes no argument 'pretrained'."),
        ({"model": "checkpoint", "pretraned": "x"}, "no argument 'pretraned'. Did you mean 'pretrained'?"),
        ({"model": "checkpoint", "pretrained": "/no/such/place"}, "pretrained: /no/such/place is not a directory"),
        ({"model": "typed", "other": 3}, "lmms-eval's 'typed' cannot be loaded: AssertionError: Unexpected kwargs"),
        ({"model": "needing"}, "needs 'decord_of_no_package', which is not installed: pip install decord_of_no"),
        ({"model": "dummy", "python": "/no/python"}, "python: /no/python cannot be run (No such file or directory)"),
    ],
)
def test_a_model_that_cannot_be_started_is_one_line(start, model_args, line):
    with pytest.raises(VtbenchError) as caught:
        start(**model_args)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_lmms_eval_the_extra_is_named(start, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ABSENT)
    with pytest.raises(AdapterError, match=r"needs lmms-eval; install it with: pip install .*\[lmms\]'"):
        start(model="dummy")
    with pytest.raises(AdapterError, match=f"{sys.executable} -m pip install 'lmms-eval>=0.7'"):
        start(model="dummy", python=sys.executable)


def test_a_secret_is_in_no_message(start):
    with pytest.raises(AdapterError, match=r"RuntimeError: wrong key \*\*\*") as caught:
        start(model="checkpoint", api_key="hunter2")
    assert "hunter2" not in str(caught.value)


def test_dtype_goes_to_models_that_take_one(start):
    assert texts(start(model="typed", dtype="float32"), "a") == ["float32"]
    with pytest.raises(AdapterError, match="'checkpoint' takes no dtype"):
        start(model="checkpoint", dtype="float32")


def test_describe_names_the_checkpoint(start, tmp_path):
    (tmp_path / "b.safetensors").write_bytes(b"weights")
    (tmp_path / "a.safetensors").write_bytes(b"more")
    described = start(model="checkpoint", pretrained=str(tmp_path)).describe()
    assert (described["checkpoint"], described["lmms_model"]) == (str(tmp_path), "checkpoint")
    assert described["fingerprint"] == LoadedModel(None, None, "", tmp_path).fingerprint(), (
        "as other adapters compute it"
    )


def test_the_worker_ends_with_its_parent(start):
    """Its input ends when the parent process ends, and the worker exits."""
    adapter = start(model="dummy")
    process = adapter._worker._process
    process.stdin.close()
    assert process.wait() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, signal.SIGCONT)
