"""What adapters and metrics may return, checked where it enters a run: a wrong return ends it in one line.

`vtbench.testing` refuses the same in the same words. Each function returns what it was given, or raises. A value that
is not finite concerns a sample, which fails (`SampleError`); a wrong length, shape or type concerns the whole run.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, get_args

import numpy as np

from vtbench.adapter import Adapter
from vtbench.errors import AdapterError, PluginError, SampleError, escaped
from vtbench.metric import Metric
from vtbench.types import Capability, Observation, Output, Sample, VisualTokens

ROUNDING = 1e-4
"""How far a log-probability may lie above 0, and a box outside of the image, by rounding."""
_PLAIN = (bool, int, float, str, list, tuple, Mapping, np.ndarray, np.generic, type(None))
"""What values of an observation may be."""


def check_declarations(adapter: Adapter, model: str) -> None:
    """Refuse an adapter whose attributes the loop cannot read.

    Raises:
        AdapterError: `capabilities` is no set of known ones, `layers` no sequence of names, or `image_size` no number.
    """
    can, layers, size = adapter.capabilities, adapter.layers, adapter.image_size
    known = get_args(Capability)
    if not isinstance(can, AbstractSet) or not can <= set(known):
        raise AdapterError(f"{model}: capabilities is {can!r}; expected a frozenset of some of {', '.join(known)}")
    if not isinstance(layers, (tuple, list)) or not all(isinstance(layer, str) for layer in layers):
        raise AdapterError(f"{model}: layers is {layers!r}; expected a tuple of names")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise AdapterError(f"{model}: image_size is {size!r}; expected a number of pixels, or None")


def check_needs(metric: Metric, label: str) -> None:
    """Refuse a metric of which it cannot be told what the adapter must be able to do.

    Raises:
        PluginError: `needs` is no set of known capabilities.
    """
    known = get_args(Capability)
    if not isinstance(metric.needs, AbstractSet) or not metric.needs <= set(known):
        raise PluginError(f"{label}: needs is {metric.needs!r}; expected a frozenset of some of {', '.join(known)}")


def checked_outputs(outputs: Any, samples: Sequence[Sample], method: str, model: str) -> list[Output]:
    """Return the outputs of `generate` or `rank`, one for each sample.

    Args:
        outputs: what the method returned.
        samples: what it was given.
        method: `generate` or `rank`.
        model: how an error calls the model, e.g. `model 'llava'`.

    Raises:
        AdapterError: another number of outputs than of samples, something else than an `Output`, no text from
            `generate`, or from `rank` another number of log-probabilities than the sample has choices.
        SampleError: a log-probability is NaN or infinite.
    """
    what = f"{model}: {method} returned"
    if not isinstance(outputs, Sequence) or isinstance(outputs, str):
        raise AdapterError(f"{what} {_a(outputs)}; expected a list with one Output for each sample")
    if len(outputs) != len(samples):
        raise AdapterError(f"{what} {len(outputs)} outputs for {len(samples)} samples; expected one for each sample")
    for output, sample in zip(outputs, samples, strict=True):
        if not isinstance(output, Output):
            raise AdapterError(f"{what} {_a(output)} for sample {sample.id}; expected an Output")
        if method == "rank":
            _check_ranking(output, sample, what, model)
        elif not isinstance(output.text, str):
            raise AdapterError(f"{what} the text {output.text!r} for sample {sample.id}; expected a string")
    return [_without_surrogates(output) for output in outputs]


def _without_surrogates(output: Output) -> Output:
    """Write halves of characters in a model's texts as escapes: no metric expects them, and no file takes them."""
    texts = {name: text for name in ("text", "reasoning") if isinstance(text := getattr(output, name), str)}
    clean: dict[str, Any] = {name: escaped(text) for name, text in texts.items()}
    return output if clean == texts else replace(output, **clean)


def _check_ranking(output: Output, sample: Sample, what: str, model: str) -> None:
    count = f"the {len(sample.choices)} choices of sample {sample.id}; expected one for each choice, in their order"
    if output.logprobs is None:
        raise AdapterError(f"{what} no log-probabilities for {count}")
    for name, values in (("log-probabilities", output.logprobs), ("logprob_tokens", output.logprob_tokens)):
        if values is not None and len(values) != len(sample.choices):
            raise AdapterError(f"{what} {len(values)} {name} for {count}")
    if not all(math.isfinite(value) for value in output.logprobs):
        raise SampleError(f"{model}: the log-probabilities of {sample.id} are not finite numbers; try --dtype float32")
    if (largest := max(output.logprobs, default=0.0)) > ROUNDING:
        raise AdapterError(
            f"{what} the log-probability {float(largest):.4g} for sample {sample.id}; expected the logarithm of a "
            "probability in nats, at most 0"
        )


def checked_visual(
    tokens: Any, samples: Sequence[Sample], layers: Sequence[str], model: str
) -> dict[str, VisualTokens]:
    """Return the visual tokens of a batch by layer, as (samples, tokens, width) or, for each sample, (tokens, width).

    Raises:
        AdapterError: other layers than were asked for, or in another order; tokens or widths of another shape; boxes
            that are not (tokens, 4), for all samples or for each, or outside of the image.
        SampleError: a value is NaN or infinite.
    """
    what = f"{model}: visual_tokens returned"
    if not isinstance(tokens, Sequence) or not all(isinstance(each, VisualTokens) for each in tokens):
        raise AdapterError(f"{what} {_a(tokens)}; expected a list with one VisualTokens for each layer")
    if [each.layer for each in tokens] != list(layers):
        got = ", ".join(repr(each.layer) for each in tokens)
        wanted = ", ".join(map(repr, layers))
        raise AdapterError(f"{what} the layers {got or 'none'}; expected {wanted}, as asked for and in that order")
    for each in tokens:
        counts = _token_counts(each, len(samples), what)
        if each.boxes is not None:
            shared = len(set(counts)) == 1 and getattr(each.boxes, "ndim", 0) == 2
            if not shared and len(each.boxes) != len(samples):
                raise AdapterError(
                    f"{what} {len(each.boxes)} arrays of boxes at layer {each.layer!r} for {len(samples)} samples; "
                    "expected (tokens, 4), or one such array for each sample"
                )
            for row, count in enumerate(counts[:1] if shared else counts):
                _check_boxes(each.boxes_of(row), count, f"at layer {each.layer!r}", what)
        parts = each.tokens if isinstance(each.tokens, list | tuple) else [each.tokens]
        if not all(bool((x.isfinite() if hasattr(x, "isfinite") else np.isfinite(x)).all()) for x in parts):
            raise SampleError(
                f"{model}: visual tokens at layer {each.layer!r} are NaN or infinite; try --dtype float32"
            )
    return dict(zip(layers, tokens, strict=True))


def _token_counts(visual: VisualTokens, samples: int, what: str) -> list[int]:
    """Return each sample's number of tokens.

    Raises:
        AdapterError: tokens of another shape than (samples, tokens, width), or (tokens, width) for each.
    """
    place = f"at layer {visual.layer!r} for {samples} samples"
    if isinstance(visual.tokens, list | tuple):
        shapes = [tuple(getattr(tokens, "shape", ())) for tokens in visual.tokens]
        wrong = [shape for shape in shapes if len(shape) != 2 or 0 in shape or shape[1] != shapes[0][-1]]
        if wrong or len(shapes) != samples:
            told = f"tokens of shape {wrong[0]}" if wrong else f"{len(shapes)} arrays of tokens"
            raise AdapterError(f"{what} {told} {place}; expected (tokens, width) for each sample, of one width")
        return [count for count, _ in shapes]
    shape = tuple(getattr(visual.tokens, "shape", ()))
    if len(shape) != 3 or shape[0] != samples or 0 in shape:
        raise AdapterError(f"{what} tokens of shape {shape} {place}; expected ({samples}, tokens, width)")
    return [shape[1]] * samples


def _check_boxes(given: np.ndarray | None, count: int, place: str, what: str) -> None:
    if given is None:
        return
    boxes = np.asarray(given)
    if boxes.shape != (count, 4):
        raise AdapterError(f"{what} boxes of shape {boxes.shape} for {count} tokens {place}; expected ({count}, 4)")
    low, high = float(boxes.min()), float(boxes.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # NaN is neither
        raise AdapterError(
            f"{what} boxes from {low:.4g} to {high:.4g} {place}; expected left, top, right, bottom as fractions of "
            "the image, from 0 to 1"
        )


def checked_observations(observations: Any, samples: Sequence[Sample], metric: str) -> list[Observation]:
    """Return what a metric observed, one observation for each sample.

    Args:
        observations: what `observe` returned.
        samples: those of the batch that it was given.
        metric: how an error calls the metric, e.g. `metric 'accuracy'`.

    Raises:
        PluginError: another number of observations than of samples, or one that is no mapping of JSON and arrays.
    """
    what = f"{metric}: observe returned"
    if not isinstance(observations, Sequence) or isinstance(observations, str):
        raise PluginError(f"{what} {_a(observations)}; expected a list with one observation for each sample")
    if len(observations) != len(samples):
        raise PluginError(
            f"{what} {len(observations)} observations for {len(samples)} samples; expected one for each sample"
        )
    for observation, sample in zip(observations, samples, strict=True):
        if not isinstance(observation, Mapping):
            raise PluginError(f"{what} {_a(observation)} for sample {sample.id}; expected a mapping of values by name")
        for key, value in observation.items():
            if not isinstance(key, str) or not isinstance(value, _PLAIN):
                raise PluginError(
                    f"{what} {_a(value)} under {key!r} for sample {sample.id}; expected numbers, strings, short lists "
                    "or numpy arrays by name"
                )
    return list(observations)


def image_hashes(sample: Sample) -> tuple[str, ...]:
    """Return sha256 of each image's pixels."""
    return tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in sample.images)


def check_unchanged(samples: Sequence[Sample], hashes: Mapping[str, tuple[str, ...]], who: str) -> None:
    """Refuse a change of the samples' images.

    Args:
        samples: as they are now.
        hashes: what `image_hashes` returned of them before, by the sample's id.
        who: what may have changed them, as the line begins, e.g. `model 'llava'`.

    Raises:
        AdapterError: an image is another than before.
    """
    for sample in samples:
        if sample.id in hashes and image_hashes(sample) != hashes[sample.id]:
            raise AdapterError(
                f"{who} changed an image of sample {sample.id} in place; expected to leave samples as they are (work "
                "on image.copy())"
            )


def _a(value: Any) -> str:
    """Say what a value is, with its article: `an int`."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
