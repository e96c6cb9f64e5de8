"""What the model's own answer says about a cue: the last stage. In: a text and its sample. Out: counts by cue.

A closed question asks for one cue or two (the colour of the star: its colour, and binding it to the star). A scene
graph asks for many, and its parts are counted as `vtbench.scoring.scene_graph` matches them to the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from vtbench.scoring.answers import exact_match
from vtbench.scoring.credit import GRAPH, graph_counts
from vtbench.types import Sample

CUES_OF: Mapping[str, tuple[str, ...]] = {
    "shape": ("shape",),
    "colour": ("colour", "binding"),
    "texture": ("texture",),
    "background": ("background",),
    **dict.fromkeys(("left", "right", "above", "below", "where"), ("position",)),
    **dict.fromkeys(("front", "behind"), ("occlusion",)),
    **dict.fromkeys(("offset_x", "offset_y"), ("fine_offset",)),
}
"""The cues that a kind of closed question asks for."""


class CueCounts(TypedDict):
    """How much of what a sample asks about a cue was answered right."""

    right: float
    asked: float
    chance: float | None
    """The share that guessing gets right; None for a part of a scene graph, which has no list to guess from."""


def count_cues(text: str, sample: Sample) -> dict[str, CueCounts]:
    """Return what an answer shows, by cue; empty where the sample asks for no cue."""
    if sample.kind == GRAPH:
        counts = graph_counts(text, sample)
        parts = {
            "count": (float(counts.objects_said == counts.objects_true), 1.0),
            "shape": (counts.objects_right, counts.objects_true),
            "size": (counts.size_right, counts.objects_true),
            "colour": (counts.colour_right, counts.objects_true),
            "texture": (counts.texture_right, counts.objects_true),
            "position": (counts.relations_right, counts.relations_true),
        }
        return {cue: CueCounts(right=right, asked=asked, chance=None) for cue, (right, asked) in parts.items()}
    if not sample.choices:
        return {}
    right = float(exact_match(text, sample)[1])
    one = CueCounts(right=right, asked=1.0, chance=1 / len(sample.choices))
    return dict.fromkeys(CUES_OF.get(sample.kind, ()), one)
