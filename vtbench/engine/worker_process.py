"""The process of one worker: `python -m vtbench.engine.worker_process FD`. `ProcessPool` starts it and calls it.

In: (method of `RemoteWorker`, arguments), pickled, over the socket FD. Out: (whether it succeeded, result or error).
It ends when the other end of the socket is closed, so when the run ends for any reason.
"""

from __future__ import annotations

import os
import pickle
import sys
from multiprocessing.connection import Connection
from typing import Any

from vtbench.engine.allocator import keep_freed_memory
from vtbench.engine.remote_worker import RemoteWorker


def serve(connection: Connection) -> None:
    """Answer calls until the other end is closed."""
    worker = RemoteWorker()
    while True:
        try:
            method, arguments = connection.recv()
            answer = _call(worker, method, arguments)
            connection.send_bytes(answer)
        except (EOFError, ConnectionError):
            return


def _call(worker: RemoteWorker, method: str, arguments: tuple[Any, ...]) -> bytes:
    """Return the pickled answer of a call; an error that cannot be pickled becomes one that can."""
    try:
        return pickle.dumps((True, getattr(worker, method)(*arguments)))
    except Exception as error:
        try:
            answer = pickle.dumps((False, error))
            pickle.loads(answer)  # an error whose constructor takes other arguments is pickled, and cannot be read
            return answer
        except Exception:
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


if __name__ == "__main__":
    os.dup2(2, 1)  # what a library prints goes with the errors
    keep_freed_memory()
    serve(Connection(int(sys.argv[1])))
