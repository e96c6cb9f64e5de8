"""vtbench models for other harnesses, without those harnesses: questions, answers, RS as a run of vtbench has it."""

import math

import pytest
from lmms_fakes import samples

from vtbench.engine.loop import run
from vtbench.errors import SampleError, VtbenchError
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_harness import hooks, telling
from vtbench_harness.errors import HarnessError
from vtbench_harness.questions import Decoding, Question, Questions
from vtbench_harness.serving import Server

N = 120


@pytest.fixture(scope="module")
def items():
    task = load_task(find_task_files()["relational"])
    return [task.sample(index) for index in range(N)]


def document(item) -> dict:
    """Return the row that a harness has of an item."""
    return {"question": item.prompt, "image": item.images[0], "cluster": item.cluster, "id": item.index}


def asked(items, name="theirs") -> Questions:
    questions = [Question(item.prompt, lambda item=item: (item.images, document(item))) for item in items]
    return Questions(name, questions, 8)


@pytest.fixture(scope="module")
def served(items):
    """A server that has answered the items, and its answers."""
    server = Server("echo", {}, batch_size=32)
    told = {}
    answers = server.answer(asked(items), told.__setitem__)
    yield server, answers, told
    server.close()


def test_every_question_is_answered_and_told(items, served):
    _, answers, told = served
    assert answers == [item.prompt for item in items], "echo gives the question back"
    assert told == dict(enumerate(answers))


def test_rs_is_that_of_a_run_on_the_same_pictures(served, tmp_path):
    result = run(
        model="echo", tasks=["relational"], limit=N, metrics=["redundancy"], batch_size=32, output=str(tmp_path),
        report=False,
    )  # fmt: skip
    ours = {row["score"]: (row["value"], row["low"], row["high"]) for row in result.rows()}
    server, _, _ = served
    scores = server.watches["theirs"].scores()
    theirs = {name: (score.value, *(score.interval or (None, None))) for name, score in scores.items()}
    assert theirs.keys() == ours.keys()
    for name, numbers in ours.items():
        assert theirs[name] == pytest.approx(numbers), name
    assert ours["rs"][0] is not None


def test_a_table_of_the_harness_gets_rs_with_its_interval(items, served, monkeypatch):
    """From documents without their pictures, as lmms-eval has them in the end."""
    server, _, _ = served
    monkeypatch.setattr(hooks, "watched", server.watches)
    docs = [{name: value for name, value in document(item).items() if name != "image"} for item in items]
    rows = [hooks.with_redundancy({"acc": 1.0}, doc) for doc in docs]
    assert rows[0].keys() == {"acc", "rs", "rs_low", "rs_high"}
    score = server.watches["theirs"].scores()["rs"]
    assert hooks.rs([row["rs"] for row in rows]) == score.value
    assert (
        hooks.rs_low([row["rs_low"] for row in rows]),
        hooks.rs_high([r["rs_high"] for r in rows]),
    ) == score.interval
    assert math.isnan(hooks.rs(["of no document"])), "never a number that was not measured"


def test_other_models_get_no_rs(monkeypatch, items):
    monkeypatch.setattr(hooks, "watched", {})
    assert hooks.with_redundancy({"acc": 1.0}, document(items[0])) == {"acc": 1.0}


def test_a_model_without_visual_tokens_has_accuracy_only(items, capsys, monkeypatch):
    server = Server("majority", {})
    assert server.answer(asked(items[:4]), lambda index, text: None)
    monkeypatch.setattr(hooks, "watched", server.watches)
    assert "rs" not in hooks.with_redundancy({}, document(items[0]))
    telling.tell(server.watches)
    assert "no redundancy of theirs: the adapter gives no visual tokens" in capsys.readouterr().err


def test_rs_is_written_beside_the_results(served, tmp_path):
    server, _, _ = served
    telling.tell(server.watches, str(tmp_path / "rs.json"))
    text = (tmp_path / "rs.json").read_text()
    assert f'"value": {server.watches["theirs"].scores()["rs"].value}' in text
    with pytest.raises(HarnessError, match="there is no directory"):
        telling.checked(str(tmp_path / "nowhere" / "rs.json"))


def test_questions_without_an_answer_end_it_and_the_others_are_told(items):
    def broken():
        raise OSError("truncated file")

    questions = [Question("a", lambda: (items[0].images, {})), Question("b", broken)]
    questions.append(Question("c", lambda: (["film.mp4"], {})))
    told = {}
    server = Server("echo", {}, redundancy=False)
    with pytest.raises(HarnessError, match=r"'mixed': 2 questions got no answer.*OSError: truncated file"):
        server.answer(Questions("mixed", questions, 8), told.__setitem__)
    assert told == {0: "a"}
    with pytest.raises(SampleError, match="asks about a str"):
        Questions("mixed", questions, 8).sample(2)


def test_pictures_whose_tokens_differ_cost_no_answer(items):
    """RS needs as many tokens from each picture; answers do not."""
    small = samples("small")[0]
    server = Server("echo", {}, batch_size=8)
    server.watches.clear()
    mixed = [*items[:60], small]
    assert server.answer(asked(mixed, "mixed"), lambda index, text: None)[-1] == "small"
    watch = server.watches["mixed"]
    assert watch.unseen in (0, 1)
    assert watch.scores()["rs"].n == 61 - watch.unseen


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"max_gen_toks": 8, "until": ["\n\n", ""], "do_sample": False}, Decoding(8, ("\n\n",))),
        ({"max_new_tokens": 16, "temperature": 0, "until": "."}, Decoding(16, (".",))),
        ({"temperature": 0.7, "do_sample": False, "num_beams": 1}, Decoding()),
    ],
)
def test_settings_of_both_harnesses_are_read(settings, found):
    assert Decoding.of(settings) == found


@pytest.mark.parametrize("settings", [{"do_sample": True}, {"temperature": 0.7}, {"num_beams": 4}])
def test_what_is_not_greedy_is_refused(settings):
    with pytest.raises(HarnessError, match="answer greedily"):
        Decoding.of(settings)


def test_an_answer_ends_at_the_first_stop():
    assert Decoding(8, ("\n", "Q:")).cut("yes Q: and\nmore") == "yes "


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"adapter": "lava", "model_args": {}}, "unknown model 'lava'. Did you mean 'llava'"),
        ({"adapter": "echo", "model_args": {"txt": 1}}, "takes no argument 'txt'. Did you mean 'text'?"),
        ({"adapter": "echo", "model_args": {}, "batch_size": "many"}, "batch_size=many is neither"),
    ],
)
def test_a_server_that_cannot_be_made_says_why(arguments, line):
    with pytest.raises(VtbenchError) as caught:
        Server(**arguments)
    assert line in str(caught.value)
