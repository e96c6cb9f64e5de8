"""Features of a user's own as the target: what a frozen encoder says of each image, say, in place of its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vtbench.types import Sample, Task
from vtbench_redundancy.errors import InputError, file_errors
from vtbench_redundancy.features.principal_components import StreamingPCA
from vtbench_redundancy.inputs.array_files import open_array
from vtbench_redundancy.inputs.image_folder import image_paths
from vtbench_redundancy.inputs.numpy_arrays import npz_keys
from vtbench_redundancy.inputs.rows import Rows
from vtbench_redundancy.protocol import Protocol

IDS = "ids"
"""Array of a .npz file that names the sample of each row of its other array."""


@dataclass(frozen=True, slots=True)
class FeatureTarget:
    """The coordinates of each row of features: their own, or of more than `r_x` the leading principal components."""

    name: str
    rows_nq: np.ndarray
    numbers: dict[str, int] | None
    """Row of each sample by its id; None where the row of sample i is row i."""

    @property
    def digest(self) -> str:
        """SHA-256 of the coordinates and the ids."""
        ids = "" if self.numbers is None else repr(sorted(self.numbers.items()))
        return hashlib.sha256(np.ascontiguousarray(self.rows_nq).tobytes() + ids.encode()).hexdigest()

    @classmethod
    def open(cls, file: str, protocol: Protocol) -> FeatureTarget:
        """Read a file of features.

        Args:
            file: a .npy, .npz or .safetensors file with an array (n, q), or `file:key`; a .npz file may have a second
                array `ids`, the samples' ids.
            protocol: its settings.

        Raises:
            InputError: the file cannot be read, is no table of finite numbers, or has not one id a row.
        """
        rows, numbers = open_features(file)
        return cls(file, target_coordinates(rows, protocol, file), numbers)

    def check(self, task: Task) -> None:
        """Check that there is a row for each sample of a task (before `--limit` and repeats), where rows have no ids.

        Raises:
            InputError: there are fewer or more.
        """
        samples = getattr(task, "unlimited", len(task) // getattr(task, "repeats", 1))
        if self.numbers is None and len(self.rows_nq) != samples:
            raise InputError(
                f"target={self.name}: {len(self.rows_nq)} rows for {samples} samples of {task.name}; give one row a "
                f"sample in their order, or a .npz file with their {IDS}"
            )

    def of(self, samples: Sequence[Sample], repeats: int = 1) -> np.ndarray:
        """Return the coordinates of samples, (b, q).

        Args:
            samples: of the task that was checked.
            repeats: times that the run asks each question; all show one image, which has one row.

        Raises:
            InputError: a sample has no row.
        """
        places = []
        for sample in samples:
            name = sample.id.removesuffix(f"~{sample.repeat}") if sample.repeat else sample.id
            place = sample.index // repeats if self.numbers is None else self.numbers.get(name, len(self.rows_nq))
            if place >= len(self.rows_nq):
                raise InputError(f"target={self.name}: no row for the sample {name}; give features of every image")
            places.append(place)
        return self.rows_nq[places]


def target_coordinates(features: Rows | np.ndarray, protocol: Protocol, name: str = "target") -> np.ndarray:
    """Return the coordinates of features, (n, q) float32: themselves, or their `r_x` leading principal components.

    Each is in units of its root mean square (components: of the features'), so that one threshold separates columns
    that are constant but for rounding from those of small values.

    Args:
        features: (n, q), a row an image.
        protocol: its settings.
        name: what an error calls them.

    Raises:
        InputError: not a table of finite real numbers, or one that is the same for every image.
    """
    if len(features.shape) != 2 or 0 in features.shape:
        raise InputError(f"{name}: has the shape {tuple(features.shape)}; wanted (images, features), a row an image")
    values = np.asarray(features[: len(features)], dtype=np.float32)
    if bad := int((~np.isfinite(values)).sum()):
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise InputError(f"{name}: {bad} values are NaN or infinite, the first in row {row}")
    if len(values) > 1 and not (values != values[0]).any():
        raise InputError(f"{name}: all {len(values)} rows are the same, so there is nothing to know about the images")
    if values.shape[1] <= protocol.r_x:
        size = np.sqrt(np.mean(np.square(values, dtype=np.float64), axis=0))
        return np.divide(values, size, out=np.zeros_like(values), where=size > 0, casting="same_kind")
    fit = StreamingPCA(protocol.r_x, protocol.projection, protocol.seed, protocol.exact)
    rows_n1q = torch.from_numpy(values)[:, None]
    fit.update(rows_n1q)
    coordinates: np.ndarray = fit.result()(rows_n1q)[:, 0].numpy()
    return coordinates


def features_of_images(file: str, images: str) -> np.ndarray | Rows:
    """Return the features of each image that `vtbench score` measures, in the images' order.

    Args:
        file: of the features; if it has `ids`, these are names of image files, with their suffix or without.
        images: the array or directory of images.

    Raises:
        InputError: see `FeatureTarget.open`; or the file has ids and the images have no names, or one has no row.
    """
    rows, numbers = open_features(file)
    if numbers is None:
        return rows
    if not Path(images).is_dir():
        raise InputError(f"{file}: has {IDS}, but the images of an array have no names; give a directory of images")
    places = []
    for path in image_paths(Path(images)):
        place = numbers.get(path.name, numbers.get(path.stem))
        if place is None:
            raise InputError(f"{file}: no row with the id {path.name} or {path.stem}; give features of every image")
        places.append(place)
    return np.asarray(rows[: len(rows)])[places]


def open_features(file: str) -> tuple[Rows, dict[str, int] | None]:
    """Open a file of features, and return them with the row of each sample by its id, if the file has ids.

    Raises:
        InputError: see `FeatureTarget.open`.
    """
    if not file.lower().endswith(".npz") or IDS not in (keys := npz_keys(Path(file))):
        return open_array(file), None
    features = [key for key in keys if key != IDS]
    if len(features) != 1:
        raise InputError(f"{file}: {len(features)} arrays beside {IDS!r}; wanted one, the features")
    rows = open_array(f"{file}:{features[0]}")
    with file_errors(Path(file)), np.load(file, allow_pickle=False) as arrays:
        numbers = {str(name): row for row, name in enumerate(arrays[IDS].tolist())}
    if len(numbers) != len(rows):
        raise InputError(f"{file}: {len(rows)} rows but {len(numbers)} different {IDS}; give one id a row")
    return rows, numbers
