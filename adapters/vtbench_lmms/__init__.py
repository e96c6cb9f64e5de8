"""The `lmms` adapter: any model registered in lmms-eval, in a process of its own.

lmms-eval changes the process that imports it (it resets loguru, turns warnings off, sets TF32 and a 24 hour NCCL
time-out), and its models want other versions of transformers than vtbench does. So it runs in a worker that talks in
lines of JSON over pipes (`worker.py`), by this interpreter or by another one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.adapter import Adapter


def lmms(
    model: str | None = None,
    python: str | None = None,
    image_size: int | None = None,
    force_simple: bool = False,
    device: str = "auto",
    dtype: str = "auto",
    **model_args: Any,
) -> Adapter:
    """Any model of lmms-eval: `model=huggingface,pretrained=<directory or hub name>`.

    Args:
        model: its name in lmms-eval.
        python: interpreter of an environment that has lmms-eval; by default the one that runs vtbench.
        image_size: side in pixels of the pictures that tasks draw; by default what the checkpoint's config says.
        force_simple: take the older, `simple` class of a model that has two.
        device: `auto` leaves it to lmms-eval on a GPU, and says `cpu` where there is none.
        dtype: handed on to models that take one.
        **model_args: the model's own arguments, `pretrained` and `batch_size` among them.

    Raises:
        AdapterError: lmms-eval is missing, has no such model, or cannot load it; one line that says why.
    """
    from vtbench_lmms.adapter import start

    return start(model, python, image_size, force_simple, device, dtype, model_args)


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer `lmms`."""
    return {"lmms": lmms}
