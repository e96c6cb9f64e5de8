"""The terms of a page: its scores and flags, each a link to what it means in the list at the page's end.

In: sentences by score and by flag, as plugins explain them. Out: links with tooltips, and the list of what was linked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from markupsafe import Markup, escape

from vtbench.report.page import LONGEST_NAME, cut


def meaning_of(name: str, meanings: Mapping[str, str]) -> str:
    """Return the sentence of a name, or of a pattern that it fits, in which capitals stand for any text; else nothing.

    >>> meaning_of("cue_shape", {"cue_information": "nats", "cue_NAME": "a probe's accuracy"})
    "a probe's accuracy"
    """
    if name in meanings:
        return meanings[name]
    fitting = [key for key in meanings if re.fullmatch(re.sub(r"[A-Z]+", ".+", re.escape(key)), name)]
    return meanings[max(fitting, key=len)] if fitting else ""


@dataclass
class Terms:
    """What a page may link, and what it has linked.

    Args:
        scores: sentences by score, as `Registry.scores` returns them.
        flags: sentences by flag, as `Registry.flags` returns them.
    """

    scores: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    flags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    linked: dict[tuple[str, str], str] = field(default_factory=dict)
    """Sentences by kind and name, in the order of their first link."""

    def score(self, name: str, text: str | None = None) -> Markup:
        """Return a score's name, or `text` for it, as a link; without one if nobody explains the score."""
        shown = escape(cut(text or name, LONGEST_NAME))
        for mark in "_.":  # a narrow column breaks a name behind these, and not inside a word
            shown = shown.replace(mark, Markup("{}<wbr>").format(mark))
        return self._link("score", name, shown, self._of_score(name), "term")

    def flag(self, name: str) -> Markup:
        """Return a flag's mark as a link; without one if nobody explains the flag."""
        return self._link("flag", name, escape(cut(name, LONGEST_NAME)), self.flags.get(name, ""), "flag")

    def about(self, name: str) -> Markup:
        """Return a question mark that leads to what a score means, for where its name is a button; else nothing."""
        sentence = self._of_score(name)
        text = Markup('<span aria-hidden="true">?</span>')
        return self._link("score", name, text, sentence, "about", f"What {name} is") if sentence else Markup()

    @property
    def entries(self) -> dict[str, list[tuple[str, str, str]]]:
        """What was linked so far, by kind: (id, name, sentence) of each."""
        found: dict[str, list[tuple[str, str, str]]] = {}
        for place, ((kind, name), sentence) in enumerate(self.linked.items()):
            found.setdefault(kind, []).append((f"term-{place + 1}", name, sentence))
        return found

    def _of_score(self, name: str) -> str:
        # a score's name stands behind that of its metric, where two metrics have one of this name
        return meaning_of(name, self.scores) or meaning_of(name.rpartition(".")[2], self.scores)

    def _link(self, kind: str, name: str, shown: Markup, sentence: str, style: str, label: str = "") -> Markup:
        if not sentence:
            return Markup('<span class="flag">{}</span>').format(shown) if kind == "flag" else shown
        self.linked.setdefault((kind, name), sentence)
        place = 1 + list(self.linked).index((kind, name))
        named = Markup(' aria-label="{}"').format(label) if label else Markup()
        return Markup('<a class="{}" href="#term-{}" title="{}"{}>{}</a>').format(style, place, sentence, named, shown)
