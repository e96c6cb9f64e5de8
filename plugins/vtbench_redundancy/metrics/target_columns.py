"""`TargetColumns`: what a metric's tokens are about beside the pixels, as columns of each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vtbench.errors import SampleError
from vtbench.metric import first_sample
from vtbench.types import Sample, Task
from vtbench_redundancy.errors import InputError
from vtbench_redundancy.features.feature_target import FeatureTarget
from vtbench_redundancy.features.scene_cues import CueColumns, scene_settings
from vtbench_redundancy.metrics.basis_task import task_parts
from vtbench_redundancy.protocol import TARGETS, Protocol

_VALUES, _KNOWN, _DIGEST, _REPEATS = "cue_values", "has_cues", "target_digest", "target_repeats"
NO_SCENES = "the images have no scenes, whose facts the cues are; target=FILE measures features of your own"


class TargetColumns:
    """The columns of a target that is a file or the cues, and the cues beside a target of pixels.

    Args:
        protocol: its settings.
        cues: whether cues are measured beside pixels.
    """

    def __init__(self, protocol: Protocol, cues: bool) -> None:
        self._protocol = protocol
        self._beside = cues and protocol.target == "pixels" and protocol.correction == "jackknife"
        self._cues = CueColumns.of([])
        self._features: FeatureTarget | None = None
        self._has_cues: bool | None = None
        self._digest, self._repeats = "", 1

    def prepare(self, task: Task) -> None:
        """Learn the words of a task's scenes, and open the file of features.

        Raises:
            InputError: the file cannot be read, or does not fit the task.
        """
        self._cues = CueColumns.of(scene_settings(task_parts(task.config())))
        self._repeats = getattr(task, "repeats", 1)
        if self._protocol.target not in TARGETS:
            self._opened().check(task)

    def check(self, task: Task) -> None:
        """Check that a task has the target, before its model is loaded.

        Raises:
            InputError: the target is a file that cannot be read, or does not fit the task.
            SampleError: the target is cues, and the first sample has no scene.
        """
        if self._protocol.target not in TARGETS:
            self._opened().check(task)
        elif self._protocol.target == "cues" and (first := first_sample(task)) is not None:
            self._check_scene(first)

    def of(self, samples: Sequence[Sample]) -> np.ndarray | None:
        """Return the columns of samples that the basis is fitted on, (b, c); None where there are none.

        Raises:
            InputError: the target is a file, and a sample has no row in it.
            SampleError: the target is cues, and a sample has no scene.
        """
        if self._protocol.target not in TARGETS:
            return self._opened().of(samples, self._repeats)
        if self._protocol.target == "pixels" and not self._beside:
            return None
        scenes = [sample.scene for sample in samples]
        for sample in samples:
            if self._protocol.target == "cues":
                self._check_scene(sample)
        found = [self._cues.of_scene(scene) for scene in scenes if scene is not None]
        return np.stack(found) if len(found) == len(scenes) else None

    @staticmethod
    def _check_scene(sample: Sample) -> None:
        if sample.scene is None:
            raise SampleError(f"redundancy: target=cues is about scenes, and the sample {sample.id} has none")

    def observed(self, samples: Sequence[Sample]) -> dict[str, np.ndarray]:
        """Return the columns of samples to score by their name in observations; of cues that are lacking, NaN.

        Raises:
            InputError, SampleError: as `of`.
        """
        if self._protocol.target != "pixels":
            columns = self.of(samples)
            assert columns is not None
            return {"target": columns}
        if not self._has_cues:
            return {}
        nothing = np.full(len(self._cues), np.nan, np.float32)
        return {"cues": np.stack([nothing if s.scene is None else self._cues.of_scene(s.scene) for s in samples])}

    @property
    def properties(self) -> dict[str, list[int]]:
        """The cues' columns by property of the objects."""
        return self._cues.properties

    @property
    def why_no_cues(self) -> str | None:
        """Why cues are not measured beside pixels; None where they are, or were not asked for."""
        return NO_SCENES if self._beside and self._has_cues is False else None

    def arrays(self, has_columns: bool) -> dict[str, np.ndarray]:
        """Return everything that `restore` needs.

        Args:
            has_columns: whether all images of the basis had their columns.
        """
        own: dict[str, np.ndarray] = {}
        if self._protocol.target not in TARGETS:
            own = {_DIGEST: np.array(self._opened().digest), _REPEATS: np.array(self._repeats)}
        return {_VALUES: self._cues.array(), _KNOWN: np.array(has_columns), **own}

    def restore(self, state: Mapping[str, np.ndarray], protocol: Protocol) -> None:
        """Restore from what `arrays` returned; a state of before cues were measured has nothing of it."""
        self._protocol = protocol
        self._has_cues = bool(state[_KNOWN]) if _KNOWN in state else None
        self._digest, self._features = str(state.get(_DIGEST, "")), None
        self._repeats = int(state.get(_REPEATS, 1))
        if _VALUES in state:
            self._cues = CueColumns.of_array(np.asarray(state[_VALUES]))

    def _opened(self) -> FeatureTarget:
        if self._features is None:
            self._features = FeatureTarget.open(self._protocol.target, self._protocol)
            if self._digest not in ("", self._features.digest):
                raise InputError(
                    f"target={self._protocol.target}: has other features than when this run began; bring the file "
                    "back, or begin another run"
                )
        return self._features
