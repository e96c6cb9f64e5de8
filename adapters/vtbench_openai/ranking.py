"""Log-likelihoods of given answers, from log-probabilities of prompts.

To rank answers, the prompt is sent once with each choice prefilled as the beginning of the assistant's answer, and the
log-probabilities of the prompt's tokens are requested, as vLLM's server gives them. The tokens of a choice are those
after the length of the prompt without a choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vtbench.errors import SampleError
from vtbench_openai.response import Response


def prompt_tokens(response: Response) -> list[tuple[str, float]]:
    """Return the id and the conditional log-probability in nats of each prompt token; ("", 0.0) for the first.

    Raises:
        SampleError: the response has no log-probabilities of the prompt.
    """
    rows = response.prompt_logprobs
    if len(rows) < 2:
        raise SampleError("the endpoint gives no log-probabilities of prompts")
    return [("", 0.0), *map(_own_token, rows[1:])]


def _own_token(row: object) -> tuple[str, float]:
    """Return the first entry of a row, which is the prompt's own token; likelier tokens may follow it."""
    if isinstance(row, Mapping) and row:
        token, entry = next(iter(row.items()))
        logprob = entry.get("logprob") if isinstance(entry, Mapping) else None
        if isinstance(logprob, (int, float)) and not isinstance(logprob, bool):
            return token, float(logprob)
    raise SampleError("the endpoint gives no log-probabilities of prompts")


def ranking_problem(bare: Response, prefilled: Response) -> str | None:
    """Return why an endpoint cannot rank answers; None if it can.

    Args:
        bare: its response to a prompt.
        prefilled: its response to the same prompt with the beginning of an answer.
    """
    try:
        prompt, whole = prompt_tokens(bare), prompt_tokens(prefilled)
    except SampleError as error:
        return str(error)
    if bare.tokens_in != len(prompt):
        return "the endpoint's token count of a prompt differs from the number of its log-probabilities"
    # Fails if the chat template inserts text between the two, or the tokenizer merges tokens across the boundary.
    if len(whole) <= len(prompt) or not _same_ids(prompt, whole[: len(prompt)]):
        return "a prefilled answer does not directly follow the prompt's tokens"
    return None


def choice_likelihoods(prompt_length: int, responses: Sequence[Response]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return the log-likelihood in nats and the number of tokens of each choice.

    Args:
        prompt_length: of the prompt without a choice, in tokens.
        responses: to the prompt with each choice prefilled.

    Raises:
        SampleError: the prompts differ within `prompt_length`, or a choice has no token of its own.
    """
    prompts = [prompt_tokens(response) for response in responses]
    for prompt in prompts:
        if len(prompt) <= prompt_length or not _same_ids(prompt[:prompt_length], prompts[0][:prompt_length]):
            raise SampleError("the tokens of the choices cannot be told from those of the prompt")
    choices = [prompt[prompt_length:] for prompt in prompts]
    return tuple(sum(logprob for _, logprob in choice) for choice in choices), tuple(map(len, choices))


def _same_ids(one: Sequence[tuple[str, float]], other: Sequence[tuple[str, float]]) -> bool:
    return [token for token, _ in one] == [token for token, _ in other]
