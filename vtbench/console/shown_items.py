"""What `vtbench show` prints: items of a task as a model is asked them, and a contact sheet of their images."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from vtbench.console.formatting import asked_as
from vtbench.console.terminal import visible
from vtbench.runs.disk import disk, publish_file
from vtbench.scoring.breakdown import BY
from vtbench.types import Sample, Task, readable

if TYPE_CHECKING:
    from PIL.Image import Image

COLUMNS = 4
CELL = 240
"""Width of a cell of the contact sheet in pixels, and the height of its images."""
MARGIN = 12
LINE = 16
"""Height of a line of text in pixels."""
LINES = 6
"""Lines of a question below its images; the whole stands in the printed text."""
LONGEST = 4000
"""Characters that are printed of one message."""


def item_lines(task: Task, sample: Sample, number: int, system: str | None = None) -> Iterator[str]:
    """Yield the lines of an item: its messages with `<image>` for each image, its choices and its right answer.

    Args:
        task: as a model is asked it.
        sample: one of its samples.
        number: of the item on the contact sheet.
        system: the run's system prompt.
    """
    yield f"[{number}] {sample.id} · {asked_as(task.config(), system)}"
    for message in sample.messages:
        text = "".join(part if isinstance(part, str) else "<image>\n" for part in message.content)
        first, *rest = _cut(text).splitlines() or [""]
        yield f"  {message.role + ':':<11}{first}"
        yield from (f"  {'':<11}{line}" for line in rest)
    meta = {key: value for key, value in sample.meta.items() if key != BY}
    facts: dict[str, Any] = {
        "choices": " | ".join(_labelled(sample)),
        "answer": " or ".join(dict.fromkeys((sample.answer or sample.target, *sample.references))),
        "target": sample.target if sample.answer not in ("", sample.target) else "",
        "kind": sample.kind,
        "cluster": sample.cluster,
        "by": ", ".join(f"{name} {word}" for name, word in sample.meta.get(BY, {}).items()),
        "meta": json.dumps(meta, ensure_ascii=False, default=str) if meta else "",
        "tokens": f"at most {task.max_new_tokens}",
    }
    yield from (f"  {name + ':':<11}{_cut(value)}" for name, value in facts.items() if value)


def _labelled(sample: Sample) -> list[str]:
    """Return the choices, each with its letter if the prompt gives it one."""
    if not sample.labels:
        return list(sample.choices)
    return [f"{label}. {choice}" for label, choice in sorted(zip(sample.labels, sample.choices, strict=True))]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… [{len(text) - LONGEST:,} more characters]"


def contact_sheet(samples: Sequence[Sample]) -> Image:
    """Draw the images of samples side by side, each sample with its number and question below.

    Few-shot examples are not drawn: they are other samples' images.
    """
    from PIL import Image, ImageDraw, ImageFont

    columns = min(COLUMNS, max(1, len(samples)))
    captions = [_caption(sample, number) for number, sample in enumerate(samples, 1)]
    height = CELL + LINE * (max(map(len, captions), default=0) + 1) + MARGIN
    size = (columns * (CELL + MARGIN) + MARGIN, math.ceil(len(samples) / columns) * height + MARGIN)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for place, (sample, caption) in enumerate(zip(samples, captions, strict=True)):
        left, top = MARGIN + place % columns * (CELL + MARGIN), MARGIN + place // columns * height
        _paste(sheet, sample.images, left, top)
        for row, line in enumerate(caption):
            draw.text((left, top + CELL + 4 + LINE * row), line, fill="black", font=font)
    return sheet


def _paste(sheet: Image, images: Sequence[Image], left: int, top: int) -> None:
    """Paste images into one cell, in a square grid of parts of equal size."""
    side = math.ceil(math.sqrt(max(1, len(images))))
    part = CELL // side
    for number, image in enumerate(images):
        small = image.convert("RGB")
        scale = min((part - 2) / small.width, (part - 2) / small.height)
        resized = small.resize((max(1, round(small.width * scale)), max(1, round(small.height * scale))))
        sheet.paste(resized, (left + number % side * part, top + number // side * part))


def _caption(sample: Sample, number: int) -> list[str]:
    """Return the lines below an item's images; the last one is cut."""
    text = visible(f"{number}. {readable(sample.question or sample.prompt)}".replace("\n", " / "))
    lines = wrap(text, width=CELL // 7, break_long_words=True)
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], lines[LINES - 1][:-3] + "..."]


def write_sheet(samples: Sequence[Sample], path: Path) -> Path:
    """Write the contact sheet of samples as PNG, and return its path.

    Raises:
        ResultsError: the file cannot be written.
    """
    with disk(path):
        temporary = path.with_name(path.name + ".tmp")
        contact_sheet(samples).save(temporary, "png")
        publish_file(temporary, path, durable=False)
    return path
