"""The token space: what each token shows, a t-SNE layout (van der Maaten and Hinton, JMLR 9, 2008), label separation.

Separation is measured in the embedding space, not in the plane of the layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vtbench.scenes.render import id_mask
from vtbench.scenes.scene import Scene
from vtbench.stats import sorted_cluster_numbers
from vtbench_probes.cues import GRID
from vtbench_probes.errors import ProbeError

COLOURINGS = ("object", "colour", "texture", "background")
NEIGHBOURS = 10
PERPLEXITY = 30.0
FEWEST = 20
"""Fewer points give no panel."""
BACKGROUND = -1
_PIXELS = 14
"""Resolution, in pixels a side of a cell, at which the objects of a cell are counted."""


def token_contents(scene: Scene, places_m2: np.ndarray) -> dict[str, Any]:
    """Return the objects of a scene, and which of them each token shows.

    A token shows what covers most of the cell (of an 8 x 8 grid) in which its middle lies.

    Returns:
        shows: (m,) int8, a number in `things`, or `BACKGROUND`; things: shape, colour and texture of each object;
        background: the background's colour.
    """
    ids = id_mask(scene, GRID * _PIXELS)
    cells = ids.reshape(GRID, _PIXELS, GRID, _PIXELS).swapaxes(1, 2).reshape(GRID * GRID, -1)
    candidates = [BACKGROUND, *(thing.id for thing in scene.objects)]
    shares = np.stack([(cells == number).sum(axis=1) for number in candidates])
    column, row = np.clip((np.asarray(places_m2) * GRID).astype(int), 0, GRID - 1).T
    return {
        "shows": (shares.argmax(axis=0) - 1)[row * GRID + column].astype(np.int8),
        "things": [[thing.shape, thing.colour, thing.texture] for thing in scene.objects],
        "background": scene.background.colour,
    }


def token_labels(observations: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Return labels of every token by colouring: (n, m) words, empty where a colouring does not apply to a token.

    `object` is the shape that the token shows, or `background`; `colour` and `texture` are the object's, for tokens
    that show one; `background` is the image's background colour, for tokens that show it.
    """
    rows: dict[str, list[list[str]]] = {colouring: [] for colouring in COLOURINGS}
    for seen in observations:
        things = seen.get("things", [])
        shows = [things[i] if i != BACKGROUND else None for i in seen.get("shows", [])]
        rows["object"].append(["background" if thing is None else thing[0] for thing in shows])
        rows["colour"].append(["" if thing is None else thing[1] for thing in shows])
        rows["texture"].append(["" if thing is None else thing[2] for thing in shows])
        rows["background"].append([seen["background"] if thing is None else "" for thing in shows])
    return {colouring: np.array(words, dtype=np.str_) for colouring, words in rows.items()}


def tsne_panel(
    observations: Sequence[Mapping[str, Any]],
    labels: Mapping[str, np.ndarray],
    layer: str = "connector",
    clusters: Sequence[str] | None = None,
    tokens: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Lay out a sample of tokens in the plane, with their labels and how well these are separated.

    Half of the tokens are drawn from those of which the first colouring says something rarer than its commonest word
    (objects, where that is `background`), half from the others, so that a panel is not all background.

    Args:
        observations: of the metric `cues`, n of them.
        labels: (n, m) words by colouring, as `token_labels` gives them.
        layer: the stage.
        clusters: names, n of them; images of one name share a scene. By default each is its own.
        tokens: how many to draw.
        seed: of the draw and of the layout.

    Returns:
        `points`: [x, y] of each token, and `sample`, `token`: which it is; `labels`: its word by colouring, None for
        none; `numbers`: by colouring, what `separation` gives; with `layer`, `perplexity` and `seed`.

    Raises:
        ProbeError: no observation has this layer, or there are too few tokens.
    """
    from sklearn.manifold import TSNE

    key = f"tokens/{layer}"
    if not observations or key not in observations[0]:
        known = sorted(k.removeprefix("tokens/") for k in (observations[0] if observations else {}) if "/" in k)
        raise ProbeError(f"no tokens at {layer!r} to show; there are {', '.join(known) or 'no observations'}")
    x_nmr = np.stack([np.asarray(seen[key], dtype=np.float32) for seen in observations])
    n, m, _ = x_nmr.shape
    words = {colouring: np.asarray(array).reshape(n * m) for colouring, array in labels.items()}
    chosen = _draw(next(iter(words.values())), tokens, seed)
    if len(chosen) < FEWEST:
        raise ProbeError(f"{len(chosen)} tokens are too few for a panel; {FEWEST} or more are needed")
    x = x_nmr.reshape(n * m, -1)[chosen]
    names = np.arange(n) if clusters is None else sorted_cluster_numbers(clusters)
    perplexity = min(PERPLEXITY, (len(x) - 1) / 3)
    layout = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(x)
    return {
        "layer": layer,
        "perplexity": perplexity,
        "seed": seed,
        "points": layout.astype(float).round(2).tolist(),
        "sample": (chosen // m).tolist(),
        "token": (chosen % m).tolist(),
        "labels": {colouring: [str(word) or None for word in of[chosen]] for colouring, of in words.items()},
        "numbers": {colouring: separation(x, of[chosen], names[chosen // m]) for colouring, of in words.items()},
    }


def _draw(words: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return which tokens to show, sorted: half of them not of the most frequent word, as far as there are enough."""
    generator = np.random.default_rng(seed)
    values, counts = np.unique(words, return_counts=True)
    common = words == values[counts.argmax()]
    rare, rest = (generator.permutation(np.flatnonzero(which)) for which in (~common, common))
    few = min(len(rare), max(count // 2, count - len(rest)))
    return np.sort(np.concatenate([rare[:few], rest[: count - few]]))


def separation(x: np.ndarray, words: np.ndarray, groups: np.ndarray) -> dict[str, float | int | None]:
    """Measure how well labels are separated in a space; points without a label are left out.

    Args:
        x: (n, d) points.
        words: n words.
        groups: n numbers; points of one group (a scene) are not each other's neighbours.

    Returns:
        `silhouette` (Rousseeuw 1987, J. Comput. Appl. Math. 20:53, mean of eq. 1; Euclidean), `purity` as
        `neighbour_purity` gives it, `chance`: what purity is where neighbours are drawn at random, `neighbours`, `n`;
        the first three None where there are fewer than two words.
    """
    from sklearn.metrics import silhouette_score

    here = np.asarray(words) != ""
    x, words, groups = np.asarray(x, dtype=np.float64)[here], np.asarray(words)[here], np.asarray(groups)[here]
    _, number, counts = np.unique(words, return_inverse=True, return_counts=True)
    if not 2 <= len(counts) < len(x):
        return {"silhouette": None, "purity": None, "chance": None, "neighbours": NEIGHBOURS, "n": len(x)}
    return {
        "silhouette": round(float(silhouette_score(x, number)), 4),
        "purity": round(neighbour_purity(x, number, groups, NEIGHBOURS), 4),
        "chance": round(float(np.square(counts / len(x)).sum()), 4),
        "neighbours": NEIGHBOURS,
        "n": len(x),
    }


def neighbour_purity(x: np.ndarray, labels: np.ndarray, groups: np.ndarray, k: int) -> float:
    """Return the share of points' k nearest neighbours, of other groups, that have the point's own label.

    Where other groups have fewer than k points, these are the neighbours.

    >>> x = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]])
    >>> neighbour_purity(x, np.array([0, 0, 0, 1, 1, 1]), np.arange(6), k=2)
    1.0
    >>> neighbour_purity(x, np.array([0, 0, 1, 1, 1, 1]), np.arange(6), k=2)
    0.6666666666666666
    """
    square = np.square(x).sum(axis=1)
    distance_nn = square[:, None] + square - 2 * x @ x.T
    distance_nn[groups[:, None] == groups] = np.inf
    nearest_nk = np.argsort(distance_nn, axis=1, kind="stable")[:, :k]
    valid = np.isfinite(np.take_along_axis(distance_nn, nearest_nk, axis=1))
    same = (labels[nearest_nk] == labels[:, None]) & valid
    return float(same.sum() / max(valid.sum(), 1))
