"""`dataset_path` and `dataset_kwargs` of a task file in, the rows of a split out, as `datasets` would load them.

Local data only: files that `data_files` names, a picture folder, a directory of files, or what `save_to_disk` wrote.
Paths are relative to the task file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtbench.errors import TaskError
from vtbench_import.code import Code
from vtbench_import.picture_folder import read_folder
from vtbench_import.recipe import Function, Recipe
from vtbench_import.rows import FORMATS, Listed, Row, Rows, read_rows

_ALIASES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""The words by which `datasets` tells from a file's name which split it is."""
_UNSPLIT = "train"
"""What `datasets` calls data that says no split."""
_KWARGS = frozenset(
    {
        "data_files",
        "data_dir",
        "field",
        "sep",
        "delimiter",
        "load_from_disk",
    }
)
_NO_MATTER = frozenset(
    {
        "token",
        "use_auth_token",
        "trust_remote_code",
        "cache_dir",
        "local_files_only",
        "num_proc",
        "max_retries",
        "force_download",
        "keep_in_memory",
        "verification_mode",
        "revision",
    }
)
_ELSEWHERE = re.compile(r"\w+://")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The split that is asked for, and by which key; None: by --split."""

    split: str
    key: str | None
    recipe: Recipe

    def of(self, there: Mapping[str, Any]) -> Any:
        """Return the split's part.

        Raises:
            TaskError: there is no such split.
        """
        if self.split in there:
            return there[self.split]
        found = f"the data has {', '.join(map(repr, map(str, there))) or 'no data in it'}"
        if self.key:
            raise self.recipe.error(f"no split {self.split!r}; {found}", self.key)
        raise self.recipe.error(f"no split {self.split!r}, as --split says; {found}", "dataset_path")


def read_split(recipe: Recipe, split: str | None, code: Code) -> tuple[Rows, str]:
    """Return the rows of the split that is evaluated, and its name: `split`, or test_split, or validation_split.

    lm-eval's `custom_dataset` is called only where dataset_path names nothing that is read here.

    Raises:
        TaskError: the data is not here or cannot be read, or there is no such split.
    """
    key = next((key for key in ("test_split", "validation_split") if recipe.get(key)), None)
    if split is None and key is None:
        raise recipe.error("no split to evaluate; name one in test_split, or with --split", "task")
    wanted = _Wanted(split or str(recipe.get(str(key))), None if split else key, recipe)
    settings, path, base = _settings(recipe), recipe.get("dataset_path"), recipe.path.parent
    if path in FORMATS:
        files = settings.get("data_files")
        if files is None:
            raise recipe.error(f"{path} needs dataset_kwargs.data_files", "dataset_path")
        chosen = wanted.of(files if isinstance(files, Mapping) else {_UNSPLIT: files})
        return read_rows(path, _matching(chosen, base, recipe), settings), wanted.split
    if path == "imagefolder":
        folder = base / str(settings.get("data_dir") or settings.get("data_files") or "")
        return read_folder(folder, wanted.split, recipe), wanted.split
    if isinstance(made := recipe.get("custom_dataset"), Function):
        return _made(code.load(made, "custom_dataset"), wanted, settings), wanted.split
    if path is None:
        raise recipe.error("no data: the task file has no dataset_path", "task")
    directory = base / str(path)
    if not directory.is_dir():
        raise recipe.error(
            f"{str(path)!r} is no directory beside the task file, and nothing is fetched from a hub; save it with "
            "`datasets.save_to_disk` and name that directory, or write `dataset_path: parquet` and "
            "dataset_kwargs.data_files",
            "dataset_path",
        )
    return _directory(directory, wanted, settings), wanted.split


def _settings(recipe: Recipe) -> Mapping[str, Any]:
    settings: Mapping[str, Any] = recipe.get("dataset_kwargs", {})
    for name, value in settings.items():
        if name not in _KWARGS | _NO_MATTER and value:
            raise recipe.error("vtbench reads local data, and does not know this", "dataset_kwargs", name)
    return settings


def _matching(files: Any, base: Path, recipe: Recipe) -> list[Path]:
    """Return the files of one or several paths or globs."""
    found: list[Path] = []
    for name in files if isinstance(files, list) else [files]:
        if not isinstance(name, str):
            raise recipe.error(f"must be paths, not {name!r:.60}", "dataset_kwargs", "data_files")
        if _ELSEWHERE.match(name):
            raise recipe.error(f"{name!r} is elsewhere, and nothing is fetched", "dataset_kwargs", "data_files")
        path = base / name
        matching = [path] if path.is_file() else sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not matching:
            raise recipe.error(f"there is no file {path}", "dataset_kwargs", "data_files")
        found += matching
    return found


def _made(make: Callable[..., Any], wanted: _Wanted, settings: Mapping[str, Any]) -> Rows:
    """Let code make the rows, by split, as lm-eval does."""
    recipe = wanted.recipe
    metadata = recipe.get("metadata", {})
    try:
        made = make(**(metadata if isinstance(metadata, Mapping) else {}), **settings)
        rows: Sequence[Row] = wanted.of(made)
        columns = tuple(rows[0])
    except TaskError:
        raise
    except Exception as problem:  # whatever a stranger's code raises
        text = " ".join(f"{type(problem).__name__}: {problem}".split())
        raise recipe.error(f"makes no rows by split: {text}", "custom_dataset") from problem
    return Listed(rows, columns, recipe.path.parent, lambda: "")


def _directory(directory: Path, wanted: _Wanted, settings: Mapping[str, Any]) -> Rows:
    """Read a directory of `save_to_disk`, or one whose files say by name which split they are."""
    recipe = wanted.recipe
    if (directory / "dataset_dict.json").is_file():
        splits = json.loads((directory / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        return _saved(directory / wanted.of({split: split for split in splits}), recipe)
    if (directory / "state.json").is_file():
        return _saved(directory, recipe)
    named = str(recipe.get("dataset_name", ""))
    directory = directory / named if named and (directory / named).is_dir() else directory
    for format_, endings in FORMATS.items():
        there: dict[str, list[Path]] = {}
        for file in sorted(path for ending in endings for path in directory.rglob(f"*{ending}")):
            there.setdefault(_split_of(file.relative_to(directory), wanted.split), []).append(file)
        if there:
            return read_rows(format_, wanted.of(there), settings)
    endings = tuple(ending for several in FORMATS.values() for ending in several)
    raise recipe.error(f"{directory} has no file that ends in {', '.join(endings)}", "dataset_path")


def _split_of(file: Path, wanted: str) -> str:
    """Say which split a file is, by the words of its path; data that says none is `train`."""
    words = {word for part in (*file.parent.parts, file.stem) for word in re.split(r"[-._ 0-9]+", part.lower())}
    for split, aliases in {wanted: (wanted,), **_ALIASES}.items():
        if words & {*_ALIASES.get(split, ()), *aliases}:
            return split
    return _UNSPLIT


def _saved(directory: Path, recipe: Recipe) -> Rows:
    try:
        state = json.loads((directory / "state.json").read_text(encoding="utf-8"))
        names = [file["filename"] for file in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise recipe.error(f"{directory} is not what save_to_disk writes: {problem}", "dataset_path") from None
    if state.get("_indices_data_files"):
        raise recipe.error(f"{directory} holds a selection of rows; save it with flatten_indices()", "dataset_path")
    return read_rows("arrow", [directory / name for name in names], {})
