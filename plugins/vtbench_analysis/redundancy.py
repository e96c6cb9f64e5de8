"""RS, R_pix and what was discarded, of several runs on the same pictures: observations in, a `Line` a score out.

All runs are measured against the same X̃, that of the first run's picture coordinates, in the same groups of images
and with the same draws of the null, so that what the pictures and the draws do to a score cancels in the difference.
ΔRS and N_eff follow from RS and R_pix at one m, and are not tested again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats
from torch import Tensor

from vtbench_analysis.lines import Line, Value
from vtbench_analysis.paired import Difference, by_error
from vtbench_analysis.replicates import Replicates, of_patches, of_tokens
from vtbench_analysis.sharing import Shared
from vtbench_redundancy.groups import jackknife
from vtbench_redundancy.measuring import Pictures
from vtbench_redundancy.observing import once_each
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol

Arrays = dict[str, np.ndarray]
_TOKENS = "tokens/"


def lines(shared: Shared, metric: str) -> list[Line]:
    """Compare the scores of `redundancy`, or those of `redundancy_layers` at every layer that all runs have."""
    found = [once_each(records, [r.scores[metric] for r in records]) for records in shared.records]
    each, clusters = [arrays for arrays, _ in found], found[0][1]
    layers = [name for name in each[0] if name.startswith(_TOKENS) and all(name in arrays for arrays in each)]
    if metric == "redundancy":
        return _at(metric, "", each, layers[0], clusters)
    return [line for layer in layers for line in _at(metric, f"_{layer.removeprefix(_TOKENS)}", each, layer, clusters)]


def _at(metric: str, ending: str, each: Sequence[Arrays], layer: str, clusters: Sequence[str]) -> list[Line]:
    protocol, first = Protocol(), each[0]
    by: dict[tuple[int, ...], Pictures | str] = {}
    for arrays in each:
        m, r = size = arrays[layer].shape[2:]
        if size not in by:
            enough = len(clusters) >= MIN_IMAGES
            by[size] = Pictures(first["pixels"], m * r, clusters, protocol, halves=False) if enough else "few_images"
    tokens = [_of(of_tokens, arrays[layer], by[arrays[layer].shape[2:]]) for arrays in each]
    measured = {"rs": tokens, "discarded": tokens}
    if not ending:
        own = _of(of_patches, first["patches"], by[first[layer].shape[2:]])
        patches = [own if _alike(a, first) else _of(of_patches, a["patches"], by[a[layer].shape[2:]]) for a in each]
        measured = {"rs": tokens, "r_pix": patches, "discarded": tokens}
    found = []
    for name, parts in measured.items():
        values = tuple(_value(one, name, protocol) for one in parts)
        apart = tuple(
            _difference(parts[0], other, name, protocol)
            if arrays[layer].shape[2:] == first[layer].shape[2:]
            else Difference(None, flags=("other_m",))  # scores compare at one m only
            for arrays, other in zip(each[1:], parts[1:], strict=True)
        )
        found.append(Line(metric, name + ending, values, apart, len(clusters), percent=False))
    return found


def _alike(arrays: Arrays, first: Arrays) -> bool:
    """Whether the patches are the same but for rounding."""
    own, its = arrays["patches"], first["patches"]
    return own.shape == its.shape and np.allclose(own, its, rtol=1e-3, atol=1e-3)


def _of(measure: Callable[[np.ndarray, Pictures], Replicates], array: np.ndarray, by: Pictures | str) -> Replicates:
    return Replicates({}, (by,)) if isinstance(by, str) else measure(array, by)


def _value(one: Replicates, name: str, protocol: Protocol) -> Value:
    if name not in one.values:
        return Value(None, None, one.flags)
    values_T = one.values[name]
    value, reach = float(values_T[0]), float(stats.t.ppf(0.975, protocol.groups - 1)) * _error(values_T, protocol)
    return Value(value, (value - reach, value + reach), one.flags)


def _difference(first: Replicates, other: Replicates, name: str, protocol: Protocol) -> Difference:
    if name not in first.values or name not in other.values:
        return Difference(None, flags=tuple(dict.fromkeys(first.flags + other.flags)))
    apart_T = other.values[name] - first.values[name]
    return by_error(float(apart_T[0]), _error(apart_T, protocol), protocol.groups - 1, "jackknife")


def _error(values_T: Tensor, protocol: Protocol) -> float:
    return protocol.widen * float(jackknife(values_T, protocol.groups))
