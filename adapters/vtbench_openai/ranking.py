"""Likelihoods of given answers: replies to prompts that end in them in, log p of each answer out.

A question is asked with each choice as the beginning of the assistant's answer, and the log-probabilities of the prompt
are asked for, as vLLM's server gives them. What lies behind the bare question's length is the choice.
"""

from __future__ import annotations

from collections.abc import Sequence

from vtbench.errors import SampleError
from vtbench_openai.replies import Reply, prompt_tokens


def why_not(bare: Reply, begun: Reply) -> str | None:
    """Say why an endpoint cannot rank, None if it can.

    Args:
        bare: its reply to a question.
        begun: its reply to the same question with an answer begun.
    """
    try:
        question, answer = prompt_tokens(bare), prompt_tokens(begun)
    except SampleError as error:
        return str(error)
    if bare.tokens_in != len(question):
        return "the endpoint counts a prompt's tokens otherwise than it scores them"
    # Not so where the template writes something between them, or the tokenizer merges across the seam.
    if len(answer) <= len(question) or not _same(question, answer[: len(question)]):
        return "an answer that is begun does not follow the prompt as it is"
    return None


def scores(length: int, replies: Sequence[Reply]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return log p of each choice in nats, and how many tokens it has.

    Args:
        length: of the bare question, in tokens.
        replies: to the question with each choice begun.

    Raises:
        SampleError: the prompts differ within the question, or a choice has no token of its own.
    """
    prompts = [prompt_tokens(reply) for reply in replies]
    for prompt in prompts:
        if len(prompt) <= length or not _same(prompt[:length], prompts[0][:length]):
            raise SampleError("the choices cannot be told from the question in the prompt's tokens")
    choices = [prompt[length:] for prompt in prompts]
    return tuple(sum(logprob for _, logprob in choice) for choice in choices), tuple(map(len, choices))


def _same(one: Sequence[tuple[str, float]], other: Sequence[tuple[str, float]]) -> bool:
    return [token for token, _ in one] == [token for token, _ in other]
