"""The JSON document of a command with `--json`: standard output holds it and nothing else.

Libraries print: Ray its warnings, tokenizers and drivers theirs, from Python, from C and from child processes. Under
`json_only` all of that goes to standard error, and the document is printed at the end.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from contextvars import ContextVar
from typing import Any

from vtbench.console.terminal import say

_OUTPUT, _ERRORS = 1, 2
"""File descriptors of standard output and standard error."""
_held: ContextVar[list[str] | None] = ContextVar("held", default=None)
"""Documents that wait for the end of `json_only`; None outside of it."""


def say_json(document: Any) -> None:
    """Print a document on standard output; under `json_only` when that ends.

    Raises:
        ValueError: a number is NaN or infinite, which JSON has not.
    """
    text = json.dumps(document, allow_nan=False)
    held = _held.get()
    if held is None:
        say(text)
    else:
        held.append(text)


@contextmanager
def json_only(asked: bool) -> Iterator[None]:
    """Send to standard error whatever is written to standard output, and print what `say_json` was given at the end.

    Args:
        asked: whether to do so; within another `json_only` nothing is left to do.
    """
    if not asked or _held.get() is not None:
        yield
        return
    held: list[str] = []
    token = _held.set(held)
    try:
        with _output_to_errors():
            yield
    finally:
        _held.reset(token)
        for text in held:
            say(text)


@contextmanager
def _output_to_errors() -> Iterator[None]:
    """Write to standard error what Python, C and child processes write to standard output."""
    output = sys.stdout
    _flush(output)
    try:
        kept = os.dup(_OUTPUT)
    except OSError:  # closed by whoever started us
        kept = None
    if kept is not None:
        send_output_to_errors()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _flush(output)  # of those who had `sys.stdout` before
        if kept is not None:
            os.dup2(kept, _OUTPUT)
            os.close(kept)


def send_output_to_errors() -> None:
    """Let file descriptor 1 lead to standard error from here on: when Python exits, libraries print too."""
    with suppress(OSError):  # without a standard error
        os.dup2(_ERRORS, _OUTPUT)


def _flush(output: Any) -> None:
    if output is not None:
        output.flush()
    with suppress(OSError, AttributeError, TypeError):  # no C library by this way, as on Windows
        ctypes.CDLL(None).fflush(None)
