"""Questions of a harness as a vtbench task, and its generation settings as those of an adapter.

Adapters decode greedily up to a number of new tokens; the answer is truncated at the first stop string.
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
"""lm-eval's default."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a document, which is fetched when the question is asked: not all fit into memory."""

    prompt: str
    fetch: Callable[[], tuple[Sequence[Any], Mapping[str, Any]]]
    """Returns the images of the document, and the document."""


def document_key(doc: Mapping[str, Any]) -> str:
    """Return a key made of the texts and numbers of a document: lmms-eval shows the rest only to models.

    Documents that differ only in their images have the same key.

    >>> document_key({"question": "What?", "image": object()}) == document_key({"question": "What?"})
    True
    """
    plain = {name: value for name, value in doc.items() if isinstance(value, (str, int, float))}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


class HarnessTask:
    """The questions of a harness's task, as a `vtbench.types.Task`."""

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
        """Make sample `index`; its images have the size that the harness gives.

        A column `cluster` becomes the sample's; `meta` holds the document's key.

        Raises:
            SampleError: an image cannot be read, or the harness gives something else.
        """
        question, name = self._questions[index], f"{self.name}/{index}"
        try:
            images, doc = question.fetch()
        except Exception as error:  # the harness's task may fail on a document in any way
            raise SampleError(f"{name}: its images cannot be read ({type(error).__name__}: {error})") from error
        for image in images:
            if not isinstance(image, Image):
                raise SampleError(f"{name}: it asks about a {type(image).__name__}; vtbench adapters take images")
        converted = tuple(image.convert("RGB") for image in images)
        facts = {"document": document_key(doc)}
        return Sample(name, index, converted, question.prompt, "", cluster=str(doc.get("cluster") or ""), meta=facts)

    def config(self) -> dict[str, Any]:
        """Return the task's name: the harness records the rest."""
        return {"task": self.name}


@dataclass(frozen=True, slots=True)
class DecodingSettings:
    """Length and stop strings of an answer."""

    max_new_tokens: int = _DEFAULT_NEW_TOKENS
    until: tuple[str, ...] = ()
    """Stop strings: the answer ends before the first of them."""

    @classmethod
    def from_kwargs(cls, settings: Mapping[str, Any]) -> DecodingSettings:
        r"""Read `generation_kwargs` of lm-eval (`max_gen_toks`) or lmms-eval (`max_new_tokens`).

        >>> DecodingSettings.from_kwargs({"max_gen_toks": 8, "until": "\n", "do_sample": False})
        DecodingSettings(max_new_tokens=8, until=('\n',))

        Raises:
            HarnessError: the settings ask for sampling or beams.
        """
        samples = float(settings.get("temperature") or 0) > 0 and settings.get("do_sample") is not False
        if samples or settings.get("do_sample") or int(settings.get("num_beams") or 1) > 1:
            raise HarnessError(
                f"vtbench adapters answer greedily, and the generation settings are {dict(settings)}: "
                "set do_sample to false and temperature to 0"
            )
        until = settings.get("until") or ()
        stops = (until,) if isinstance(until, str) else tuple(stop for stop in until if stop)
        tokens = settings.get("max_new_tokens") or settings.get("max_gen_toks") or _DEFAULT_NEW_TOKENS
        return cls(int(tokens), stops)

    def truncate(self, text: str) -> str:
        """Return the answer up to its first stop string."""
        for stop in self.until:
            text = text.partition(stop)[0]
        return text
