"""The metrics of answers: their numbers on samples small enough to count by hand."""

import numpy as np
import pytest

from vtbench.errors import SampleError, TaskError
from vtbench.metric import Batch
from vtbench.scoring.graph_metric import SceneGraph
from vtbench.scoring.metrics import Accuracy, PairAccuracy, RankAccuracy
from vtbench.scoring.offset_metric import Psychometric
from vtbench.stats import wilson
from vtbench.types import Output, Record, Sample, VisualTokens

YES_NO = ("yes", "no")
LINE = "1 large red striped circle ; 2 small blue solid square | 1 left 2"


def sample(index, target, choices=YES_NO, kind="left", cluster="", meta=None, prompt="?", **more):
    facts = {"choices": choices, "kind": kind, "cluster": cluster, "meta": meta or {}, **more}
    return Sample(f"t/{index}", index, (), prompt, target, **facts)


def graph(index, target, **more):
    return sample(index, target, (), "graph", answer_type="graph", **more)


def scores(metric, samples, outputs, visual=None):
    outputs = [o if isinstance(o, Output) else Output(text=o) for o in outputs]
    seen = metric.observe(Batch(samples, outputs, visual or {}))
    facts = ("id", "index", "prompt", "target", "choices", "kind", "cluster", "meta", "references", "answer_type")
    return metric.compute([Record(task="t", **{f: getattr(s, f) for f in facts}) for s in samples], seen)


def test_accuracy_counts_unparsed_as_wrong_and_says_how_many():
    samples = [sample(0, "yes"), sample(1, "no"), sample(2, "no"), sample(3, "red", ("red", "blue", "black"), "colour")]
    score = scores(Accuracy(), samples, ["Yes.", "no", "dunno", "red"])["acc"]
    assert score.value == 0.75
    assert score.chance == pytest.approx((3 / 2 + 1 / 3) / 4)
    assert score.detail["unparsed"] == 0.25
    assert score.detail["majority"] == 0.75  # `no` twice of three times, `red` once of once
    assert score.detail["by_kind"]["left"]["acc"] == pytest.approx(2 / 3)
    colour = {"acc": 1.0, "n": 1, "chance": pytest.approx(1 / 3), "interval": wilson(1.0, 1)}
    assert score.detail["by_kind"]["colour"] == colour


def test_accuracy_leaves_scene_graphs_to_their_own_metric():
    samples = [sample(0, "yes"), graph(1, LINE)]
    assert scores(Accuracy(), samples, ["yes", LINE])["acc"].n == 1
    assert scores(SceneGraph(), samples, ["yes", LINE])["tuple_f1"].n == 1


def test_chance_of_open_answers_is_not_made_up():
    assert scores(Accuracy(), [sample(0, "a cat", ())], ["cat"])["acc"].chance is None


def test_a_target_outside_the_choices_is_an_error_of_its_sample():
    with pytest.raises(SampleError, match="t/0"):
        scores(RankAccuracy(), [sample(0, "maybe")], [Output(logprobs=(0.0, 0.0))])


def test_rank_accuracy_has_a_raw_and_a_per_token_form():
    samples = [sample(0, "yes"), sample(1, "no"), sample(2, "no")]
    outputs = [
        Output(logprobs=(-4.0, -2.0), logprob_tokens=(4, 1)),
        Output(logprobs=(-4.0, -2.0), logprob_tokens=(4, 1)),
        Output(logprobs=(-1.0, -1.0), logprob_tokens=(1, 1)),
    ]
    found = scores(RankAccuracy(), samples, outputs)
    assert found["rank_acc"].value == 0.5  # 0 + 1 + 1/2
    assert found["rank_acc_norm"].value == 0.5  # 1 + 0 + 1/2
    assert found["rank_acc"].detail["unranked"] == 0


def test_pair_accuracy_needs_both_and_counts_lone_samples_apart():
    samples = [
        sample(0, "yes", cluster="a"),
        sample(1, "no", cluster="a"),
        sample(2, "yes", cluster="b"),
        sample(3, "no", cluster="b"),
        sample(4, "yes", cluster="c"),
        sample(5, "yes"),
    ]
    score = scores(PairAccuracy(), samples, ["yes", "no", "yes", "yes", "yes", "yes"])["pair_acc"]
    assert (score.value, score.n, score.chance) == (0.5, 2, 0.25)
    assert score.detail["incomplete"] == 2


def test_twins_with_one_answer_are_one_guess():
    twins = [sample(i, "red", ("red", "blue", "black", "cyan"), "colour", "a") for i in range(2)]
    assert scores(PairAccuracy(), twins, ["red", "red"])["pair_acc"].chance == 0.25


def test_scene_graph_scores_by_hand():
    samples = [graph(0, LINE), graph(1, "1 small red solid star")]
    said = ["1 large red solid circle ; 2 small blue solid ring | 1 left 2", "no idea"]
    found = scores(SceneGraph(), samples, said)
    # Right: circle, large, red. Said: 2 objects with 3 attributes each and a relation. True: 9 + 4.
    assert found["tuple_f1"].value == pytest.approx(2 * 3 / (9 + 9 + 4))
    assert found["tuple_f1"].detail["precision"] == pytest.approx(3 / 9)
    assert found["tuple_f1"].detail["recall"] == pytest.approx(3 / 13)
    assert found["tuple_f1"].detail["per_sample"] == pytest.approx((2 * 3 / 18 + 0) / 2)
    assert found["object_f1"].value == pytest.approx(2 * 1 / (2 + 3))
    assert found["attribute_acc"].value == pytest.approx(2 / 3)
    assert found["attribute_acc"].detail == {"size": 1.0, "colour": 1.0, "texture": 0.0}
    assert found["relation_f1"].value == 0
    assert found["exact_graph"].value == 0
    assert found["parse_rate"].value == 0.5
    assert found["hallucinated"].value == 0.5
    assert found["hallucinated"].detail["per_sample"] == 0.5
    assert next(iter(found)) == "tuple_f1"


def test_scene_graph_reads_indeterminate_pairs_from_meta():
    free = graph(0, "1 large red solid circle ; 2 small blue solid ring", meta={"indeterminate": [[1, 2]]})
    said = "1 large red solid circle ; 2 small blue solid ring | 1 left 2"
    assert scores(SceneGraph(), [free], [said])["tuple_f1"].value == 1.0


def test_a_target_outside_the_grammar_is_a_task_error():
    with pytest.raises(TaskError, match="'a red circle'"):
        scores(SceneGraph(), [graph(0, "a red circle")], ["x"])


def test_psychometric_threshold_in_percent_pixels_and_patches():
    rng = np.random.default_rng(0)
    samples, outputs = [], []
    for i in range(1200):
        offset = float(rng.choice([-16, -8, -4, -2, -1, 1, 2, 4, 8, 16]))
        meta = {"offset_percent": offset, "positive": "right", "image_size": 200}
        samples.append(sample(i, "right" if offset > 0 else "left", ("left", "right"), "offset_x", meta=meta))
        outputs.append("right" if offset + rng.normal(0, 4) > 0 else "left")
    boxes = np.array([[x / 8, 0, (x + 1) / 8, 1] for x in range(8)])
    visual = {"connector": VisualTokens("connector", None, boxes)}
    score = scores(Psychometric(), samples, outputs, visual)["threshold_75"]
    assert score.value == pytest.approx(4 * 0.6745, rel=0.15)
    assert score.detail["pixels"] == pytest.approx(2 * score.value)
    assert score.detail["patches"] == pytest.approx(score.value / 12.5)
    assert score.detail["by_kind"]["offset_x"]["threshold_75"] == score.value
    assert not score.percent


def test_psychometric_takes_unparsed_for_the_wrong_side():
    metas = [{"offset_percent": x, "positive": "right"} for x in (-4.0, 4.0)]
    samples = [sample(i, t, ("left", "right"), meta=m) for i, (t, m) in enumerate(zip(("left", "right"), metas))]  # noqa: B905
    seen = Psychometric().observe(Batch(samples, [Output(text="?"), Output(text="?")], {}))
    assert [observation["positive"] for observation in seen] == [1, 0]


@pytest.mark.parametrize("kind", ["graph", "", "-", "all", "choice", "text", "blank", "none", "None"])
def test_a_kind_is_a_users_word_and_decides_nothing(kind):
    """A kind may be any word: its samples count, and it has a line of its own beside samples without one."""
    samples = [sample(0, "a", (), kind), sample(1, "b", (), kind), sample(2, "c", (), "photo"), sample(3, "d", (), "")]
    score = scores(Accuracy(), samples, ["a", "x", "c", "d"])["acc"]
    assert (score.value, score.n) == (0.75, 4)
    assert score.detail["by_kind"][kind]["n"] == (3 if kind == "" else 2)


def test_a_users_own_graphs_are_scored_whatever_their_kind():
    samples = [sample(0, LINE, (), "photo"), sample(1, LINE, (), "graph"), sample(2, "yes")]
    assert scores(SceneGraph(), samples, [LINE, "", "yes"])["exact_graph"].n == 2


def test_chance_majority_and_rank_accuracy_know_of_several_right_answers():
    choices = ("red", "blue", "black", "cyan")
    samples = [
        sample(0, "red", choices, references=("blue",)),
        sample(1, "blue", choices, references=("blue",)),
        sample(2, "cyan", choices),
    ]
    score = scores(Accuracy(), samples, ["blue", "red", "cyan"])["acc"]
    assert score.value == pytest.approx(2 / 3)
    assert score.chance == pytest.approx((2 + 1 + 1) / 12)
    assert score.detail["majority"] == pytest.approx(2 / 3)  # always `blue`
    ranked = scores(RankAccuracy(), samples, [Output(logprobs=(-2.0, -1.0, -3.0, -4.0), logprob_tokens=(1,) * 4)] * 3)
    assert ranked["rank_acc"].value == pytest.approx(2 / 3)
    assert ranked["rank_acc"].chance == pytest.approx((2 + 1 + 1) / 12)


def test_the_majority_of_open_answers_counts_references_and_forms():
    samples = [
        sample(0, "Cup.", (), references=("mug",)),
        sample(1, "mug", ()),
        sample(2, "a mug", (), references=("cup", "Mug")),
        sample(3, "bowl", ()),
    ]
    assert scores(Accuracy(), samples, [""] * 4)["acc"].detail["majority"] == 0.75


def test_the_majority_is_over_choices_in_any_order_and_of_none_that_are_a_rows_own():
    orders = [("cup", "mug", "jug"), ("mug", "jug", "cup"), ("jug", "cup", "mug"), ("mug", "cup", "jug")]
    shuffled = [sample(i, "cup" if i % 2 else "mug", orders[i]) for i in range(4)]
    assert scores(Accuracy(), shuffled, [""] * 4)["acc"].detail["majority"] == 0.5
    own = [sample(i, f"{i}", (f"{i}", f"not {i}")) for i in range(4)]
    assert scores(Accuracy(), own, [""] * 4)["acc"].detail["majority"] is None


def test_a_group_that_lacks_a_sample_is_no_pair():
    group = [sample(i, "cup", ("cup", "mug"), cluster="a", meta={"group_size": 3}) for i in range(3)]
    assert scores(PairAccuracy(), group, ["cup"] * 3)["pair_acc"].n == 1
    less = scores(PairAccuracy(), group[:2], ["cup"] * 2)["pair_acc"]
    assert (less.n, less.value) == (0, None)


def test_a_pair_is_right_with_any_of_the_references():
    choices = ("red", "blue", "black", "cyan")
    pair = [sample(0, "red", choices, cluster="a", references=("blue",)), sample(1, "cyan", choices, cluster="a")]
    score = scores(PairAccuracy(), pair, ["blue", "cyan"])["pair_acc"]
    assert (score.value, score.chance) == (1.0, 0.125)


def test_reasoning_is_not_scored():
    samples = [sample(0, "yes"), sample(1, "no"), sample(2, "no"), graph(3, LINE)]
    texts = ["<think>no, no</think>yes", "<think>yes?</think>\nNo.", "<think>no", f"<think>1 small blue</think>{LINE}"]
    score = scores(Accuracy(), samples, texts)["acc"]
    assert (score.value, score.detail["unparsed"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert scores(SceneGraph(), samples[3:], texts[3:])["exact_graph"].value == 1
