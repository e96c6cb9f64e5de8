"""Formats numbers for tables and reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vtbench.adapter import PLAIN


def number(value: float | None, percent: bool) -> str:
    """Format a score: as a percentage with one digit, or with three digits.

    >>> number(0.5125, percent=True), number(1.25, percent=False), number(None, percent=True)
    ('51.2', '1.250', '-')
    """
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if percent else f"{value:.3f}"


def interval_text(ends: Sequence[float] | None, percent: bool) -> str:
    """Format an interval; nothing without one. A dash between the ends would read as a minus where one is below 0.

    >>> interval_text((0.512, 0.6), percent=True), interval_text((-0.1, 0.2), percent=False), interval_text(None, True)
    ('51.2–60.0', '-0.100 to 0.200', '')
    """
    return "" if ends is None else ("–" if min(ends) >= 0 else " to ").join(number(end, percent) for end in ends)


def p_text(p: float | None) -> str:
    """Format a p-value.

    >>> p_text(0.04213), p_text(1e-9), p_text(None)
    ('0.042', '<0.001', '')
    """
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def signed(value: float | None, percent: bool) -> str:
    """Format a difference with its sign.

    >>> signed(0.021, percent=True), signed(-0.1, percent=False), signed(None, percent=True)
    ('+2.1', '-0.100', '-')
    """
    return "-" if value is None else ("+" if value >= 0 else "") + number(value, percent)


def unusable_answers(shares: Mapping[str, float], max_new_tokens: int | None = None) -> str:
    """Format the shares of answers that were cut or could not be parsed.

    >>> unusable_answers({"cut": 0.25, "unparsed": 0.5}, 8)
    '25.0 % of the answers were cut off (max_new_tokens is 8), 50.0 % unparsed'
    """
    limit = f" (max_new_tokens is {max_new_tokens})" if max_new_tokens else ""
    texts = {
        "cut": "of the answers were cut off" + limit,
        "unparsed": "unparsed" if "cut" in shares else "of the answers unparsed",
    }
    # A share that rounds to nothing is still one.
    return ", ".join(f"{max(100 * share, 0.1):.1f} % {texts[name]}" for name, share in shares.items())


def unobserved_samples(part: Mapping[str, Any]) -> str:
    """Say on how many samples a metric stands that could not observe all of them, and why.

    >>> unobserved_samples({"samples": 3, "of": 60, "reasons": {"no visual tokens: too wide": 2, "NaN": 1}})
    'stands on 57 of 60 samples, not on: 2 (no visual tokens: too wide), 1 (NaN)'
    """
    reasons = ", ".join(f"{count} ({reason})" for reason, count in part["reasons"].items())
    return f"stands on {part['of'] - part['samples']} of {part['of']} samples, not on: {reasons}"


def left_out_scores(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the scores that a task's metrics could not make, and why, from the details of those that they made.

    >>> left_out_scores({"rs": {"detail": {"left_out": {"cue_information": "no scenes"}}}})
    {'cue_information': 'no scenes'}
    """
    return {name: why for score in scores.values() for name, why in (score["detail"].get("left_out") or {}).items()}


def spending(spent: Mapping[str, float]) -> str:
    """Format the tokens and cost that a task took of a model paid by tokens.

    >>> spending({"tokens_in": 8300, "tokens_out": 20, "cost": 0.012})
    '8,300 tokens in, 20 tokens out, cost 0.012'
    """
    texts = {name: f"{value:,} {name.replace('_', ' ')}" for name, value in spent.items()}
    return ", ".join({**texts, "cost": f"cost {spent['cost']:.4g}"}.values() if "cost" in spent else texts.values())


def asked_as(task: Mapping[str, Any], system: str | None = None) -> str:
    """Say how a run put a task's questions: the prompt format, the number of examples, whether with a system prompt.

    Args:
        task: the task's settings in results.json or run.json; a task without a format was asked in `plain`.
        system: the run's system prompt.

    >>> asked_as({"prompt_format": "instruct", "fewshot": {"k": 4}}, "Be brief.")
    'instruct · 4-shot · system prompt'
    >>> asked_as({"parts": [{"prompt_format": "instruct"}, {}]})
    'instruct/plain'
    """
    parts = ["/".join(dict.fromkeys(_formats(task)))]
    if fewshot := task.get("fewshot"):
        parts.append(f"{fewshot['k']}-shot")
    return " · ".join([*parts, "system prompt"] if system else parts)


def _formats(task: Mapping[str, Any]) -> Iterator[str]:
    if parts := task.get("parts"):  # of a mix, each part is asked in its own
        for part in parts:
            yield from _formats(part)
    else:
        yield str(task.get("prompt_format") or PLAIN)
