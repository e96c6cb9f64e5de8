"""What a diagnosis is made from: numbers with 95 % intervals, by task. `gathering` fills it, `rules` read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SCORES = (
    "rs", "r_pix", "delta_rs", "n_eff", "discarded", "drop_area", "drop_f95", "carriers", "uncarried",
    "unique", "dead", "sink",
)  # fmt: skip
"""Scores of the visual tokens that a diagnosis prints."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Part:
    """Answers to one kind of question, or to all of a task."""

    kind: str
    """Empty for the whole task."""
    n: int
    chance: float
    """Of a fair guess; 0 where answers are open."""
    written: Measured
    """Share right as written: accuracy, or tuple F1 of scene graphs."""
    knows: Measured | None
    """The same with the form of the answer put aside: right choices ranked first where they were ranked, else of the
    answers that could be read; None where none could."""
    form: Measured
    """What the form costs: `knows` less `written` on the same samples where choices were ranked, else the share of
    answers that could not be read."""
    ranked: bool
    """Which of the two `knows` and `form` are."""
    needs: tuple[str, ...]
    """Cues without which it cannot be answered; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class Cue:
    """What a probe reads of one cue from the visual tokens that enter the decoder."""

    name: str
    accuracy: Measured
    chance: float
    retention: Measured
    """(accuracy - chance) / (1 - chance): 1 nothing lost, 0 all."""
    before: Measured | None = None
    """The best retention at a stage before: pixels, the same through a random layer, vision tower."""
    lost_at: str = ""
    """The first stage, vision tower or connector, that surely holds less than half; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one task of a run says."""

    task: str
    whole: Part | None
    """None where no answers were scored."""
    kinds: tuple[Part, ...] = ()
    cues: Mapping[str, Cue] = field(default_factory=dict)
    numbers: Mapping[str, Measured] = field(default_factory=dict)
    """Scores of the visual tokens by name: `rs`, `delta_rs`, `discarded`, `drop_f95`, `carriers`, ..."""
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of these and of the cues' scores `cue_<name>`, those without a value too."""
