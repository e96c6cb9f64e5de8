"""`<image>` in questions: taken out before the question; amid the words kept as a place, numbered, or refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vtbench.task.cells import CellError
from vtbench.types import IMAGE_PLACE

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
            "has <image> amid its words; write `interleave_images: true` under `data` to place the images there, or "
            "`number_images: true` to call them image 1, image 2"
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
    numbers = iter(_mentioned(prompt, images))
    return _PLACE.sub(lambda match: f"image {next(numbers) + 1}", prompt)


def with_image_places(prompt: str, images: int) -> str:
    """Return a question with an `IMAGE_PLACE` for each `<image>` or `<image 2>`; it begins with those of other images.

    Raises:
        CellError: there is another number of them than of images, or a number without an image.
    """
    mentioned = _mentioned(prompt, images)
    if not mentioned:
        return prompt
    return IMAGE_PLACE * (images - len(set(mentioned))) + _PLACE.sub(IMAGE_PLACE, prompt)


def image_order(prompt: str, images: int) -> Sequence[int]:
    """Return which image stands at each place, from 0: those that the question does not mention, then as it does.

    >>> image_order("Is <image 3> redder than <image 1>?", 3)
    [1, 2, 0]

    Raises:
        CellError: there is another number of them than of images, or a number without an image.
    """
    mentioned = _mentioned(prompt, images)
    return [*(number for number in range(images) if number not in mentioned), *mentioned]


def _mentioned(prompt: str, images: int) -> list[int]:
    """Return the images of a question's `<image>` and `<image 2>`, in their order, from 0."""
    found = list(_PLACE.finditer(prompt))
    bare = [match for match in found if match[1] is None]
    if bare and len(bare) < len(found):
        raise CellError("has <image> with and without a number; number all of them, or none")
    if bare and len(bare) != images:
        raise CellError(f"has {len(found)} <image> for {images} image{'s' * (images != 1)}")
    if wrong := next((match for match in found if match[1] and not 1 <= int(match[1]) <= images), None):
        raise CellError(f"has {wrong.group()}, but {images} image{'s' * (images != 1)}")
    return list(range(images)) if bare else [int(match[1]) - 1 for match in found]
