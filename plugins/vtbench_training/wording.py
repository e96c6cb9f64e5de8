"""The words around a question and its answer, as a family's prompt has them behind the picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wording:
    """What stands around a question and its answer in the tokens that the model reads.

    >>> LLAVA_TURNS.question("What is it?").strip(), LLAVA_TURNS.answer("a star")
    ('What is it? ASSISTANT:', ' a star</s>')
    """

    before: str = ""
    after: str = ""
    before_answer: str = ""
    after_answer: str = "</s>"

    def question(self, text: str) -> str:
        """Return the question as it stands after the picture."""
        return self.before + text + self.after

    def answer(self, text: str) -> str:
        """Return the answer as it stands after the question."""
        return self.before_answer + text + self.after_answer


LLAVA_TURNS = Wording("\n", " ASSISTANT:", " ")
"""Those of LLaVA 1.5."""
