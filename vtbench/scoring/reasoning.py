"""Separates what a model wrote before its answer from the answer, in texts that hold both.

    "<think>It could be no.</think> yes" -> ("<think>It could be no.</think>", "yes")

`record.output` keeps the whole text; metrics read the answer alone.
"""

from __future__ import annotations

import re

_WORDS = "think|thinking|thought|thoughts|reasoning|reflection|seed:think"
_OPENING = re.compile(
    rf"<(?:{_WORDS})>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|channel>thought|<unused94>", re.IGNORECASE
)
_CLOSING = re.compile(
    rf"</(?:{_WORDS})>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<channel\|>|<unused95>", re.IGNORECASE
)
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*<\|message\|>")
"""Heads a part of a text in OpenAI's harmony format: `analysis`, `commentary` or `final`."""
_BARE_CHANNELS = re.compile(r"\s*analysis.*assistant\s*final", re.DOTALL)
"""The same format after its special tokens were dropped."""
_ANSWER_TAG = re.compile(r"<(answer|conclusion)>(.*?)(?:</\1>|$)", re.DOTALL | re.IGNORECASE)
_MARKS = ("<", "[", "◁", "assistant")
"""One of these is in every text that has reasoning or special tokens."""
_END = re.compile(
    r"(?:(?:</s>|<\|[\w/ -]{1,40}\|>|<eos>|<pad>|<end_of_turn>|<turn\|>|<end_of_utterance>|<｜[^｜<>]{1,40}｜>"
    r"|\[EOS\]|\[/INST\])\s*)+$"
)
"""Special tokens at the end of a text."""
_START = re.compile(r"\s*(?:<s>|<bos>|<\|im_start\|>\s*assistant\s|<\|start\|>assistant)+\s*")


def split_reasoning(text: str) -> tuple[str, str | None]:
    """Return the part of a text up to the end of its reasoning, and the answer without special tokens at its ends.

    Everything before the last end of a reasoning block is reasoning, whether the text has the block's beginning or
    not (chat templates may write it into the prompt). If nothing follows, the answer is what stands outside the blocks.

    Returns:
        The answer is None if a block has no end: the text was cut before the answer.

    >>> split_reasoning("<think>yes or no?</think> No.</s>")
    ('<think>yes or no?</think>', 'No.')
    >>> split_reasoning("<think>yes or")
    ('<think>yes or', None)
    """
    if not any(mark in text for mark in _MARKS):
        return "", text
    reasoning, answer = _split(text)
    if answer is None:
        return reasoning, None
    if found := _ANSWER_TAG.findall(answer):
        answer = found[-1][1]
    bare = _START.sub("", _END.sub("", answer), count=1).strip()
    return reasoning, bare or answer.strip()  # `</s>` alone may be the answer to a question about HTML


def final_answer(text: str | None) -> str | None:
    """Return the answer of `split_reasoning`; None if there is none."""
    return None if text is None else split_reasoning(text)[1]


def was_cut(text: str | None, finish_reason: str | None) -> bool:
    """Return whether an answer was cut: the engine says so, or its reasoning has no end."""
    return finish_reason == "length" or (text is not None and split_reasoning(text)[1] is None)


def opened_reasoning(prompt: str) -> str:
    r"""Return the tag with which the end of a prompt opens a block of reasoning; empty where it leaves none open.

    A chat template may write the tag into the prompt; an answer that was cut has then neither beginning nor end.

    >>> opened_reasoning("<|im_start|>assistant\n<think>\n"), opened_reasoning("<think>\n\n</think>\n\n")
    ('<think>', '')
    """
    end = max((found.end() for found in _CLOSING.finditer(prompt)), default=0)
    opening = _OPENING.search(prompt, end)
    return opening[0] if opening else ""


def _split(text: str) -> tuple[str, str | None]:
    if channels := list(_CHANNEL.finditer(text)):
        last = channels[-1]
        return (text[: last.end()], text[last.end() :]) if last[1] == "final" else (text, None)
    if bare := _BARE_CHANNELS.match(text):
        return bare[0], text[bare.end() :]
    closings = list(_CLOSING.finditer(text))
    end = closings[-1].end() if closings else 0
    rest = text[end:]
    if _OPENING.search(rest):
        return text, None
    if not closings or _END.sub("", rest).strip():
        return text[:end], rest
    # The answer may stand before its reasoning: "yes <think>...</think>".
    outside, start = "", 0
    for closing in closings:
        opening = _OPENING.search(text, start, closing.start())
        outside = outside + text[start : opening.start()] if opening else ""
        start = closing.end()
    return text[:end], outside + rest
