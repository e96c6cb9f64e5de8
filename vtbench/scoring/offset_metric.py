"""The metric `psychometric`: the threshold of answers about precise offsets."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from vtbench.metric import Batch
from vtbench.scoring.choices import parse_answer
from vtbench.scoring.metrics import Pairs, concerned
from vtbench.scoring.psychometric import PsychometricFit, fit
from vtbench.stats import wilson
from vtbench.types import Capability, Observation, Record, Sample, Score, VisualTokens


def _patch_percent(visual: VisualTokens, row: int) -> float | None:
    """Return the median width of the boxes of a sample's visual tokens, in % of the image."""
    boxes = visual.boxes_of(row)
    return None if boxes is None else float(100 * median(boxes[:, 2] - boxes[:, 0]))


class Psychometric:
    """Offset at which 75 % of the answers about the order of two objects are right."""

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        """Record whether each answer is the right one for a positive offset; an unparsed answer counts as wrong."""
        placed = next((visual for visual in batch.visual.values() if visual.boxes is not None), None)
        return [
            self._note(sample, output.text, None if placed is None else _patch_percent(placed, row))
            for row, (sample, output) in enumerate(zip(batch.samples, batch.outputs, strict=True))
        ]

    def _note(self, sample: Sample, text: str | None, patch: float | None) -> Observation:
        if "offset_percent" not in sample.meta:
            return {}
        offset = float(sample.meta["offset_percent"])
        answer = parse_answer(text, sample.choices, bool(sample.scene_hash))
        positive = offset < 0 if answer is None else answer == sample.meta["positive"]
        return {
            "offset": offset,
            "positive": int(positive),
            "parsed": int(answer is not None),
            "image_size": sample.images[0].width if sample.images else sample.meta.get("image_size"),
            "patch": patch,
        }

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `threshold_75` in % of the canvas; its detail has pixels, patches, the kinds and the curve."""
        pairs = concerned(records, observations)
        curve = _fit(pairs)
        threshold = curve.threshold
        kinds = sorted({record.kind for record, _ in pairs})
        detail: dict[str, Any] = {
            "bias": curve.bias,
            "lapse": curve.lapse,
            "pixels": _scaled(threshold.value, _one([observation["image_size"] for _, observation in pairs]), 1 / 100),
            "patches": None,
            "unparsed": sum(not o["parsed"] for _, o in pairs) / len(pairs) if pairs else None,
            "curve": _points(pairs),
            "by_kind": {k: _summary(_fit([pair for pair in pairs if pair[0].kind == k])) for k in kinds},
        }
        patch = _one([observation["patch"] for _, observation in pairs])
        if patch:
            detail["patches"] = _scaled(threshold.value, 1 / patch, 1)
        score = Score(
            threshold.value,
            interval=threshold.interval if threshold.value is not None else None,
            n=len(pairs),
            flags=threshold.flags if pairs else (),
            detail=detail,
            percent=False,
        )
        return {"threshold_75": score}


def _fit(pairs: Pairs) -> PsychometricFit:
    return fit([o["offset"] for _, o in pairs], [o["positive"] for _, o in pairs])


def _summary(curve: PsychometricFit) -> dict[str, Any]:
    found = curve.threshold
    return {"threshold_75": found.value, "interval": found.interval, "bias": curve.bias, "flags": list(found.flags)}


def _points(pairs: Pairs) -> list[dict[str, float]]:
    """Return the fraction of positive answers at each offset, with Wilson's interval: the points of the curve."""
    answers: dict[float, list[int]] = {}
    for _, observation in pairs:
        answers.setdefault(observation["offset"], []).append(observation["positive"])
    points = []
    for x, found in sorted(answers.items()):
        share = sum(found) / len(found)
        low, high = wilson(share, len(found))
        points.append({"offset": x, "positive": share, "low": low, "high": high, "n": len(found)})
    return points


def _one(values: Sequence[float | None]) -> float | None:
    """Return the common value of all entries; None if they differ."""
    return values[0] if values and len(set(values)) == 1 else None


def _scaled(value: float | None, scale: float | None, unit: float) -> float | None:
    return None if value is None or scale is None else value * scale * unit
