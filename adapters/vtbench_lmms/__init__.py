"""The `lmms` adapter: any model registered in lmms-eval, in a process of its own.

lmms-eval changes the process that imports it: it resets loguru, turns warnings off, sets TF32, and sets an NCCL timeout
of 24 hours. Its models also need other versions of transformers than vtbench. So a model runs in a worker process,
under this interpreter or another one: `worker_script` loads and queries it, `worker_process` exchanges lines of JSON
with the script over pipes, and `adapter` turns samples into requests and replies into outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vtbench.hookspecs import hookimpl
from vtbench.settings import accepts
from vtbench_lmms.arguments import LmmsArguments

if TYPE_CHECKING:
    from vtbench.adapter import Adapter


@accepts(LmmsArguments, others=True)
def lmms(**arguments: Any) -> Adapter:
    """Any model of lmms-eval: `model=huggingface,pretrained=<directory or hub name>`.

    The arguments are the fields of `LmmsArguments` and those of the model in lmms-eval.

    Raises:
        AdapterError: lmms-eval is missing, has no such model, or cannot load it.
    """
    from vtbench_lmms.adapter import start
    from vtbench_lmms.arguments import checked_arguments

    return start(*checked_arguments(arguments))


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer `lmms`."""
    return {"lmms": lmms}
