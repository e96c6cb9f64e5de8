"""Errors that a user can cause, each with a one-line message: the place, what is wrong, what to do.

A `VtbenchError` ends a command with exit status 2 and its message. Any other exception is a bug and keeps its
traceback; where a plugin raised it, `plugin_errors` names the plugin, and `--debug` shows the traceback.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


class VtbenchError(Exception):
    """Bad usage or input. The message is one line: the place, what is wrong, what to do."""


class TaskError(VtbenchError):
    """A task file cannot be used: names file, line and key."""


class PluginError(VtbenchError):
    """A plugin cannot be used: two plugins bring the same name, or the one asked for fails to import."""


class MissingPackageError(PluginError):
    """A plugin needs a package that is not installed; the message has the command that installs it."""


class AdapterError(VtbenchError):
    """A model cannot be loaded: missing or broken checkpoint, missing backend, unsupported capability."""


class ResultsError(VtbenchError):
    """A run's directory cannot be used: not writable, disk full, or it holds a run of another config."""


class ExecutorError(VtbenchError):
    """An executor cannot be used by any model: it is not reachable, or has no resources for a worker."""


class WorkerError(VtbenchError):
    """The workers of a model die, or hold different models or tasks."""


class ModelUnavailable(AdapterError):
    """The model went away during a run: its endpoint is down. The run stops with what it has; `--resume` goes on.

    Args:
        message: the place, and what happened.
        answered: `Sample.index` of the samples of the batch that were answered before. The engine asks for these once
            more, together, and the adapter then returns the answers that it has kept.
    """

    def __init__(self, message: str, answered: Collection[int] = ()) -> None:
        super().__init__(message)
        self.answered = frozenset(answered)


class SampleError(VtbenchError):
    """One sample cannot be made or answered, e.g. an unreadable image. It becomes a failed record; the run goes on.

    Args:
        message: the place, what is wrong, what to do.
        transient: whether the same sample may succeed later (a busy endpoint), so that `--resume` asks it again.
    """

    def __init__(self, message: str, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient
        self.sample_id: str | None = None
        """The id that the sample would have, where its task knows it; else its record has the task and the index."""


class OutOfMemory(Exception):
    """An adapter ran out of memory on a batch. The loop retries with smaller batches; no sample is lost."""


def escaped(text: str) -> str:
    r"""Return a text with halves of characters (lone surrogates), which no file can hold, written as escapes.

    >>> escaped("\ud83d hi")
    '\\ud83d hi'
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(error: BaseException) -> str:
    """Return an error's type, message and place on one line: `ValueError: no such image (model.py:12)`."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return " ".join(f"{type(error).__name__}: {error}{place}".split())


@contextmanager
def plugin_errors(what: str) -> Iterator[None]:
    """Turn what a plugin's code raises into one line that names it: `metric 'words'.compute failed: ...`.

    Args:
        what: the thing and its method, as the line begins.

    Raises:
        PluginError: in place of any exception but a `VtbenchError` and `OutOfMemory`, which pass.
    """
    try:
        yield
    except (VtbenchError, OutOfMemory):
        raise
    except Exception as error:
        raise PluginError(f"{what} failed: {one_line(error)}; --debug shows the traceback") from error


def install_command(extra: str, distribution: str = "vtbench") -> str:
    """Return the command that adds an extra's packages to this installation: of a checkout, or of a package index.

    Args:
        extra: one of pyproject.toml, or several by comma.
        distribution: the package that has it.
    """
    import json
    from importlib import metadata
    from urllib.parse import unquote

    try:
        origin = json.loads(metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        origin = {}
    url = str(origin.get("url", ""))
    if "dir_info" not in origin or not url.startswith("file://"):
        return f"pip install '{distribution}[{extra}]'"
    editable = "--editable " * bool(origin["dir_info"].get("editable"))
    return f"pip install {editable}'{unquote(url.removeprefix('file://'))}[{extra}]'"


FEW = 12
"""Names that an error lists; of more it names the command that does."""


def nearest(name: str, names: list[str], command: str = "") -> str:
    """Return ` Did you mean 'x' or 'y'?` with the names closest to `name`, or which names there are.

    Args:
        name: that is unknown.
        names: that there are.
        command: lists them.

    >>> nearest("LLava", ["llava", "hf"], "vtbench ls models")
    " Did you mean 'llava'? `vtbench ls models` lists all."
    >>> nearest("x", [str(number) for number in range(44)], "vtbench ls models")
    ' `vtbench ls models` lists the 44 that there are.'
    """
    if close := did_you_mean(name, names):
        return close + f" `{command}` lists all." * bool(command)
    if command and len(names) > FEW:
        return f" `{command}` lists the {len(names)} that there are."
    more = f" and {len(names) - 2 * FEW} more" if len(names) > 2 * FEW else ""
    return f" There are: {', '.join(sorted(names)[: 2 * FEW])}{more}." if names else " There are none."


def did_you_mean(name: str, names: list[str]) -> str:
    """Return ` Did you mean 'x' or 'y'?` with the names closest to `name`; nothing where none is close."""
    from difflib import get_close_matches

    by_letters = {known.lower(): known for known in names}
    close = [by_letters[letters] for letters in get_close_matches(name.lower(), by_letters, n=2, cutoff=0.5)]
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
