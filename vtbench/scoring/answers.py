"""Closed answers: whether the generated text is right, and whether the right choice has the highest probability.

The two differ if a model knows an answer but not its form: it ranks the right choice first and does not write it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import lru_cache

from vtbench.errors import SampleError
from vtbench.scoring.choices import parse_answer
from vtbench.scoring.normalise import plain
from vtbench.scoring.open_answers import open_answer
from vtbench.scoring.reasoning import final_answer, was_cut
from vtbench.types import AnswerType, Record, Sample


def answer_type(item: Sample | Record) -> AnswerType:
    """Return the form of a sample's answer: what it says itself, else `choice` with choices and `text` without."""
    return item.answer_type or ("choice" if item.choices else "text")


def true_choices(item: Sample | Record) -> tuple[str, ...]:
    """Return the choices that are right, in the order of the choices.

    A target or reference may differ from its choice in case, or by a synonym of the benchmark.

    Raises:
        SampleError: the target, or a reference, is none of the choices.
    """
    if not item.references and item.target in item.choices:
        return (item.target,)
    found = set()
    for role, answer in (("target", item.target), *(("reference", reference) for reference in item.references)):
        choice = answer if answer in item.choices else _parse(answer, item)
        if choice is None:
            raise SampleError(f"{item.id}: the {role} {answer!r} is none of the choices {list(item.choices)}.")
        found.add(choice)
    return tuple(dict.fromkeys(choice for choice in item.choices if choice in found))


def right_answers(item: Sample | Record) -> frozenset[str]:
    """Return the right answers in the form in which `exact_match` returns an answer.

    Raises:
        SampleError: the target, or a reference, is none of the choices.
    """
    if item.choices:
        return frozenset(true_choices(item))
    found = _plain_answers((item.target, *item.references))
    for answer, words in item.synonyms.items():
        alike = _plain_answers((answer, *words))
        found = found | alike if found & alike else found
    return found


@lru_cache(maxsize=4096)
def _plain_answers(texts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(filter(None, map(plain, texts)))


def exact_match(text: str | None, sample: Sample) -> tuple[str | None, bool]:
    """Return the answer parsed from a text, and whether it is right: it fits the target or one of the references.

    With choices, the answer is one of them or None (unparsed, which is wrong). Without choices, it is the text as
    `plain` folds it, or the answer that it states, which must equal a right answer in the same form; a text that is
    empty, refuses or contradicts itself is unparsed. Reasoning before the answer is left out, and reasoning without an
    end is no answer.

    Raises:
        SampleError: the target, or a reference, is none of the choices.
    """
    right = right_answers(sample)
    if sample.choices:
        answer = given_choice(text, sample)
        return answer, answer in right
    return open_answer(final_answer(text) or "", right)


def given_choice(text: str | None, item: Sample | Record) -> str | None:
    """Return the choice that a text gives, by its words or by the letter that the prompt gave it; None if unparsed."""
    if not item.labels:
        return _parse(text, item)
    lines = {f"{label}. {choice}": choice for label, choice in sorted(zip(item.labels, item.choices, strict=True))}
    synonyms = {line: item.synonyms[choice] for line, choice in lines.items() if choice in item.synonyms}
    line = parse_answer(text, tuple(lines), bool(item.scene_hash), synonyms)
    return None if line is None else lines[line]


def _parse(text: str | None, item: Sample | Record) -> str | None:
    return parse_answer(text, item.choices, bool(item.scene_hash), item.synonyms)


def unusable_shares(records: Sequence[Record]) -> dict[str, float]:
    """Return the shares of answers that were cut, and of those that no metric could read; only those above 0.

    Returns:
        `cut`: of all texts. `unparsed`: of all that a metric parsed, `accuracy` or `scene_graph` for example.
    """
    texts = [record for record in records if record.output is not None]
    cut = sum(was_cut(record.output, record.finish_reason) for record in texts)
    parsed = [verdict for record in texts if (verdict := was_parsed(record)) is not None]
    shares = {"cut": cut / max(len(texts), 1), "unparsed": parsed.count(False) / max(len(parsed), 1)}
    return {name: share for name, share in shares.items() if share}


def was_parsed(record: Record) -> bool | None:
    """Return whether the metrics could parse an answer; None if none of them tried."""
    for observation in record.scores.values():
        if "answer" in observation:
            return observation["answer"] is not None
        if "parsed" in observation:
            return bool(observation["parsed"])
    return None


def rank_credit(logprobs: Sequence[float] | None, right: Collection[int], tokens: Sequence[int] | None = None) -> float:
    """Return the credit of a ranking: 1.0 if a right choice has the highest log-probability, else 0.0.

    If k choices tie for the highest and r of them are right, the credit is r/k, its expectation under a random choice,
    so a model that ranks all choices alike scores at chance.

    Args:
        logprobs: one per choice, in nats, summed over its tokens; None or any NaN counts as wrong.
        right: indices of the right choices.
        tokens: number of tokens of each choice; if given, log-probabilities are compared per token
            (length-normalised).
    """
    if logprobs is None or any(math.isnan(value) for value in logprobs):
        return 0.0
    values = list(logprobs) if tokens is None else [v / max(n, 1) for v, n in zip(logprobs, tokens, strict=True)]
    best = max(values)
    return sum(values[i] == best for i in right) / values.count(best)
