"""vtbench's models for other harnesses, without those harnesses: answers, errors, and the RS of `vtbench run`."""

import math

import pytest
from lmms_fakes import samples

from vtbench.engine.loop import run
from vtbench.errors import SampleError, VtbenchError
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_harness import hooks
from vtbench_harness.adapter_server import AdapterServer
from vtbench_harness.errors import HarnessError
from vtbench_harness.harness_task import DecodingSettings, HarnessTask, Question
from vtbench_harness.redundancy_monitor import check_output_path, print_redundancy

N = 120


@pytest.fixture(scope="module")
def items():
    task = load_task(find_task_files()["relational"])
    return [task.sample(index) for index in range(N)]


def document(item) -> dict:
    """Return the row that a harness has of an item."""
    return {"question": item.prompt, "image": item.images[0], "cluster": item.cluster, "id": item.index}


def harness_task(items, name="theirs") -> HarnessTask:
    questions = [Question(item.prompt, lambda item=item: (item.images, document(item))) for item in items]
    return HarnessTask(name, questions, 8)


@pytest.fixture(scope="module")
def served(items):
    """A server that has answered the items, and its answers."""
    server = AdapterServer("echo", {}, batch_size=32)
    received = {}
    answers = server.generate(harness_task(items), received.__setitem__)
    yield server, answers, received
    server.close()


def test_every_answer_is_returned_and_passed_to_the_callback(items, served):
    _, answers, received = served
    assert answers == [item.prompt for item in items], "echo gives the question back"
    assert received == dict(enumerate(answers))


def test_rs_equals_that_of_a_run_on_the_same_images(served, tmp_path, monkeypatch):
    """Without their scenes, as a harness has them: then the first third of both gives the basis."""
    monkeypatch.setattr("vtbench_redundancy.metrics.basis_task.shows_scenes", lambda task: False)
    result = run(
        model="echo", tasks=["relational"], limit=N, metrics=["redundancy"], batch_size=32, output=str(tmp_path),
        report=False,
    )  # fmt: skip
    ours = {row["score"]: (row["value"], row["low"], row["high"]) for row in result.rows()}
    assert ours.pop("cue_information"), "the harness has no scenes, whose facts this is about"
    server, _, _ = served
    scores = server.monitors["theirs"].scores()
    theirs = {name: (score.value, *(score.interval or (None, None))) for name, score in scores.items()}
    assert theirs.keys() == ours.keys()
    for name, numbers in ours.items():
        assert theirs[name] == pytest.approx(numbers), name
    assert ours["rs"][0] is not None


def test_the_hooks_give_rs_and_its_interval(items, served, monkeypatch):
    """lmms-eval passes documents without their images."""
    server, _, _ = served
    monkeypatch.setattr(hooks, "monitors", server.monitors)
    docs = [{name: value for name, value in document(item).items() if name != "image"} for item in items]
    rows = [hooks.with_redundancy({"acc": 1.0}, doc) for doc in docs]
    assert rows[0].keys() == {"acc", "rs", "rs_low", "rs_high"}
    score = server.monitors["theirs"].scores()["rs"]
    assert hooks.rs([row["rs"] for row in rows]) == score.value
    assert (
        hooks.rs_low([row["rs_low"] for row in rows]),
        hooks.rs_high([r["rs_high"] for r in rows]),
    ) == score.interval
    assert math.isnan(hooks.rs(["of no document"])), "never a number that was not measured"


def test_other_models_get_no_rs(monkeypatch, items):
    monkeypatch.setattr(hooks, "monitors", {})
    assert hooks.with_redundancy({"acc": 1.0}, document(items[0])) == {"acc": 1.0}


def test_a_model_without_visual_tokens_has_accuracy_only(items, capsys, monkeypatch):
    server = AdapterServer("majority", {})
    assert server.generate(harness_task(items[:4]), lambda index, text: None)
    monkeypatch.setattr(hooks, "monitors", server.monitors)
    assert "rs" not in hooks.with_redundancy({}, document(items[0]))
    print_redundancy(server.monitors)
    assert "no redundancy of theirs: the adapter gives no visual tokens" in capsys.readouterr().err


def test_rs_is_written_beside_the_results(served, tmp_path):
    server, _, _ = served
    print_redundancy(server.monitors, str(tmp_path / "rs.json"))
    text = (tmp_path / "rs.json").read_text()
    assert f'"value": {server.monitors["theirs"].scores()["rs"].value}' in text
    with pytest.raises(HarnessError, match="there is no directory"):
        check_output_path(str(tmp_path / "nowhere" / "rs.json"))


def test_questions_without_an_answer_raise_after_the_others_are_answered(items):
    def broken():
        raise OSError("truncated file")

    questions = [Question("a", lambda: (items[0].images, {})), Question("b", broken)]
    questions.append(Question("c", lambda: (["film.mp4"], {})))
    received = {}
    server = AdapterServer("echo", {}, redundancy=False)
    with pytest.raises(HarnessError, match=r"'mixed': 2 questions got no answer.*OSError: truncated file"):
        server.generate(HarnessTask("mixed", questions, 8), received.__setitem__)
    assert received == {0: "a"}
    with pytest.raises(SampleError, match="asks about a str"):
        HarnessTask("mixed", questions, 8).sample(2)


def test_images_with_another_number_of_tokens_are_answered(items):
    """RS needs the same number of tokens from each image; answers do not."""
    small = samples("small")[0]
    server = AdapterServer("echo", {}, batch_size=8)
    server.monitors.clear()
    mixed = [*items[:60], small]
    assert server.generate(harness_task(mixed, "mixed"), lambda index, text: None)[-1] == "small"
    monitor = server.monitors["mixed"]
    assert monitor.skipped in (0, 1)
    assert monitor.scores()["rs"].n == 61 - 61 // 3 - monitor.skipped  # the basis is fitted on the first third


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"max_gen_toks": 8, "until": ["\n\n", ""], "do_sample": False}, DecodingSettings(8, ("\n\n",))),
        ({"max_new_tokens": 16, "temperature": 0, "until": "."}, DecodingSettings(16, (".",))),
        ({"temperature": 0.7, "do_sample": False, "num_beams": 1}, DecodingSettings()),
    ],
)
def test_settings_of_both_harnesses_are_read(settings, found):
    assert DecodingSettings.from_kwargs(settings) == found


@pytest.mark.parametrize("settings", [{"do_sample": True}, {"temperature": 0.7}, {"num_beams": 4}])
def test_sampling_and_beams_are_refused(settings):
    with pytest.raises(HarnessError, match="answer greedily"):
        DecodingSettings.from_kwargs(settings)


def test_an_answer_ends_at_the_first_stop():
    assert DecodingSettings(8, ("\n", "Q:")).truncate("yes Q: and\nmore") == "yes "


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"adapter": "lava", "model_args": {}}, "unknown model 'lava'. Did you mean 'llava'"),
        ({"adapter": "echo", "model_args": {"txt": 1}}, "has no setting 'txt'. Did you mean 'text'?"),
        ({"adapter": "echo", "model_args": {}, "batch_size": "many"}, "batch_size=many is neither"),
    ],
)
def test_a_bad_argument_is_explained(arguments, line):
    with pytest.raises(VtbenchError) as caught:
        AdapterServer(**arguments)
    assert line in str(caught.value)
