r"""Prompt formats: how a task's questions are put, and how their answers are written.

Every task has `plain`, the bare question. A task file defines others under `formats:`, by name:

    formats:
      instruct: "{question} Answer with one of: {choices}."
      letters: {prompt: "{question}\n{options}\nAnswer with the letter.", answer: letter}

A format is applied to finished samples: it changes their prompt, and never what is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from string import Formatter, ascii_uppercase
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from vtbench.adapter import INSTRUCT, PLAIN
from vtbench.errors import SampleError, TaskError, nearest
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene_settings import SceneSettings, StrictModel
from vtbench.task.row_template import enumeration
from vtbench.types import Sample

OF_SAMPLES = ("question", "choices", "options")
"""Placeholders that a sample fills: its question, `red, blue or green`, and a line `A. red` for each choice."""
OF_SCENES = ("sizes", "colours", "textures", "shapes", "example")
"""Placeholders that the settings of a synthetic task fill: its vocabulary, and a scene graph in the answer's form."""


class PromptFormat(StrictModel):
    """How questions are put."""

    prompt: str
    """The text, with {question}, and where wanted {choices} or {options}."""
    answer: Literal["text", "letter", "json"] = "text"
    """The form of the answer: the choice's text, its letter, or a scene graph as JSON."""
    shuffle: bool = True
    """Whether {options} stand in an order drawn for each scene; otherwise in that of the choices."""
    max_new_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How long an answer may be, in tokens; without it, as long as the task says."""

    def check(self, name: str, scenes: bool, closed: bool) -> None:
        """Refuse a text that cannot be filled.

        Args:
            name: of the format.
            scenes: whether the task draws scenes.
            closed: whether questions may have choices.

        Raises:
            ValueError: the text has an unknown placeholder, or lacks one.
        """
        where = f"formats.{name}"
        if name == PLAIN:
            raise ValueError(f"{where}: `{PLAIN}` is the question as it is; give this format another name")
        try:
            parsed = [
                (field, spec, change) for _, field, spec, change in Formatter().parse(self.prompt) if field is not None
            ]
        except ValueError as problem:
            raise ValueError(f"{where}: {self.prompt!r}: {problem}; write {{{{ for a brace") from None
        known = OF_SAMPLES + (OF_SCENES if scenes else ())
        for field, spec, change in parsed:
            if field not in known or spec or change:
                raise ValueError(f"{where}: there is no placeholder {{{field}}}.{nearest(field, [*known])}")
        fields = {field for field, _, _ in parsed}
        if "question" not in fields:
            raise ValueError(f"{where}: {self.prompt!r} must contain {{question}}")
        if self.answer == "letter" and "options" not in fields:
            raise ValueError(f"{where}: an answer by letter needs the lettered {{options}} in the prompt")
        if self.answer == "json" and not scenes:
            raise ValueError(f"{where}: only scene graphs of synthetic scenes are written as JSON")
        if fields & {"choices", "options"} and not closed:
            raise ValueError(f"{where}: the task's questions have no choices; name their column under data.choices")

    def apply(self, sample: Sample, words: Mapping[str, str]) -> Sample:
        """Return the sample in this format; a question without choices stays as it is where the format names them.

        Args:
            sample: in the format `plain`.
            words: what the task's settings say for `OF_SCENES`.

        Raises:
            SampleError: there are more choices than letters.
        """
        fields = {field for _, field, _, _ in Formatter().parse(self.prompt) if field}
        if fields & {"choices", "options"} and not sample.choices:
            return sample
        order = list(range(len(sample.choices)))
        lettered = "options" in fields
        if lettered:
            if len(order) > len(ascii_uppercase):
                raise SampleError(f"{sample.id}: {len(order)} choices; there are letters for {len(ascii_uppercase)}")
            if self.shuffle:  # the questions of one scene share an order, so that a minimal pair has one prompt
                order = HashRng("options", sample.cluster or sample.id, sample.prompt).sample(order, len(order))
        letters = dict(zip(order, ascii_uppercase, strict=False)) if lettered else {}
        values = {
            **words,
            "question": sample.prompt,
            "choices": enumeration(sample.choices),
            "options": "\n".join(f"{letters[i]}. {sample.choices[i]}" for i in order) if lettered else "",
        }
        changed = replace(sample, prompt=self.prompt.format(**values), question=sample.prompt)
        if lettered:
            labels = tuple(letters[i] for i in range(len(order)))
            changed = replace(changed, labels=labels)
        if self.answer == "letter" and sample.target in sample.choices:
            changed = replace(changed, answer=letters[sample.choices.index(sample.target)])
        if self.answer == "json" and sample.answer_type == "graph":
            from vtbench.scoring.graph_json import graph_as_json

            changed = replace(changed, answer=graph_as_json(sample.target))
        return changed


Formats = dict[str, Annotated[PromptFormat, BeforeValidator(lambda v: {"prompt": v} if isinstance(v, str) else v)]]
"""Formats by name, as a task file writes them: a text alone is the prompt."""


def choose(formats: Mapping[str, PromptFormat], name: str, task: str) -> PromptFormat | None:
    """Return a task's format of this name; None for `plain`, and for `instruct` where the task has no such text.

    Raises:
        TaskError: the task has no format of this name.
    """
    if name not in formats and name not in (PLAIN, INSTRUCT):
        known = [PLAIN, *formats]
        raise TaskError(f"task {task!r} has no prompt format {name!r}.{nearest(name, known)}")
    return formats.get(name)


def vocabulary(scene: SceneSettings, answer: str) -> dict[str, str]:
    """Return what the settings of scenes say for `OF_SCENES`; the example is in the form of the answer."""
    sizes, colours, textures, shapes = (
        tuple(map(str, words)) for words in (scene.sizes, scene.colours, scene.textures, scene.shapes)
    )
    one = f"1 {sizes[-1]} {colours[0]} {textures[-1]} {shapes[0]}"
    other = f"2 {sizes[0]} {colours[-1]} {textures[0]} {shapes[-1]}"
    example = f"{one} ; {other} | 1 left 2"
    if answer == "json":
        from vtbench.scoring.graph_json import graph_as_json

        example = graph_as_json(example)
    listed = {"sizes": sizes, "colours": colours, "textures": textures, "shapes": shapes}
    return {name: ", ".join(words) for name, words in listed.items()} | {"example": example}
