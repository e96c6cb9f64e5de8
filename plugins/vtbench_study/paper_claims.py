"""What the paper claims, as public text gives it (arXiv 2602.06914): to be tested, never to be quoted as ours."""

from __future__ import annotations

from dataclasses import dataclass

from vtbench_study.trend import Direction

SOURCE = "Hannan, Cooper, White and Watkins, arXiv 2602.06914 (2026), as public summaries give it"


@dataclass(frozen=True, slots=True)
class PaperRow:
    """The paper's line for one family: RS, and accuracy as a fraction."""

    rs: float
    accuracy: float


PAPER = {
    "coarse": PaperRow(0.78, 0.92),
    "attribute": PaperRow(0.62, 0.84),
    "relational": PaperRow(0.48, 0.71),
    "scene_graph": PaperRow(0.35, 0.58),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim about the families in rising complexity.

    Attributes:
        measure: which number is tested, as `measures.MEASURES` names it.
        direction: which way the paper says that it goes.
        text: the claim in words.
    """

    measure: str
    direction: Direction
    text: str


CLAIMS = (
    Claim("rs_probe", "falls", "Training on more complex families makes visual tokens less redundant: RS falls, on the "
          "same probe pictures for every model."),
    Claim("rs_own", "falls", "The same, each model on pictures of the family that it was trained on."),
    Claim("rs_own_change", "falls", "The same, less what the base already has on the same pictures: what training did, "
          "not the pictures."),
    Claim("accuracy", "falls", "Accuracy on its own family falls as the family becomes more complex."),
    Claim("discarded", "falls", "Simple families encourage compression: complex ones leave less of the picture "
          "discarded."),
    Claim("clusters", "falls", "Tokens of one kind of object cluster tightly after simple families, and less after "
          "complex ones: silhouette in the embedding space."),
    Claim("drop_area", "falls", "Where tokens say different things, answers need more of them: less is kept of what "
          "the picture adds as tokens are dropped."),
)  # fmt: skip
