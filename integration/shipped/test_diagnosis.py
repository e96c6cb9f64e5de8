"""`vtbench diagnose` names the fault that was planted in the embedded model, from the metrics of an ordinary run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import vtbench
import vtbench_redundancy
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry
from vtbench.scoring import plugin as scoring
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_analysis import diagnose


def blurred(sample: Sample) -> Sample:
    """Return the sample with images of 2 x 2 pixels, enlarged."""
    images = [image.resize((2, 2), Image.Resampling.BOX) for image in sample.images]
    return replace(sample, images=tuple(image.resize((112, 112), Image.Resampling.BICUBIC) for image in images))


def grey(sample: Sample) -> Sample:
    return replace(sample, images=tuple(Image.new("RGB", image.size, (128, 128, 128)) for image in sample.images))


class Faulty:
    """The embedded model with one fault: its tower is blurred, its decoder sees no image, or its text is garbled."""

    capabilities: frozenset[Capability] = frozenset({"generate", "rank", "visual_tokens"})
    layers: tuple[str, ...] = ("connector",)

    def __init__(self, fault: str) -> None:
        self._model: Any = Registry().adapter("llava", {}, device="cpu", dtype="float32")
        self.image_size = self._model.image_size
        self._seen: Callable[[Sample], Sample] = blurred if fault == "tower" else lambda sample: sample
        self._told = grey if fault == "decoder" else self._seen
        self._garbled = fault == "format"

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        found: list[Output] = self._model.generate([self._told(sample) for sample in samples], max_new_tokens)
        return [replace(output, text="#" * len(output.text)) for output in found] if self._garbled else found

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        found: list[Output] = self._model.rank([self._told(sample) for sample in samples])
        return found

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        found: list[VisualTokens] = self._model.visual_tokens([self._seen(sample) for sample in samples], layers)
        return found

    def describe(self) -> Mapping[str, Any]:
        described: Mapping[str, Any] = self._model.describe()
        return described

    def close(self) -> None:
        self._model.close()


class Plugin:
    @hookimpl
    def vtbench_adapters(self) -> dict[str, Callable[..., Faulty]]:
        def faulty(fault: str = "none") -> Faulty:
            """The embedded model with a fault."""
            return Faulty(fault)

        return {"faulty": faulty}


@pytest.mark.parametrize(
    ("fault", "cause", "cues"),
    [
        ("tower", "collapsed", {"shape", "position"}),
        ("decoder", "decoder", {"shape", "position"}),
        ("format", "format", set()),
    ],
)
def test_it_names_the_planted_fault(fault: str, cause: str, cues: set[str], tmp_path: Path) -> None:
    registry = Registry({"faults": Plugin(), "scoring": scoring, "redundancy": vtbench_redundancy})
    run = vtbench.run(
        "faulty",
        ["relational"],
        model_args={"fault": fault},
        metrics=["accuracy", "rank_accuracy", "redundancy"],
        limit=1200,
        output=tmp_path,
        report=False,
        registry=registry,
    )
    findings = diagnose(run.path).document["tasks"]["relational"]["findings"]
    found = {str(finding["cause"]): set(finding["cues"]) for finding in findings}
    assert found.get(cause) == cues
    if cause != "format":  # a model that sees nothing writes in no form either; what is in front needs probes
        assert found.keys() <= {cause, "format", "cannot_tell"}
