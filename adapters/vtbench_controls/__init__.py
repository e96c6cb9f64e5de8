"""Readers whose scores are known beforehand, as adapters: they tell whether a benchmark measures seeing.

`oracle` reads the scene's geometry and must score 100. `blind`, `shuffled` and `bag_of_objects` lack what a question is
about and must sit at chance; `majority` gives one answer. `echo` is the smallest adapter, with every capability of a
model. `blind` and `shuffled` also wrap a real model: `--model blind --model-args model=llava`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vtbench.adapter import Adapter
from vtbench.errors import VtbenchError
from vtbench.hookspecs import hookimpl


def echo(text: object = None) -> Adapter:
    """Gives the question back, or a fixed `text`; visual tokens are the picture's patches."""
    from vtbench_controls.echo_adapter import Echo

    return Echo(text)


def oracle() -> Adapter:
    """Reads the scene's geometry: scores 100 wherever a benchmark is right."""
    from vtbench_controls.readers import Oracle

    return Oracle()


def bag_of_objects() -> Adapter:
    """Knows which objects are there, not where: at chance on relations."""
    from vtbench_controls.readers import BagOfObjects

    return BagOfObjects()


def majority() -> Adapter:
    """Always gives the first of the choices."""
    from vtbench_controls.readers import Majority

    return Majority()


def blind(model: str | None = None, device: str = "auto", dtype: str = "auto", **model_args: Any) -> Adapter:
    """Sees a grey picture: guesses from the question alone, or lets `model=NAME` do so."""
    from vtbench_controls.readers import Blind
    from vtbench_controls.wrapped import Wrapped, grey

    if model:
        return Wrapped("blind", grey, model, model_args, device, dtype)
    _refuse("blind", model_args)
    return Blind()


def shuffled(
    model: str | None = None,
    task_dir: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    **model_args: Any,
) -> Adapter:
    """Sees another sample's picture: reads that one's scene, or lets `model=NAME` look at it."""
    from vtbench_controls.readers import Shuffled
    from vtbench_controls.swap import Swap
    from vtbench_controls.wrapped import Wrapped

    swap = Swap(task_dir)
    if model:
        return Wrapped("shuffled", swap, model, model_args, device, dtype)
    _refuse("shuffled", model_args)
    return Shuffled(swap)


def _refuse(control: str, model_args: dict[str, Any]) -> None:
    if model_args:
        raise VtbenchError(f"model {control!r}: {next(iter(model_args))!r} is passed on to a model: add model=NAME.")


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """The controls."""
    return {
        "bag_of_objects": bag_of_objects,
        "blind": blind,
        "echo": echo,
        "majority": majority,
        "oracle": oracle,
        "shuffled": shuffled,
    }
