"""A chat completion, parsed and checked: the answer's text, and the log-likelihoods of given answers.

To rank answers, the prompt is sent once with each choice prefilled as the beginning of the assistant's answer, and the
log-probabilities of the prompt's tokens are requested, as vLLM's server gives them. The tokens of a choice are those
after the length of the prompt without a choice.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field, ValidationError

from vtbench.errors import SampleError


class Message(BaseModel):
    """The assistant's message."""

    content: str | None = None


class Choice(BaseModel):
    """One answer."""

    message: Message
    finish_reason: str | None = None


class Usage(BaseModel):
    """Token counts of the endpoint, which it also bills."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Logprob(BaseModel):
    """Log-probability of a prompt token, in nats."""

    logprob: float


class Response(BaseModel):
    """The fields of a chat completion that are used."""

    choices: list[Choice] = Field(min_length=1)
    usage: Usage | None = None
    prompt_logprobs: list[dict[str, Logprob] | None] | None = None
    """An extension of vLLM: for each prompt token a mapping from token ids; None for the first token."""

    @property
    def tokens_in(self) -> int | None:
        """Number of prompt tokens; None if the endpoint does not tell."""
        return self.usage.prompt_tokens if self.usage else None

    @property
    def tokens_out(self) -> int | None:
        """Number of completion tokens, the end token included; None if the endpoint does not tell."""
        return self.usage.completion_tokens if self.usage else None


def parse_response(body: str) -> Response:
    """Parse the body of a response.

    Raises:
        SampleError: it is not a chat completion.
    """
    try:
        return Response.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        begin = " ".join(body[:80].split())
        field = ".".join(map(str, first["loc"]))
        problem = f"{field}: {first['msg']}" if field else "it is not JSON"
        raise SampleError(f"the response is no chat completion ({problem}); it begins {begin!r}") from error


def answer_text(response: Response) -> str:
    """Return the answer, stripped of surrounding space.

    An empty answer counts as the model's own if the model ended it with an end token. A response that has no text for
    another reason (a content filter, reasoning that took all tokens, a fault behind a proxy) is an error.

    Raises:
        SampleError: the response has no answer.
    """
    choice = response.choices[0]
    content = choice.message.content
    tokens = response.tokens_out or 0
    if content or (content == "" and choice.finish_reason == "stop" and tokens > 0):
        return content.strip()
    reason = f"finish_reason {choice.finish_reason}, {tokens} tokens"
    hint = "; the model may have spent its tokens on reasoning" if choice.finish_reason == "length" else ""
    raise SampleError(f"the endpoint answered without text ({reason}){hint}")


def prompt_tokens(response: Response) -> list[tuple[str, float]]:
    """Return the id and the conditional log-probability of each prompt token; ("", 0.0) for the first.

    Raises:
        SampleError: the response has no log-probabilities of the prompt.
    """
    rows = response.prompt_logprobs or []
    if len(rows) < 2 or not all(rows[1:]):
        raise SampleError("the endpoint gives no log-probabilities of prompts")
    # The first entry of a row is the prompt's own token; likelier tokens may follow it.
    return [("", 0.0)] + [next((token, entry.logprob) for token, entry in row.items()) for row in rows[1:] if row]


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
