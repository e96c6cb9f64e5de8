"""The other end of the pipes: a worker process, a request in, its reply out, and what it last printed where it dies."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vtbench.errors import AdapterError
from vtbench.runs.provenance import HIDDEN

WORKER = Path(__file__).with_name("worker.py")
_PATIENCE = 5.0
"""Seconds that a worker gets to end by itself."""


class Worker:
    """A process that serves one model.

    Args:
        python: the interpreter that runs it.
        hidden: secrets that no message may show.

    Raises:
        AdapterError: there is no such interpreter.
    """

    def __init__(self, python: str, hidden: Collection[str] = ()) -> None:
        self._hidden = hidden
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, it lives as long as the process
        self._asked_at = 0
        try:
            # A session of its own: Ctrl-C ends vtbench, which ends the worker and all that the worker started.
            self._process = subprocess.Popen(
                [python, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                encoding="utf-8",
                start_new_session=True,
            )
        except OSError as error:
            self._log.close()
            raise AdapterError(f"--model lmms: python={python} cannot be run ({error.strerror})") from error

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for the reply.

        Raises:
            AdapterError: the worker is dead.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asked_at = os.fstat(self._log.fileno()).st_size
        line = ""
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise AdapterError(
                f"--model lmms: the worker with lmms-eval {self._end()}{self.printed(' It last printed: ')}"
            )
        reply: dict[str, Any] = json.loads(line)
        return reply

    def printed(self, before: str) -> str:
        """Return `before` and the last line that was printed since the last request; nothing where there was none."""
        self._log.seek(self._asked_at)
        lines = re.split(r"[\r\n]+", self._log.read().decode(errors="replace"))
        said = [line.strip() for line in lines if line.strip() and not _is_progress(line)]
        return f"{before}{self.clean(said[-1][:300])}" if said else ""

    def clean(self, text: str) -> str:
        """Return a text of the worker's without secrets."""
        for secret in self._hidden:
            text = text.replace(secret, HIDDEN)
        return text

    def close(self) -> None:
        """End the process: by its input's end, or by force with whatever it started."""
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def _end(self) -> str:
        code = self._process.wait()
        if code >= 0:
            return f"ended by itself (exit status {code})."
        name = signal.Signals(-code).name
        hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
        return f"was ended by {name}{hint}."


def _is_progress(line: str) -> bool:
    """Whether a line is one of tqdm's bars."""
    return re.search(r"\d+%\||\d+(\.\d+)?(it/s|s/it)|\?it/s", line) is not None
