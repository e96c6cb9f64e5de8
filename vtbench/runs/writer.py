"""Writes the directory of a run, results/<run-id>/, during the run.

    run.json        config, digest, versions, model, tasks, digests of fitted states
    batches.jsonl   one line per batch, before its samples: which samples it had, and how long it took
    samples.jsonl   one line per sample, as it finishes
    visual/         <task>.<metric>.jsonl: arrays of observations, each line before its sample's line;
                    <task>.<metric>.basis.npz: fitted state of a visual metric;
                    <task>.previews: thumbnails for the report
    results.json    scores, in the layout of lm-eval's results
    report.html     the report

A killed run leaves at most one incomplete last line in each file. A crash of the machine leaves each file without an
end of its own, or with zeros there. Opening the run again drops damaged lines and samples without their arrays; their
samples are then asked again. From the first seconds on, run.json, fitted states and results.json are whole or as they
were before, and all samples are on the disk before results.json is. The JSON is strict, and no file contains a string
that was given as a secret.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from vtbench.errors import ResultsError
from vtbench.report.previews import PreviewWriter, previews_path
from vtbench.runs.disk import disk, publish_file, sync_file, write_file
from vtbench.runs.jsonl import Line, lines, scan
from vtbench.runs.provenance import strict
from vtbench.runs.reader import arrays_path, encode, index_ranges, is_batch, read_run, read_task
from vtbench.runs.resuming import find_run
from vtbench.runs.run_files import RunFiles
from vtbench.runs.secrets import SecretFilter, environment_secrets
from vtbench.runs.stock import replaced_lines, take_stock
from vtbench.types import Observation, Preview, Record

_SECONDS = 5.0
"""Until it has taken this long, a run is cheaper to repeat than to wait for the disk."""
Retry = Callable[[Line], bool]
"""Whether a failed sample, given as its line of samples.jsonl, is asked again."""


def transient(line: Line) -> bool:
    """Whether a failed sample may be answered when it is asked again."""
    return line.get("transient") is True


class RunWriter:
    """One run's directory, open for writing.

    Args:
        path: the directory, which exists.
        run: the contents of run.json.
        hidden: strings that must not reach any file.
        retry: which failed samples count as not done.

    Raises:
        ResultsError: another process is writing the run; no file was touched.
    """

    def __init__(
        self,
        path: Path,
        run: dict[str, Any],
        hidden: frozenset[str] = frozenset(),
        retry: Retry = transient,
    ) -> None:
        self.path, self.run = path, run
        self._without_secrets = SecretFilter(hidden | environment_secrets())
        self._files = RunFiles()
        self._previews: dict[str, PreviewWriter] = {}
        self.done: dict[str, set[int]] = defaultdict(set)
        """Indices of the samples that need not be asked, by task."""
        self.answered: dict[str, set[int]] = defaultdict(set)
        """Those of them that have an answer."""
        self.paid: set[str] = set()
        """Tasks with answers that have a price."""
        self.stored: dict[str, set[int]] = defaultdict(set)
        """Indices of all stored samples, with failed ones that are asked again, by task."""
        self._replaced = self._synced = self.grows = False
        self._opened = monotonic()
        self.notes: list[str] = []
        """What was damaged, in one line each."""
        samples = path / "samples.jsonl"
        if not self._files.lock(samples):
            raise ResultsError(f"{path}: another process is writing this run; wait for it, or leave --resume out")
        try:
            with disk(path):
                (path / "visual").mkdir(exist_ok=True)
            self._take_stock(retry)
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(
        cls,
        parent: Path,
        resume: bool | str,
        run: dict[str, Any],
        hidden: frozenset[str] = frozenset(),
        retry: Retry = transient,
    ) -> RunWriter:
        """Make a new run directory in `parent`, or open the one to resume.

        Args:
            parent: directory of runs.
            resume: False for a new run, True for the newest run in `parent` with the digest of `run`, or a run's path.
            run: content of run.json for a new run.
            hidden: strings that must not reach any file.
            retry: which failed samples of the run to resume are asked again.

        `grows` of the writer is then whether the run is one with a smaller limit, which is to `grow`.

        Raises:
            ResultsError: the directory is not writable, or there is no such run (`find_run`).
        """
        if not resume:
            path = _new_directory(parent, run["run_id"])
            writer = cls(path, run, hidden)
            writer.update(run_id=path.name)
            return writer
        found = find_run(parent, resume, run)
        writer = cls(Path(found.run["path"]), found.run, hidden, retry)
        writer.run = read_run(writer.path)  # its last writer may have added facts until it gave the lock back
        writer.notes += found.notes
        writer.grows = found.grows
        return writer

    def grow(self, run: Mapping[str, Any], batch_size: int | None) -> None:
        """Go on with further samples, as a run with the larger limit would have.

        Args:
            run: content of run.json of a new run with the larger limit.
            batch_size: if given, a task's last batch is asked again if it was smaller, since the limit cut it short.
        """
        if batch_size:
            self._drop_cut_batches(batch_size)
        config = {**self.run["config"], "limit": run["config"]["limit"]}
        self.update(**{key: run[key] for key in ("keys", "digest", "tasks")}, config=config, finished=None)
        self.grows = False

    def _drop_cut_batches(self, size: int) -> None:
        path = self.path / "batches.jsonl"
        last = {line["task"]: (number, line) for number, line in scan(path, is_batch) if line is not None}
        cut = {task: (number, line) for task, (number, line) in last.items() if line["size"] < size}
        self._files.drop(path, [number for number, _ in cut.values()])
        for task, (_, line) in cut.items():
            for known in (self.done, self.answered, self.stored):
                known[task] -= set(line.get("indices") or range(line["start"], line["start"] + line["size"]))
            self._replaced = True

    def _take_stock(self, retry: Retry) -> None:
        """Find what is stored, and drop the lines that do not count."""
        stock = take_stock(self.path)
        for path, numbers in stock.dropped.items():
            self._files.drop(path, numbers)
        for (task, index), line in stock.samples.items():
            self.stored[task].add(index)
            self._count(task, index, line["error"], line["cost"])
            if line["error"] is not None and retry(line):
                self.done[task].discard(index)
        self.notes += stock.notes

    def _count(self, task: str, index: int, error: str | None, cost: float | None) -> None:
        self.done[task].add(index)
        if error is None:
            self.answered[task].add(index)
        if cost is not None:
            self.paid.add(task)

    @property
    def _durable(self) -> bool:
        """Whether files are written through to the disk."""
        return monotonic() - self._opened > _SECONDS

    def _text(self, value: Any, indent: int | None = None) -> str:
        value = self._without_secrets.data(strict(value))  # texts, not their JSON: no escape sequence is cut in two
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)

    def _write_lines(self, path: Path, values: Iterable[Any]) -> None:
        self._files.append(path, map(self._text, values))

    def write(self, name: str, value: Any) -> None:
        """Write a JSON file atomically; a crash of the machine leaves it whole, or as it was before."""
        write_file(self.path / name, self._text(value, indent=2) + "\n", durable=self._durable)

    def update(self, **facts: Any) -> None:
        """Add facts to run.json, and remove those that are given as None."""
        removed = {key for key, value in facts.items() if value is None}
        self.run = {key: value for key, value in {**self.run, **facts}.items() if key not in removed}
        self.write("run.json", {key: value for key, value in self.run.items() if key != "path"})

    def batch(self, task: str, indices: Sequence[int], seconds: float, out_of_memory: Sequence[int]) -> None:
        """Record a batch, before its samples are written."""
        line: Line = {"task": task, "start": indices[0], "size": len(indices), "seconds": round(seconds, 6)}
        if indices[-1] - indices[0] != len(indices) - 1:
            line["indices"] = list(indices)
        if out_of_memory:
            line["out_of_memory"] = list(out_of_memory)
        self._write_lines(self.path / "batches.jsonl", [line])

    def batches(self) -> list[dict[str, Any]]:
        """Return the recorded batches in order."""
        return list(lines(self.path / "batches.jsonl", is_batch))

    def append(self, records: Iterable[Record], with_arrays: bool = True) -> None:
        """Write samples, their arrays first, unless these are there. Samples that are done already are skipped."""
        new: dict[tuple[str, int], Record] = {}
        for record in records:
            if record.index not in self.done[record.task]:
                new.setdefault((record.task, record.index), record)
        arrays: dict[Path, list[Any]] = defaultdict(list)
        samples = []
        for record in new.values():
            scores: dict[str, Observation] = {}
            metrics = []
            for metric, observation in record.scores.items():
                coded = {key: encode(value) for key, value in observation.items() if isinstance(value, np.ndarray)}
                scores[metric] = {key: value for key, value in observation.items() if key not in coded}
                if coded:
                    metrics.append(metric)
                    line = {"index": record.index, "arrays": coded}
                    arrays[arrays_path(self.path, record.task, metric)].append(line)
            facts = {f.name: getattr(record, f.name) for f in fields(record)} | {"scores": scores}
            samples.append(facts | {"arrays": metrics})
        for path, lines_of_path in arrays.items() if with_arrays else ():
            self._write_lines(path, lines_of_path)
        self._write_lines(self.path / "samples.jsonl", samples)
        if self._durable and not self._synced:
            for file in (self.path / "run.json", *(self.path / "visual").glob("*.npz")):
                sync_file(file)
            self._synced = True
        for record in new.values():
            self._replaced |= record.index in self.stored[record.task]
            self.stored[record.task].add(record.index)
            self._count(record.task, record.index, record.error, record.cost)

    def replace(self, task: str, records: Iterable[Record]) -> None:
        """Write all samples of a task again, with the arrays that are there; `finish_samples` drops the old lines."""
        self.done[task], self.answered[task] = set(), set()
        self.append(records, with_arrays=False)

    def append_previews(self, task: str, previews: Sequence[Preview]) -> None:
        """Write the previews of samples."""
        if not previews:
            return
        with disk(previews_path(self.path, task)):
            if task not in self._previews:
                self._previews[task] = PreviewWriter(self.path, task)
            self._previews[task].append(previews)

    def records(self, task: str, samples: int) -> list[Record]:
        """Return the records of a task that has `samples` samples, by index, with the arrays of their observations.

        Raises:
            ResultsError: samples are missing; every index has to be there exactly once.
        """
        stored = read_task(self.path, task)
        if missing := stored.missing(samples):
            raise ResultsError(
                f"{self.path}: {len(missing)} of {samples} samples of {task} are missing ({index_ranges(missing)}), so "
                "there are no scores; the same command with --resume asks them again"
            )
        return [record for record in stored.records if record.index < samples]

    def finish_samples(self) -> None:
        """Leave one line for each sample in samples.jsonl, and write the samples of a long run to the disk."""
        if self._replaced:
            samples = self.path / "samples.jsonl"
            self._files.drop(samples, replaced_lines(samples))
            self._replaced = False
        if self._durable:
            self._files.sync(leave_out=self.path / "batches.jsonl")

    def save_state(self, task: str, metric: str, state: Mapping[str, np.ndarray]) -> bool:
        """Write the fitted state of a visual metric atomically.

        Returns:
            False if the run had another state before this one, so that stored samples do not go with it.
        """
        path = arrays_path(self.path, task, metric, "basis.npz")
        temporary = path.with_name(path.name + ".tmp")
        arrays: dict[str, Any] = {key: np.asarray(value) for key, value in state.items()}
        with disk(path):
            with temporary.open("wb") as file:
                np.savez(file, **arrays)
            publish_file(temporary, path, self._durable)
        known = self.run.get("states", {})
        before, now = known.get(task, {}).get(metric), _state_digest(arrays)
        if before != now:
            self.update(states={**known, task: {**known.get(task, {}), metric: now}})
        return before in (None, now)

    def state(self, task: str, metric: str) -> dict[str, np.ndarray] | None:
        """Return the stored state of a visual metric; None if there is none yet, or if it is damaged."""
        path = arrays_path(self.path, task, metric, "basis.npz")
        if not path.exists():
            return None
        known = self.run.get("states", {}).get(task, {}).get(metric)
        try:
            with np.load(path, allow_pickle=False) as stored:
                found = {key: stored[key] for key in stored.files}
        except Exception as error:  # a broken archive may be broken in any way
            self.notes.append(f"{path}: damaged ({type(error).__name__}); fitted again")
            return None
        if known not in (None, _state_digest(found)):
            self.notes.append(f"{path}: not the state of this run; fitted again")
            return None
        return found

    def unfitted(self, task: str) -> dict[str, str]:
        """Return why metrics of a task could not be fitted, by name, as `set_unfitted` stored it."""
        return dict(self.run.get("unfitted", {}).get(task, {}))

    def set_unfitted(self, task: str, reasons: Mapping[str, str]) -> None:
        """Store why metrics of a task could not be fitted, in place of what is stored.

        A metric that is fitted after all has no observations yet, so the task's samples then count as not done.
        """
        before = self.unfitted(task)
        if reasons == before:
            return
        known = {**self.run.get("unfitted", {}), task: dict(reasons)}
        self.update(unfitted={name: of for name, of in known.items() if of} or None)
        for metric in before.keys() - reasons.keys():
            self.forget(task, metric)

    def forget(self, task: str, metric: str) -> None:
        """Count every sample of a task as not done, since a fitted state is another; lines stay until replaced."""
        if self.done[task]:
            self.notes.append(f"{task}: {metric!r} is fitted anew; all samples are asked again")
        for indices in (self.done, self.answered, self.stored):
            indices[task] = set()
        self._replaced = True

    def drop_state(self, task: str, metric: str) -> None:
        """Remove a fitted state, so that it is fitted again."""
        with disk(self.path):
            arrays_path(self.path, task, metric, "basis.npz").unlink(missing_ok=True)

    def take_notes(self) -> list[str]:
        """Return the notes that nobody has taken yet."""
        notes, self.notes = self.notes, []
        return notes

    def close(self) -> None:
        """Close all files."""
        self._files.close()
        for writer in self._previews.values():
            writer.close()
        self._previews.clear()


def _state_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return a digest of arrays by name: of their types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _new_directory(parent: Path, name: str) -> Path:
    """Make the directory `parent/name`, with a number appended if it exists."""
    with disk(parent):
        parent.mkdir(parents=True, exist_ok=True)
        n = 1
        while True:
            path = parent / (name if n == 1 else f"{name}-{n}")
            try:
                path.mkdir()
                return path
            except FileExistsError:
                n += 1
