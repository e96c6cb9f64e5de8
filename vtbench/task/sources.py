"""Two sources of samples: synthetic scenes, and other tasks in turn. The third is own_data.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vtbench.adapter import PLAIN
from vtbench.errors import SampleError
from vtbench.scenes.corruption import corrupt
from vtbench.scenes.items import BENCHMARK, Item, ItemSource
from vtbench.scenes.questions import asked_about
from vtbench.scenes.render import render
from vtbench.scenes.splits import Split
from vtbench.scoring.breakdown import BY
from vtbench.types import Sample, Task

if TYPE_CHECKING:
    from vtbench.scenes.cast import Cast
    from vtbench.task.schema import TaskFile

DEFAULT_ITEMS = 2000
DEFAULT_SIZE = 224
"""Side in pixels of rendered images if neither the task nor the model sets one."""


class FileTask:
    """Base of the sources: the settings of a checked task file."""

    def __init__(self, spec: TaskFile) -> None:
        self.spec = spec
        self.name = spec.task
        self.version = spec.version
        self.description = spec.description
        self.split: str = spec.split
        self.metrics = spec.metrics
        self.max_new_tokens = spec.max_new_tokens

    def config(self) -> dict[str, Any]:
        """Return the resolved settings, JSON-able."""
        words = {answer: list(words) for answer, words in self.spec.synonyms.items()}
        return {"benchmark": BENCHMARK, **self.spec.model_dump(mode="json"), **({"synonyms": words} if words else {})}


class SceneTask(FileTask):
    """Samples from synthetic scenes."""

    def __init__(self, spec: TaskFile, source: ItemSource) -> None:
        super().__init__(spec)
        self.source = source

    def __len__(self) -> int:
        return self.spec.items or DEFAULT_ITEMS

    def drawn_again(self, split: Split, seed: int, items: int) -> SceneTask:
        """Return the same settings for other scenes: of another split, another seed, or both."""
        spec = self.spec.model_copy(update={"split": split, "seed": seed, "items": items})
        return SceneTask(spec, spec.source())

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`, rendered at the task's image size, else at `image_size`, else at 224 pixels."""
        item = self.source.item(index)
        image = render(item.scene, self.spec.image_size or image_size or DEFAULT_SIZE)
        if item.corruption:
            image = corrupt(image, item.corruption)
        return replace(self._drafted(item, index), images=(image,))

    def draft(self, index: int) -> Sample:
        """Return sample `index` without its image, which is not drawn."""
        return self._drafted(self.source.item(index), index)

    def _drafted(self, item: Item, index: int) -> Sample:
        noise = {"corruption": item.corruption.kind, "severity": item.corruption.severity} if item.corruption else {}
        by = {**_varying(item, self.spec.scene.cast), **item.meta.get(BY, {})}
        return Sample(
            id=f"{self.name}/{self.split}/{self.spec.seed}/{index}",
            index=index,
            images=(),
            prompt=item.prompt,
            target=item.question.target,
            choices=item.question.choices,
            kind=item.question.kind,
            cluster=item.cluster,
            scene_hash=item.scene.hash,
            scene=item.scene,
            meta={**item.meta, **noise, BY: by},
            answer_type=item.question.answer_type,
            synonyms=self.spec.synonyms,
        )


def _varying(item: Item, cast: Cast | None) -> dict[str, str]:
    """Return what a scene is broken down by, beside what its family says: words by property."""
    background = item.scene.background
    shown = f"photograph/{background.colour}" if background.photograph else f"drawn/{background.kind}"
    found = {"background": shown}
    if item.corruption:
        found |= {
            "corruption": f"{item.corruption.kind}/{item.corruption.severity}",
            "severity": str(item.corruption.severity),
        }
    about = asked_about(item.question, item.scene) if cast else None
    if cast and about and (group := cast.group(about.shape)):
        found["group"] = group
    return found


class MixTask(FileTask):
    """The samples of other tasks in turn. A part over a user's own data ends with its rows; the others go on."""

    def __init__(self, spec: TaskFile, parts: Sequence[Task]) -> None:
        super().__init__(spec)
        self.parts = parts
        self.max_new_tokens = max(part.max_new_tokens for part in parts)
        self._limits = [_limit(part) for part in parts]
        own = [limit for limit in self._limits if limit is not None]
        self.limit = sum(own) if len(own) == len(parts) else None
        """Number of samples that there are; None if scenes are drawn, of which there are as many as one likes."""

    def __len__(self) -> int:
        items = self.spec.items or DEFAULT_ITEMS
        return items if self.limit is None else min(items, self.limit)

    def drawn_again(self, split: Split, seed: int, items: int) -> MixTask | None:
        """Return the mix over other scenes; None with a part that draws none."""
        parts = [again(split, seed, items) for part in self.parts if (again := getattr(part, "drawn_again", None))]
        if len(parts) < len(self.parts) or None in parts:
            return None
        return MixTask(self.spec.model_copy(update={"split": split, "seed": seed, "items": items}), parts)

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`: without parts that end, that of part `index % parts`."""
        part, turn = self._turn(index)
        try:
            sample = self.parts[part].sample(turn, image_size)
        except SampleError as error:
            if error.sample_id is not None:
                error.sample_id = f"{self.name}/{index}/{error.sample_id}"
            raise
        return replace(sample, id=f"{self.name}/{index}/{sample.id}", index=index)

    def _turn(self, index: int) -> tuple[int, int]:
        """Return the part of sample `index`, and how many of its samples came before."""
        done, begun = 0, index
        while True:
            open_parts = [i for i, limit in enumerate(self._limits) if limit is None or limit > done]
            if not open_parts:
                raise IndexError(index)
            ends = [limit for limit in self._limits if limit is not None and limit > done]
            turns = (min(ends) - done) if ends else None
            if turns is None or begun < turns * len(open_parts):
                turn, part = divmod(begun, len(open_parts))
                return open_parts[part], done + turn
            begun -= turns * len(open_parts)
            done += turns

    def config(self) -> dict[str, Any]:
        """Return the resolved settings of the mix and of its parts, and the prompt format if one is not `plain`."""
        parts = [part.config() for part in self.parts]
        formats = sorted({part.get("prompt_format", PLAIN) for part in parts})
        asked = {} if formats == [PLAIN] else {"prompt_format": "+".join(formats)}
        return {**super().config(), **asked, "parts": parts}


def _limit(part: Task) -> int | None:
    limit: int | None = getattr(part, "limit", None)
    return limit
