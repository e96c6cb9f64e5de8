"""Bad command lines, made from the real tree of commands: every option and argument, with values of every wrong kind.

`catalogue` needs the tree alone, so that a new command or option is in it as soon as it exists. `Place` makes the files
that the lines name, and `outcome` runs one line in this process.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from host_fakes import quiz

from vtbench.cli import app, status
from vtbench.registry import Registry

NUMBERS = ("", " ", "x", "nan", "inf", "0x10", "[1]", "1:30", "None")
"""No option for a number takes these."""
DOUBTFUL_NUMBERS = ("-1", "0", "1e400", "9" * 400, "-0.0", "1.5", "١٢")
"""Some do."""
TEXTS = (
    "",
    "nosuch",
    "é\u202e\x1b[31m[red]",
    "a" * 5000,
    "\udcff",
    ":",
    "=",
    ",",
    "a:b=c",
    "[",
    "'",
    "{x: &a *a}",
    "-",
    "%s",
)
FILES = ("missing", "directory", "empty", "binary", "latin", "list.json", "number.json", "torn.json", "deep.json",
         "bomb.yaml", "empty/inside", "n" * 300, "broken-run", "listed-run", "hollow-run",
         "torn.npy", "object.npy")  # fmt: skip
PATHS = (
    "--output",
    "--config",
    "--resume",
    "--cache",
    "--from",
    "--base",
    "--boxes",
    "--clusters",
    "--tasks",
    "--mix",
    "--split",
)
"""Options that take all of the files: those that name one, and some that might."""
SECONDS = 20
"""CPU time of one line."""
BASES: dict[str, tuple[str, ...]] = {
    "run": ("--model", "echo", "--tasks", "{task}", "--output", "{out}", "--limit", "2", "--no-report"),
    "show": ("{task}", "--output", "sheet.png"),
    "validate": ("{task}",),
    "check": ("echo",),
    "report": ("{run}",),
    "init": ("task", "fresh", "--output", "{out}"),
    "export": ("--tasks", "{task}", "--format", "webdataset", "--output", "{out}"),
    "score": ("{tokens}", "{tokens}", "--patches"),
    "compare": ("{run}", "{run}"),
    "diagnose": ("{run}",),
    "board": ("{runs}", "--no-reports"),
    # a device that no machine has, so that no line trains
    "study": ("--device", "tpu", "--output", "{out}"),
    "pretrain": ("--device", "tpu", "--output", "{out}"),
    "train": ("--task", "coarse", "--device", "tpu", "--output", "{out}"),
}
"""A line of each command, to which one bad part is added; a command that is not here gets the bad part alone."""
PLAIN = ("class", "json", "vtbench")
"""Names that a task may have, and a package may not."""
FIRST = {"init": (("nosuch", "x"), ("adapter", "{value}"), ("metric", "{value}"), ("task", "{value}"))}


@dataclass(frozen=True)
class Line:
    """A command line."""

    words: tuple[str, ...]
    refused: bool = False
    """Whether it is certainly bad: its exit status is 2."""
    names: str = ""
    """What its message names."""

    @property
    def label(self) -> str:
        """The line, short enough for the name of a test."""
        return (
            " ".join(word if len(word) < 40 else f"{word[:12]}({len(word)})" for word in self.words)
            .encode("ascii", "backslashreplace")
            .decode()
        )


def _bomb() -> str:
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10))]
    return "\n".join(lines)


def commands(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with its words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        else:
            yield (*above, name), command


def tree() -> click.Group:
    """Return the tree of commands with those of all installed plugins."""
    group = click.Group(app.name, dict(app.commands), params=app.params)
    Registry().commands(group)
    return group


def catalogue() -> list[Line]:
    """Return all bad command lines."""
    lines = [
        Line((word,), word != "") for word in ("", "nosuch", "--nosuch", "-x", "é\u202e", "ls nosuch", "--debug=1")
    ]
    for words, command in commands(tree()):
        base = BASES.get(words[0], ())
        lines.append(Line((*words, "--nosuch"), True, "--nosuch"))
        lines.append(Line((*words, *base, "one", "too", "many"), words[0] not in ("report", "compare")))
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                lines += _option_lines((*words, *base), parameter)
            else:
                lines += [Line((*words, value)) for value in (*TEXTS, *FILES)]
                lines += [Line((*words, value, "nosuch"), words[0] != "init") for value in FILES]
    for words in FIRST["init"]:
        values = (
            "",
            ".",
            "../x",
            "/abs",
            "a/b",
            "CON",
            "é",
            "1a",
            "a.b",
            "class",
            "json",
            "vtbench",
            "n" * 300,
            "a\x1b[31m",
            "-a",
        )
        lines += [
            Line(("init", *(word.format(value=value) for word in words)), words[0] != "task" or value not in PLAIN)
            for value in values
        ]
    return list(dict.fromkeys(lines))


def _option_lines(base: tuple[str, ...], option: click.Option) -> Iterator[Line]:
    name = option.opts[0]
    if option.is_flag:
        yield Line((*base, f"{name}=1"), True, name)
        return
    if name not in base:
        yield Line((*base, name), option.flag_value is None and not option._flag_needs_value, name)
    number = option.metavar in ("N", "X", "N|auto", "PIXELS") or not isinstance(
        option.type, (click.types.StringParamType, click.Choice)
    )
    for value in NUMBERS if number else TEXTS:
        yield Line((*base, name, value), number, name if number else "")
    files = FILES if name in PATHS else ("missing", "directory", "binary", "n" * 300)
    for value in DOUBTFUL_NUMBERS if number else files:
        yield Line((*base, name, value))


@dataclass
class Place:
    """The directory of all lines: the files that they name, and what is written."""

    home: Path
    words: dict[str, str] = field(default_factory=dict)
    registry: Registry = field(default_factory=Registry)

    def __post_init__(self) -> None:
        work = self.home / "work"
        work.mkdir()
        task = quiz(self.home / "task", 4, metrics="[accuracy]")
        (work / "directory").mkdir()
        np.save(self.home / "tokens.npy", np.zeros((4, 2, 3), dtype=np.float32))
        np.save(work / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
        contents: dict[str, bytes] = {
            "empty": b"", "binary": bytes(range(256)), "latin": "task: é".encode("latin-1"), "list.json": b"[1]",
            "number.json": b"1", "torn.json": b'{"a": ', "deep.json": b"[" * 100_000,
            "bomb.yaml": _bomb().encode(),
            "torn.npy": (self.home / "tokens.npy").read_bytes()[:40],
        }  # fmt: skip
        for name, content in contents.items():
            (work / name).write_bytes(content)
        for name, content in {"broken-run": "{", "listed-run": "[]", "hollow-run": "{}"}.items():
            (work / name).mkdir()
            for file in ("run.json", "results.json", "config.json"):
                (work / name / file).write_text(content)
        words = ["run", "--model", "echo", "--tasks", str(task), "--output", str(self.home / "made"), "--no-report"]
        outcome(words, self)
        made = next((self.home / "made").iterdir())
        self.words = {"task": str(task), "out": "out", "tokens": str(self.home / "tokens.npy")}
        self.words |= {"run": str(made), "runs": str(made.parent)}

    def arguments(self, line: Line) -> list[str]:
        """Return the words of a line with the files of this place."""
        named = {f"{{{key}}}": value for key, value in self.words.items()}
        return [named.get(word, word) for word in line.words]


@dataclass
class Outcome:
    """What a line did."""

    status: int | None
    errors: str
    crash: str
    written: list[str]


_written: list[str] = []
_watching = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, (str, bytes)) and isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _written.append(os.path.abspath(os.fsdecode(path)))
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
        _written.append(os.path.abspath(os.fsdecode(arguments[0])))


class OutOfTimeError(BaseException):
    """A line took more than its CPU time."""


def _out_of_time(*_: object) -> None:
    raise OutOfTimeError


def _no_network(*_: object, **__: object) -> None:
    raise OSError("no network here")


@contextlib.contextmanager
def watched(place: Place) -> Iterator[None]:
    """Run lines in the place's work directory, without a network, and note what they write."""
    if not getattr(watched, "audits", False):
        sys.addaudithook(_audit)
        watched.audits = True  # type: ignore[attr-defined]
    before, connect, bytecode = Path.cwd(), socket.socket.connect, sys.dont_write_bytecode
    socket.socket.connect = _no_network  # type: ignore[method-assign, assignment]
    handler = signal.signal(signal.SIGPROF, _out_of_time)
    os.chdir(place.home / "work")
    sys.dont_write_bytecode = True
    cache = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(place.home / "inductor")  # which torch makes when it is imported
    try:
        yield
    finally:
        os.environ.pop("TORCHINDUCTOR_CACHE_DIR")
        if cache is not None:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        os.chdir(before)
        socket.socket.connect, sys.dont_write_bytecode = connect, bytecode  # type: ignore[method-assign]
        signal.signal(signal.SIGPROF, handler)


def outcome(arguments: Sequence[str], place: Place) -> Outcome:
    """Run one command line in this process."""
    global _watching
    out, err = io.StringIO(), io.StringIO()
    ended: int | None = None
    crash = ""
    _written.clear()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        _watching = True
        try:
            ended = status(list(arguments), place.registry)
        except BaseException:  # whatever leaves the command line would be a traceback
            crash = traceback.format_exc()
        finally:
            _watching = False
            signal.setitimer(signal.ITIMER_PROF, 0)
    home = str(place.home)
    outside = [path for path in _written if not path.startswith((home, "/dev/"))]
    return Outcome(ended, err.getvalue(), crash, outside)


def problems(line: Line, found: Outcome) -> list[str]:
    """Return what is wrong with how a line ended."""
    wrong = []
    if found.crash:
        return [found.crash]
    if found.status not in ((2,) if line.refused else (0, 1, 2)):
        wrong.append(f"exit status {found.status}")
    if found.status == 2:
        said = [text for text in found.errors.splitlines() if not text.startswith("vtbench: warning:")]
        if len(said) != 1 and line.words != ("",):
            wrong.append(f"{len(said)} lines on standard error: {found.errors[:500]}")
        if line.names and line.names not in found.errors:
            wrong.append(f"{line.names} is not named: {found.errors[:300]}")
    if not all(character.isprintable() or character in "\n\t" for character in found.errors):
        wrong.append(f"control characters: {found.errors[:300]!r}")
    if len(found.errors) > 6000:
        wrong.append(f"{len(found.errors)} characters")
    if found.written:
        wrong.append(f"wrote {found.written[:3]}")
    return wrong
