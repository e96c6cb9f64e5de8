"""Scores and flags of a page are links to what they mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from host_fakes import quiz, registry

import vtbench
from vtbench.registry import Registry
from vtbench.report.page import environment
from vtbench.report.terms import Terms, meaning_of

SCORES = {"rs": "redundancy", "rs_LAYER": "redundancy of a layer", "frontier.BUDGET": "under a budget", "acc": "right"}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rs", "redundancy"),
        ("rs_encoder", "redundancy of a layer"),
        ("frontier.merge:t=0.9", "under a budget"),
        ("redundancy:m=8.rs", "redundancy"),
        ("unheard_of", ""),
    ],
)
def test_a_score_has_the_sentence_of_its_name_or_of_a_pattern(name: str, sentence: str) -> None:
    found = re.search(r'title="(.*?)"', Terms(SCORES).score(name))
    assert (found[1] if found else "") == sentence


def test_the_longest_pattern_has_the_word() -> None:
    assert meaning_of("a_b_c", {"a_X": "short", "a_b_X": "long", "a_Y": "other"}) == "long"


def test_a_term_is_linked_to_its_one_entry() -> None:
    terms = Terms(SCORES, {"few": "use more"})
    first, flag, again, named = (
        terms.score("acc"),
        terms.flag("few"),
        terms.score("acc"),
        terms.score("acc", "right, %"),
    )
    assert first == again
    assert named.endswith(">right, %</a>")
    assert re.findall(r'href="#(.*?)"', first + flag + named) == ["term-1", "term-2", "term-1"]
    assert terms.entries == {"score": [("term-1", "acc", "right")], "flag": [("term-2", "few", "use more")]}
    page = environment().from_string("{% include 'terms.html.jinja' %}").render(terms=terms)
    assert re.findall(r'<dt id="(term-\d)">', page) == ["term-1", "term-2"]


def test_what_nobody_explains_is_text_without_a_link_and_escaped() -> None:
    terms = Terms()
    assert terms.score("<b>") == "&lt;b&gt;"
    assert terms.flag("<b>") == '<span class="flag">&lt;b&gt;</span>'
    assert terms.about("<b>") == ""
    assert terms.entries == {}
    assert "<b>" not in Terms({"<b>": '"><b>'}).score("<b>")


def test_the_first_plugin_has_the_word_on_a_score() -> None:
    assert Registry().scores()["acc"].startswith("Share of answers")


def test_the_report_links_its_scores(tmp_path: Path) -> None:
    task = quiz(tmp_path, 20, metrics="[accuracy]")
    run = vtbench.run(model="fake", tasks=[task], output=str(tmp_path / "out"), registry=registry())
    page = (run.path / "report.html").read_text()
    assert page.count('<a class="term" href="#term-1"') >= 2
    assert '<dt id="term-1">acc</dt>' in page
