"""A harness's questions as a vtbench task: prompts and pictures in, `Sample`s by index out.

And its generation settings as what an adapter can do: so many new tokens, decoded greedily, cut at the first stop.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image

from vtbench.errors import SampleError
from vtbench.types import Sample
from vtbench_harness.errors import HarnessError

_DEFAULT_NEW_TOKENS = 256
"""What lm-eval gives its own models where a task does not say."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question about a document that is fetched when it is asked, as a harness may have more than memory holds."""

    prompt: str
    fetch: Callable[[], tuple[Sequence[Any], Mapping[str, Any]]]
    """Returns the document's pictures, and the document."""


def document_key(doc: Mapping[str, Any]) -> str:
    """Name a document by its texts and numbers: lmms-eval shows the rest to models alone.

    Documents that differ in their pictures only have one name.

    >>> document_key({"question": "What?", "image": object()}) == document_key({"question": "What?"})
    True
    """
    plain = {name: value for name, value in doc.items() if isinstance(value, (str, int, float))}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


class Questions:
    """The questions of one of the harness's tasks; see `vtbench.types.Task`."""

    version = 1
    description = "questions of another harness"
    split = "test"
    metrics: tuple[str, ...] = ()

    def __init__(self, name: str, questions: Sequence[Question], max_new_tokens: int) -> None:
        self.name, self.max_new_tokens = name, max_new_tokens
        self._questions = questions

    def __len__(self) -> int:
        return len(self._questions)

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`; its pictures are what the harness has, at their own size.

        A column `cluster` becomes the sample's; `meta` holds the document's key.

        Raises:
            SampleError: a picture cannot be read, or is something else.
        """
        question, name = self._questions[index], f"{self.name}/{index}"
        try:
            pictures, doc = question.fetch()
        except Exception as error:  # the harness's task may fail on a document in any way
            raise SampleError(f"{name}: its pictures cannot be had ({type(error).__name__}: {error})") from error
        for picture in pictures:
            if not isinstance(picture, Image):
                raise SampleError(f"{name}: it asks about a {type(picture).__name__}; vtbench adapters see pictures")
        images = tuple(picture.convert("RGB") for picture in pictures)
        facts = {"document": document_key(doc)}
        return Sample(name, index, images, question.prompt, "", cluster=str(doc.get("cluster") or ""), meta=facts)

    def config(self) -> dict[str, Any]:
        """Return the task's name: the harness records the rest."""
        return {"task": self.name}


@dataclass(frozen=True, slots=True)
class Decoding:
    """How the harness wants an answer decoded."""

    max_new_tokens: int = _DEFAULT_NEW_TOKENS
    until: tuple[str, ...] = ()
    """The answer ends before the first of these."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Decoding:
        r"""Read `generation_kwargs` of lm-eval (`max_gen_toks`) or lmms-eval (`max_new_tokens`).

        >>> Decoding.of({"max_gen_toks": 8, "until": "\n", "do_sample": False})
        Decoding(max_new_tokens=8, until=('\n',))

        Raises:
            HarnessError: it wants sampling or beams.
        """
        warm = float(settings.get("temperature") or 0) > 0 and settings.get("do_sample") is not False
        if warm or settings.get("do_sample") or int(settings.get("num_beams") or 1) > 1:
            raise HarnessError(
                f"vtbench adapters answer greedily, and the generation settings are {dict(settings)}: "
                "set do_sample to false and temperature to 0"
            )
        until = settings.get("until") or ()
        stops = (until,) if isinstance(until, str) else tuple(stop for stop in until if stop)
        tokens = settings.get("max_new_tokens") or settings.get("max_gen_toks") or _DEFAULT_NEW_TOKENS
        return cls(int(tokens), stops)

    def cut(self, text: str) -> str:
        """Return the answer before its first stop."""
        for stop in self.until:
            text = text.partition(stop)[0]
        return text
