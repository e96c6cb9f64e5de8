"""Panels of the token space: numbers of the space against known truth, points that are the same every time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vtbench_probes import token_labels, tsne_panel
from vtbench_probes.embedding import COLOURINGS, neighbour_purity, separation
from vtbench_probes.errors import ProbeError

SHAPES, COLOURS = ("star", "ring"), ("blue", "green", "cyan")


def observations(n: int = 40, m: int = 8, spread: float = 0.1) -> list[dict]:
    """Two objects an image; tokens lie where the shape says, whatever the colour. Half of all tokens show none."""
    draw = np.random.default_rng(0)
    seen = []
    for _ in range(n):
        things = [[shape, str(draw.choice(COLOURS)), "solid"] for shape in SHAPES]
        shows = draw.choice([-1, -1, 0, 1], m).astype(np.int8)
        x = spread * draw.standard_normal((m, 3)) + np.array([[0, 0, 5], [5, 0, 0], [0, 5, 0]])[shows + 1]
        seen.append({"tokens/connector": x.astype(np.float16), "shows": shows, "things": things, "background": "red"})
    return seen


@pytest.fixture(scope="module")
def panel() -> dict:
    seen = observations()
    return tsne_panel(seen, token_labels(seen), tokens=120)


def test_labels_say_what_each_token_shows() -> None:
    seen = [
        {"shows": np.array([-1, 1, 0], dtype=np.int8), "things": [["star", "blue", "solid"], ["ring", "red", "dotted"]]}
    ]
    seen[0]["background"] = "cyan"
    found = {colouring: words.tolist() for colouring, words in token_labels(seen).items()}
    assert found == {
        "object": [["background", "ring", "star"]],
        "colour": [["", "red", "blue"]],
        "texture": [["", "dotted", "solid"]],
        "background": [["cyan", "", ""]],
    }


def test_a_panel_is_json_with_a_point_and_a_word_for_each_token(panel: dict) -> None:
    json.dumps(panel, allow_nan=False)
    assert np.array(panel["points"]).shape == (120, 2)
    assert (
        len(panel["sample"])
        == len(panel["token"])
        == len(set(zip(panel["sample"], panel["token"], strict=True)))
        == 120
    )
    assert panel["labels"].keys() == panel["numbers"].keys() == set(COLOURINGS)
    seen = observations()
    for sample, token, word in zip(panel["sample"], panel["token"], panel["labels"]["object"], strict=True):
        assert word == token_labels(seen)["object"][sample, token]
    assert panel["labels"]["object"].count("background") == 60


def test_the_numbers_are_those_of_the_space(panel: dict) -> None:
    numbers = panel["numbers"]
    assert numbers["object"]["silhouette"] > 0.9
    assert numbers["object"]["purity"] == 1
    assert numbers["colour"]["silhouette"] < 0.1
    assert numbers["colour"]["purity"] == pytest.approx(numbers["colour"]["chance"], abs=0.12)
    assert numbers["background"] == {"silhouette": None, "purity": None, "chance": None, "neighbours": 10, "n": 60}


def test_the_same_tokens_give_the_same_panel(panel: dict) -> None:
    seen = observations()
    assert tsne_panel(seen, token_labels(seen), tokens=120) == panel


def test_purity_against_a_plain_loop() -> None:
    draw = np.random.default_rng(0)
    x, labels, groups = draw.standard_normal((60, 2)), draw.integers(0, 3, 60), draw.integers(0, 20, 60)
    shares = []
    for i in range(60):
        others = sorted(
            (j for j in range(60) if groups[j] != groups[i]), key=lambda j: float(np.sum((x[i] - x[j]) ** 2))
        )
        shares.append(np.mean([labels[j] == labels[i] for j in others[:5]]))
    assert neighbour_purity(x, labels, groups, 5) == pytest.approx(np.mean(shares))


def test_tokens_of_one_scene_are_no_neighbours_of_each_other() -> None:
    """Each scene is a tight heap with a word of its own choosing: nothing is known of other scenes."""
    draw = np.random.default_rng(0)
    words = draw.choice(["a", "b"], 50)
    x = np.repeat(draw.standard_normal((50, 4)), 20, axis=0) + 1e-3 * draw.standard_normal((1000, 4))
    own = separation(x, np.repeat(words, 20), np.arange(1000))
    clustered = separation(x, np.repeat(words, 20), np.repeat(np.arange(50), 20))
    assert own["purity"] == 1
    assert clustered["purity"] < 0.7


def test_what_cannot_be_shown_says_so() -> None:
    seen = observations(n=2)
    with pytest.raises(ProbeError, match="no tokens at 'encoder' to show; there are connector"):
        tsne_panel(seen, token_labels(seen), layer="encoder")
    with pytest.raises(ProbeError, match="16 tokens are too few"):
        tsne_panel(seen, token_labels(seen))
    with pytest.raises(ProbeError, match="no observations"):
        tsne_panel([], {})
