"""The scores of redundancy in words: a sentence for each, and what is available beside what is used.

It reads scores as results.json has them, and imports neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vtbench.console.formatting import number
from vtbench.report import environment

Score = Mapping[str, Any]


def meanings_section(scores: Mapping[str, Mapping[str, Score]]) -> str | None:
    """Return the section of a run's report; None where no task has a score of redundancy.

    Args:
        scores: by task, as results.json has them.
    """
    tasks = {task: meanings(of_task) for task, of_task in scores.items()}
    if not any(tasks.values()):
        return None
    return environment("vtbench_redundancy").get_template("meanings.html.jinja").render(tasks=tasks)


def meanings(scores: Mapping[str, Score]) -> list[tuple[str, str]]:
    """Return a task's scores of redundancy that have a value, each with a sentence that says what it means.

    >>> meanings({"n_eff_16": {"value": 6.4, "detail": {}}})
    [('n_eff_16', '16 tokens, drawn at random, say as much as 6.4 tokens would that repeat nothing.')]
    """
    found = [
        (name, sentence(scores[name]))
        for name, sentence in _SENTENCES.items()
        if name in scores and scores[name]["value"] is not None
    ]
    used = scores.get("cue_information", {}).get("detail", {}).get("used")
    return [*found, ("used", _used(used))] if used else found


def available_and_used(scores: Mapping[str, Mapping[str, Score]]) -> Iterator[str]:
    """Yield a line for each task that has a cue information and closed answers.

    Args:
        scores: by task, as results.json has them.
    """
    for task, of_task in scores.items():
        cues = of_task.get("cue_information", {})
        used, available = (cues.get("detail", {}).get(key) for key in ("used", "available"))
        if used and available:
            yield (
                f"{task}: available in the tokens {cues['value']:.2f} nats about the scene's cues "
                f"({number(available['share'], True)} % of all), used by the answers {number(used['value'], True)} % "
                "of the way from chance to every answer right"
            )


def _rs(score: Score) -> str:
    target = _target(score)
    if score["value"] < 0:
        return f"Read together, the tokens say more about {target} than the sum of what each says alone."
    return (
        f"Summed token by token, {number(score['value'], True)} % of the information about {target} is lost to "
        "repetition when the tokens are read together."
    )


def _discarded(score: Score) -> str:
    return (
        f"A linear reader does not find {number(score['value'], True)} % of the information about {_target(score)} in "
        "the tokens."
    )


def _cues(score: Score) -> str:
    available, text = score["detail"].get("available"), "The tokens say"
    said = f"{text} {score['value']:.2f} nats about which objects there are and where"
    if not available:
        return f"{said}: less than three times its standard error, so possibly nothing."
    said += f": {number(available['share'], True)} % of all that a scene's counts and places hold at this resolution"
    half = _at_half(score["detail"].get("curve", ()))
    return f"{said}; half of the tokens keep {number(half, True)} % of it." if half is not None else f"{said}."


def _at_half(curve: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the share that half of the tokens keep, None without such a row."""
    at = {row["tokens"]: row["value"] for row in curve}
    return at.get(max(at) / 2) if at else None


def _used(used: Mapping[str, Any]) -> str:
    return (
        f"The answers go {number(used['value'], True)} % of the way from a guess ({number(used['chance'], True)} % "
        f"right) to every answer right: {number(used['accuracy'], True)} % are right."
    )


def _target(score: Score) -> str:
    named = [word for word in str(score["detail"].get("protocol", "")).split() if word.startswith("target=")]
    return named[0].removeprefix("target=") if named else "the pixels"


_SENTENCES: Mapping[str, Callable[[Score], str]] = {
    "rs": _rs,
    "n_eff_16": lambda score: (
        f"16 tokens, drawn at random, say as much as {score['value']:.1f} tokens would that repeat nothing."
    ),
    "discarded": _discarded,
    "cue_information": _cues,
}
