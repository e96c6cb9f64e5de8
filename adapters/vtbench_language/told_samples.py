"""Samples as a language model is asked them: without their images, or with a caption in the place of each image."""

from __future__ import annotations

from dataclasses import replace

from vtbench.errors import SampleError
from vtbench.types import Sample
from vtbench_language.caption import caption


def without_images(sample: Sample) -> Sample:
    """Return the question, and the examples before it, without their images and scenes."""
    examples = tuple(map(without_images, sample.examples))
    return replace(sample, images=(), scene=None, examples=examples)


def with_captions(sample: Sample) -> Sample:
    """Return the question, and the examples before it, with a caption and an empty line in the place of the images.

    Raises:
        SampleError: nothing tells what an image shows.
    """
    examples = tuple(map(with_captions, sample.examples))
    prompt = f"{_caption_of(sample)}\n\n{sample.prompt}"
    return replace(sample, images=(), scene=None, prompt=prompt, examples=examples)


def _caption_of(sample: Sample) -> str:
    told = sample.meta.get("caption")
    if isinstance(told, str) and told.strip():
        return told.strip()
    if sample.scene is not None:
        return caption(sample.scene)
    raise SampleError(
        f"{sample.id}: nothing tells what its image shows; name the column with a caption as `caption` under `data`"
    )
