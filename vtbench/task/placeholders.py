"""`<image>` in questions: taken out where it stands before the question, numbered amid the words, or refused."""

from __future__ import annotations

import re

from vtbench.task.cells import CellError

_PLACEHOLDERS = re.compile(r"\s*(?:<image>\s*)+")
_PLACE = re.compile(r"<image(?:[ _]?(\d{1,4}))?>")


def without_placeholders(prompt: str, images: int) -> str:
    """Return a question without the `<image>` that it begins with, one for each image: images come before the question.

    Raises:
        CellError: there is another number of them than of images, or one stands amid the words.
    """
    found = _PLACEHOLDERS.match(prompt)
    if found and (count := found.group().count("<image>")) != images:
        raise CellError(f"has {count} <image> for {images} image{'s' * (images != 1)}")
    rest = prompt[found.end() :] if found else prompt
    if "<image>" in rest:
        raise CellError(
            "has <image> amid its words; here images come before the question, so take it out, or write "
            "`number_images: true` under `data`"
        )
    if not rest.strip():
        raise CellError("has no question")
    return rest


def begins_with_images(prompt: str, images: int) -> bool:
    """Return whether a question begins with one `<image>` for each image, and has none amid its words."""
    found = _PLACEHOLDERS.match(prompt)
    return found is not None and prompt.count("<image>") == images == found.group().count("<image>")


def with_numbered_images(prompt: str, images: int) -> str:
    """Return a question whose `<image>` amid the words, or `<image 2>`, is the image's number: images come before it.

    >>> with_numbered_images("Is <image> brighter than <image>?", 2)
    'Is image 1 brighter than image 2?'

    Raises:
        CellError: there is another number of them than of images, or a number without an image.
    """
    found = list(_PLACE.finditer(prompt))
    bare = [match for match in found if match[1] is None]
    if bare and (len(bare) != images or len(bare) < len(found)):
        raise CellError(f"has {len(found)} <image> for {images} image{'s' * (images != 1)}")
    if wrong := next((match for match in found if match[1] and not 1 <= int(match[1]) <= images), None):
        raise CellError(f"has {wrong.group()}, but {images} image{'s' * (images != 1)}")
    numbers = iter(range(1, images + 1))
    return _PLACE.sub(lambda match: f"image {match[1] or next(numbers)}", prompt)
