"""Control adapters, whose expected scores are known: they test whether a benchmark measures seeing.

`oracle` answers from the scene's geometry and must score 100. `blind`, `shuffled` and `bag_of_objects` lack what a
question is about and must score at chance; `majority` always gives the same choice; `colour_prior` gives an object the
colour that it usually has; `question_words` learns what questions give away. `echo` is a minimal adapter with
every capability. `blind` and `shuffled` can also wrap a real model: `--model blind --model-args model=llava`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vtbench.errors import VtbenchError
from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.adapter import Adapter


def echo(text: object = None) -> Adapter:
    """Repeats the question, or a fixed `text`; its visual tokens are the image's patches."""
    from vtbench_controls.echo_adapter import Echo

    return Echo(text)


def oracle() -> Adapter:
    """Answers from the scene's geometry: scores 100 if the benchmark is correct."""
    from vtbench_controls.symbolic import Oracle

    return Oracle()


def bag_of_objects() -> Adapter:
    """Knows which objects are in the scene, but not where: at chance on relations."""
    from vtbench_controls.symbolic import BagOfObjects

    return BagOfObjects()


def colour_prior() -> Adapter:
    """Says the colour that a cut-out had before it was re-tinted: at chance on natural scenes."""
    from vtbench_controls.symbolic import ColourPrior

    return ColourPrior()


def question_words(train: int = 2000, task_dir: str | None = None) -> Adapter:
    """Learns what a question's words say of its answer, from `train` other items: at chance if they say nothing."""
    from vtbench_controls.item_tasks import ItemTasks
    from vtbench_controls.question_statistic import QuestionWords

    if isinstance(train, bool) or not isinstance(train, int) or train < 1:
        raise VtbenchError(f"model 'question_words': train must be a whole number of at least 1, not {train!r}")
    return QuestionWords(ItemTasks("question_words", task_dir), train)


def majority() -> Adapter:
    """Always gives the first of the choices."""
    from vtbench_controls.symbolic import Majority

    return Majority()


def blind(model: str | None = None, device: str = "auto", dtype: str = "auto", **model_args: Any) -> Adapter:
    """Sees a grey image: guesses from the question alone, or passes the image to `model=NAME`."""
    from vtbench_controls.perturbation import PerturbedAdapter, grey_images
    from vtbench_controls.symbolic import Blind

    if model:
        return PerturbedAdapter("blind", grey_images, model, model_args, device, dtype)
    _refuse_model_args("blind", model_args)
    return Blind()


def shuffled(
    model: str | None = None,
    task_dir: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    **model_args: Any,
) -> Adapter:
    """Sees another sample's image: answers from its scene, or passes the image to `model=NAME`."""
    from vtbench_controls.perturbation import PerturbedAdapter, SwappedImages
    from vtbench_controls.symbolic import Shuffled

    swap = SwappedImages(task_dir)
    if model:
        return PerturbedAdapter("shuffled", swap, model, model_args, device, dtype)
    _refuse_model_args("shuffled", model_args)
    return Shuffled(swap)


def _refuse_model_args(control: str, model_args: dict[str, Any]) -> None:
    if model_args:
        raise VtbenchError(
            f"model {control!r}: {next(iter(model_args))} is an argument of a wrapped model: add model=NAME"
        )


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer the controls."""
    return {
        "bag_of_objects": bag_of_objects,
        "blind": blind,
        "colour_prior": colour_prior,
        "echo": echo,
        "majority": majority,
        "oracle": oracle,
        "question_words": question_words,
        "shuffled": shuffled,
    }
