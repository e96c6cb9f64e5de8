"""The worker process as its parent sees it: starts it, sends requests, reads replies, and ends it."""

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
from vtbench.runs.secrets import SecretFilter

SCRIPT = Path(__file__).with_name("worker_script.py")
_EXIT_SECONDS = 5.0
"""How long the worker may take to exit after its input has ended."""


class WorkerProcess:
    """A process with one model of lmms-eval.

    Args:
        python: interpreter that runs the script.
        secrets: strings that no message may contain.

    Raises:
        AdapterError: there is no such interpreter.
    """

    def __init__(self, python: str, secrets: Collection[str] = ()) -> None:
        self._without_secrets = SecretFilter(secrets)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, open as long as the process
        self._log_start = 0
        try:
            # A session of its own: Ctrl-C reaches vtbench only, which then ends the worker and all of its children.
            self._process = subprocess.Popen(
                [python, str(SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                encoding="utf-8",
                start_new_session=True,
            )
        except OSError as error:
            self._log.close()
            raise AdapterError(f"model 'lmms': python: {python} cannot be run ({error.strerror})") from error

    def request(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for the reply.

        Raises:
            AdapterError: the process has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._log_start = os.fstat(self._log.fileno()).st_size
        line = ""
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(fields) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise AdapterError(
                f"model 'lmms': the worker process {self._exit()}{self.last_printed(' It last printed: ')}"
            )
        reply: dict[str, Any] = json.loads(line)
        return reply

    def last_printed(self, prefix: str) -> str:
        """Return `prefix` and the last line printed since the last request; an empty string if there is none."""
        self._log.seek(self._log_start)
        lines = re.split(r"[\r\n]+", self._log.read().decode(errors="replace"))
        printed = [line.strip() for line in lines if line.strip() and not _is_progress(line)]
        return f"{prefix}{self.redact(printed[-1][:300])}" if printed else ""

    def redact(self, text: str) -> str:
        """Return a text of the worker without secrets."""
        return self._without_secrets(text)

    def close(self) -> None:
        """End the process by closing its input; kill it and its children if it does not exit."""
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        try:
            self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def _exit(self) -> str:
        code = self._process.wait()
        if code >= 0:
            return f"exited with status {code}."
        name = signal.Signals(-code).name
        hint = ", perhaps because memory ran out" if -code == signal.SIGKILL else ""
        return f"was killed by {name}{hint}."


def _is_progress(line: str) -> bool:
    """Whether a line is a progress bar of tqdm."""
    return re.search(r"\d+%\||\d+(\.\d+)?(it/s|s/it)|\?it/s", line) is not None
