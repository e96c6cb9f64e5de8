"""The metric `cues`: stores coordinates and labels of each sample, then trains the probes and scores each cue.

An observation holds the tokens' coordinates at each stage, `tokens/<stage>` (m, r) in float16; `asked`, hint and label
of each cue; `answer`, counts of the model's own answer, where the run has one; and what colours the token panels:
`shows` (m,), the object that each connector token shows, `things` and `background`. The probes are trained on these
alone, without the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vtbench.errors import SampleError
from vtbench.metric import Batch, first_sample
from vtbench.types import Capability, Observation, Output, Record, Sample, Score, Task
from vtbench_probes.cues import CUES, cue_labels
from vtbench_probes.embedding import token_contents
from vtbench_probes.probe_data import MIN_SAMPLES, Problem, Tokens, build_problem
from vtbench_probes.stage_features import IMAGE_STAGES, Stage, StageFit, image_tokens
from vtbench_probes.survival import REFERENCE, Reading, answer_readings, count_cues, probe_readings
from vtbench_redundancy.metrics.token_form import MOST_COUNTS, TokenForm

HEADLINE_PROBE = "attention"
STAGE_ARRAYS = ("mean", "axes", "weights", "places")
DEPTH = ("encoder", "connector", "decoder_25", "decoder_50", "decoder_75", "decoder_100")


@dataclass(slots=True)
class _OneCount:
    """What is fitted on the images of one token count."""

    stages: dict[str, StageFit]
    images: int = 0


class CuesMetric:
    """Accuracy of small probes for each cue, on the tokens of each stage.

    Tokens of images with unequal counts are pooled to a grid (`vtbench_redundancy.metrics.token_form`); without
    one, the most frequent count is probed.
    """

    needs: frozenset[Capability] = frozenset({"visual_tokens"})
    layers: tuple[str, ...] = ("connector", "encoder", "decoder_25", "decoder_50", "decoder_75", "decoder_100")
    fit_samples = 512

    def __init__(self) -> None:
        self._fits: dict[tuple[int, ...], _OneCount] = {}
        self._stages: dict[str, Stage] = {}
        self._form = TokenForm()

    def check_task(self, task: Task) -> None:
        """Check that the samples have scenes, whose facts the cues are.

        Raises:
            SampleError: the first has none.
        """
        first = first_sample(task)
        if first is not None and first.scene is None:
            raise SampleError(f"cues are facts of a scene, and the sample {first.id} has none")

    def partial_fit(self, batch: Batch) -> None:
        """Fit the principal components of every stage. Samples whose tokens are broken fail in `observe`."""
        batch = self._form.of_first(batch, self.layers)
        tokens = self._tokens(batch)
        key = tuple(x_bNd.shape[1] for x_bNd in tokens.values())
        if key not in self._fits:
            if len(self._fits) == MOST_COUNTS:
                raise SampleError(f"cues: images of more than {MOST_COUNTS} numbers of visual tokens")
            boxes = {stage: batch.visual[stage].boxes_of(0) for stage in tokens if stage in batch.visual}
            fits = {stage: StageFit(x_bNd.shape[1], boxes.get(stage)) for stage, x_bNd in tokens.items()}
            self._fits[key] = _OneCount(fits)
        one = self._fits[key]
        good = torch.stack([x.isfinite().flatten(1).all(dim=1).cpu() for x in tokens.values()]).all(dim=0)
        if good.any():
            one.images += int(good.sum())
            for stage, x_bNd in tokens.items():
                one.stages[stage].update(x_bNd[good.to(x_bNd.device)])

    def fit_again(self) -> bool:
        """Return whether the first images are to be seen once more, pooled to the grid that they share."""
        again = self._form.choose()
        if again:
            self._fits = {}
        return again

    def state(self) -> Mapping[str, np.ndarray]:
        """Return the fitted components, with the tokens that they belong to.

        Raises:
            SampleError: no sample had finite tokens.
        """
        most = max(self._fits.values(), key=lambda one: one.images, default=None)  # the first of equals
        if most is None or not most.images:
            raise SampleError(
                "cues: none of the first samples has finite visual tokens; is the model's dtype too narrow?"
            )
        stages = {stage: fit.stage().arrays() for stage, fit in most.stages.items()}
        fitted = {f"{stage}/{name}": array for stage, arrays in stages.items() for name, array in arrays.items()}
        return fitted | self._form.arrays()

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore fitted components."""
        self._fits, self._form = {}, TokenForm.of(state)
        found: dict[str, dict[str, np.ndarray]] = {}
        for key, array in state.items():
            stage, _, name = key.partition("/")
            if name in STAGE_ARRAYS:
                found.setdefault(stage, {})[name] = array
        self._stages = {stage: Stage.of(arrays) for stage, arrays in found.items()}

    def observe(self, batch: Batch) -> list[Observation]:
        """Reduce each sample to its coordinates and labels.

        Raises:
            SampleError: tokens that are not finite, or not as many as in the first samples, or that do not fill the
                grid.
        """
        batch = self._form.pooled(batch)
        tokens = self._tokens(batch)
        self._check(tokens, batch.samples)
        return [self._observe_one(i, tokens, batch.samples[i], batch.outputs[i]) for i in range(len(batch.samples))]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Train the probes, and score each cue at the connector."""
        pairs = sorted(zip(records, observations, strict=True), key=lambda pair: (pair[0].index, pair[0].id))
        clusters = [record.cluster or record.id for record, _ in pairs]
        answers = answer_readings([observation.get("answer", {}) for _, observation in pairs], clusters)
        seen: dict[object, int] = {}
        for i, (record, _) in enumerate(pairs):
            seen.setdefault(record.image_sha256 or i, i)  # questions about one image count once
        rows = list(seen.values())
        asked = [pairs[i][1]["asked"] for i in rows]
        posed = {cue: build_problem(cue, asked) for cue in CUES}
        problems = [found for found in posed.values() if isinstance(found, Problem)]
        stages = {}
        if problems:
            for stage in self._by_depth():
                arrays = np.stack([pairs[i][1][f"tokens/{stage}"] for i in rows])
                stages[stage] = Tokens.of(arrays, self._stages[stage].places)
        readings = probe_readings(stages, problems, [clusters[i] for i in rows], self.layers[0])
        scores = {f"cue_{cue}": self._score(cue, found, [*readings, *answers]) for cue, found in posed.items()}
        return self._form.flagged(scores)

    def _score(self, cue: str, found: Problem | str, readings: Sequence[Reading]) -> Score:
        mine = [reading for reading in readings if reading.cue == cue]
        facts: dict[str, Any] = {
            "stage": self.layers[0],
            "probe": HEADLINE_PROBE,
            "told": CUES[cue].hint,
            "reference": REFERENCE,
            "retention": {r.stage: r.retention for r in mine if r.probe == HEADLINE_PROBE and not r.control},
            "readings": [reading.as_dict() for reading in mine],
            **self._form.facts(self.layers[0]),
        }
        if isinstance(found, str):
            return Score(None, flags=(found,), detail=facts | {"samples_needed": MIN_SAMPLES})
        at = {(r.stage, r.probe, r.control): r for r in mine}
        top = at[self.layers[0], HEADLINE_PROBE, ""]
        blind = at[self.layers[0], HEADLINE_PROBE, "grey"]
        given_away = blind.low is not None and blind.low > found.chance
        return Score(
            top.accuracy,
            top.stderr,
            None if top.low is None or top.high is None else (top.low, top.high),
            top.n,
            found.chance,
            flags=("told_gives_away",) * given_away,
            detail=facts | {"chance": found.chance, "labels": list(found.labels)},
        )

    def _by_depth(self) -> list[str]:
        return [stage for stage in (*IMAGE_STAGES, *DEPTH) if stage in self._stages]

    def _tokens(self, batch: Batch) -> dict[str, Tensor]:
        model = {layer: torch.as_tensor(batch.visual[layer].tokens) for layer in self.layers if layer in batch.visual}
        return {**image_tokens(batch.samples), **model}

    def _check(self, tokens: Mapping[str, Tensor], samples: Sequence[Sample]) -> None:
        if not self._stages:
            raise RuntimeError("restore() comes before observe()")
        for stage, x_bNd in tokens.items():
            expected = self._stages[stage].weights.shape[1] if stage in self._stages else "none"
            if x_bNd.shape[1] != expected:
                raise SampleError(
                    f"cues: {x_bNd.shape[1]} visual tokens at {stage} where the first samples had {expected}"
                )
            for sample, good in zip(samples, x_bNd.isfinite().flatten(1).all(dim=1).tolist(), strict=True):
                if not good:
                    raise SampleError(f"cues: the visual tokens of {sample.id} at {stage} are NaN or infinite")

    def _observe_one(self, i: int, tokens: Mapping[str, Tensor], sample: Sample, output: Output) -> Observation:
        # one sample at a time, so that rounding does not depend on the batch
        seen: dict[str, Any] = {f"tokens/{stage}": self._stages[stage](x_bNd[i]) for stage, x_bNd in tokens.items()}
        seen["asked"] = {}
        if sample.scene is not None:
            seen["asked"] = {cue: [one.hint, one.label] for cue, one in cue_labels(sample.scene).items()}
            seen |= token_contents(sample.scene, self._stages[self.layers[0]].places)
        if output.text is not None and (said := count_cues(output.text, sample)):
            seen["answer"] = said
        return seen
