"""Compares a described scene graph with the true one, and counts matching tuples.

Described objects are matched one-to-one to true objects of the same shape (the shape is the head of an object, like
the noun in SPICE, Anderson et al. 2016), such that the number of agreeing attributes is maximal. Ties are broken by
most right relations, then fewest wrong relations, then most right colours, then most right textures. Numbers in the
text are names only: renumbering a description changes nothing.

A description is a multiset of tuples: one per object (shape), three for its attributes (shape, size), (shape, colour),
(shape, texture), and one per relation (shape, word, shape). A tuple is right if the matched objects have it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, permutations, product

import numpy as np

from vtbench.scoring.graph import ATTRIBUTES, Described, Graph

EXHAUSTIVE = 5040
"""Maximal number of matchings to enumerate. A description with many objects of one shape may have more; it is then
matched by attributes only, still optimally, and ties are not broken by relations."""

Matching = tuple[tuple[int, int], ...]
"""Pairs of indices (described, true)."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of right, described and true tuples of one description; they add up over samples."""

    parsed: int
    """1 if the whole text fits the grammar."""
    exact: int
    """1 if it also equals the true graph: every object, attribute and relation, and nothing more."""
    objects_true: int
    objects_said: int
    objects_right: int
    size_right: int
    """Number of matched objects whose size word is right; likewise the next two."""
    colour_right: int
    texture_right: int
    relations_true: int
    relations_said: int
    """Described relations, without those about indeterminate pairs."""
    relations_right: int

    @property
    def tuples_right(self) -> int:
        """Number of right tuples of the description: objects, their attributes, relations."""
        attributes = self.size_right + self.colour_right + self.texture_right
        return self.objects_right + attributes + self.relations_right

    @property
    def tuples_said(self) -> int:
        """Number of tuples of the description; an object has four."""
        return 4 * self.objects_said + self.relations_said

    @property
    def tuples_true(self) -> int:
        """Number of tuples of the true graph; never 0, since it has at least one object."""
        return 4 * self.objects_true + self.relations_true

    @property
    def f1(self) -> float:
        """F1: harmonic mean of precision and recall over tuples."""
        return 2 * self.tuples_right / (self.tuples_said + self.tuples_true)

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


def _agreement(said: Described, true: Described) -> int:
    return sum(getattr(said, name) == getattr(true, name) for name in ATTRIBUTES)


def _agreements(said: Graph, true: Graph, matching: Matching, name: str) -> int:
    return sum(getattr(said.objects[a], name) == getattr(true.objects[b], name) for a, b in matching)


def _same_shape(said: Sequence[int], true: Sequence[int], gain: np.ndarray) -> list[Matching]:
    """Return the best matchings by attributes between objects of one shape: all, or one if there are too many."""
    few, many = (said, true) if len(said) <= len(true) else (true, said)
    if math.perm(len(many), len(few)) > EXHAUSTIVE:
        from scipy.optimize import linear_sum_assignment  # 0.2 s that runs without scene graphs do not pay

        rows, columns = linear_sum_assignment(gain[np.ix_(said, true)], maximize=True)
        return [tuple((said[r], true[c]) for r, c in zip(rows, columns, strict=True))]
    best: list[Matching] = []
    best_gain = -1
    for chosen in permutations(many, len(few)):
        pairs = tuple(zip(few, chosen, strict=True) if few is said else zip(chosen, few, strict=True))
        total = sum(int(gain[pair]) for pair in pairs)
        if total > best_gain:
            best, best_gain = [], total
        if total == best_gain:
            best.append(pairs)
    return best


def _matchings(said: Sequence[Described], true: Sequence[Described]) -> Iterator[Matching]:
    """Yield the matchings with the maximal number of agreeing attributes, at most `EXHAUSTIVE` of them."""
    gain = np.array([[_agreement(a, b) for b in true] for a in said], dtype=int).reshape(len(said), len(true))
    by_shape = []
    for shape in sorted({thing.shape for thing in true}):
        mine = [k for k, thing in enumerate(said) if thing.shape == shape]
        theirs = [k for k, thing in enumerate(true) if thing.shape == shape]
        if mine:
            by_shape.append(_same_shape(mine, theirs, gain))
    for parts in islice(product(*by_shape), EXHAUSTIVE):
        yield tuple(pair for part in parts for pair in part)


def _relations(said: Graph, true: Graph, matching: Matching, open_pairs: Collection[frozenset[int]]) -> tuple[int, int]:
    """Return the number of right relations under a matching, and the number described about determinate pairs."""
    number: dict[int, int] = {}
    for mine, theirs in matching:
        number.setdefault(said.objects[mine].number, true.objects[theirs].number)
    right = counted = 0
    for i, word, j in said.relations:
        a, b = number.get(i), number.get(j)
        if a is not None and b is not None:
            if frozenset((a, b)) in open_pairs:
                continue
            right += (a, word, b) in true.relations
        counted += 1
    return right, counted


def compare(said: Graph, true: Graph, indeterminate: Collection[Sequence[int]] = ()) -> Counts:
    """Count the tuples of a description that agree with the true graph.

    Args:
        said: the described graph.
        true: the true graph; well formed.
        indeterminate: pairs of numbers of the true graph for which no spatial word is clearly true. Relations described
            about them are not counted.
    """
    open_pairs = {frozenset(pair) for pair in indeterminate}
    best: tuple[int, ...] = ()
    agreeing: dict[str, int] = {}
    chosen: Matching = ()
    for matching in _matchings(said.objects, true.objects):
        right, counted = _relations(said, true, matching, open_pairs)
        here = {name: _agreements(said, true, matching, name) for name in ATTRIBUTES}
        rank = (right, -counted, here["colour"], here["texture"])
        if rank > best:
            best, agreeing, chosen = rank, here, matching
    right, counted = best[0], -best[1]
    complete = len(true.objects) == len(said.objects) == len(chosen) == min(agreeing.values())
    return Counts(
        parsed=int(said.well_formed),
        exact=int(said.well_formed and complete and right == counted == len(true.relations)),
        objects_true=len(true.objects),
        objects_said=len(said.objects),
        objects_right=len(chosen),
        size_right=agreeing["size"],
        colour_right=agreeing["colour"],
        texture_right=agreeing["texture"],
        relations_true=len(true.relations),
        relations_said=counted,
        relations_right=right,
    )
