"""Errors that a user can cause, each with a one-line message: the place, what is wrong, what to do.

A `VtbenchError` ends a command with exit status 2 and its message. Any other exception is a bug and keeps its
traceback.
"""


class VtbenchError(Exception):
    """Bad usage or input. The message is one line: the place, what is wrong, what to do."""


class TaskError(VtbenchError):
    """A task file cannot be used: names file, line and key."""


class PluginError(VtbenchError):
    """A plugin cannot be used: two plugins bring the same name, or the one asked for fails to import."""


class AdapterError(VtbenchError):
    """A model cannot be loaded: missing or broken checkpoint, missing backend, unsupported capability."""


class ResultsError(VtbenchError):
    """A run's directory cannot be used: not writable, disk full, or it holds a run of another config."""


class ExecutorError(VtbenchError):
    """An executor cannot be used by any model: it is not reachable, or has no resources for a worker."""


class SampleError(VtbenchError):
    """One sample cannot be made or answered, e.g. an unreadable image. It becomes a failed record; the run goes on."""


class OutOfMemory(Exception):
    """An adapter ran out of memory on a batch. The loop retries with smaller batches; no sample is lost."""


def nearest(name: str, names: list[str]) -> str:
    """Return ` Did you mean 'x' or 'y'?` with the names closest to `name`, or a list of all names."""
    from difflib import get_close_matches

    close = get_close_matches(name, names, n=2, cutoff=0.5)
    if close:
        return " Did you mean " + " or ".join(repr(c) for c in close) + "?"
    return f" There are: {', '.join(sorted(names))}." if names else " There are none."
