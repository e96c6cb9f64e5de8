"""What an endpoint answered: a reply's text in, checked parts of it out. Anything else than an answer is an error."""

from __future__ import annotations

from pydantic import BaseModel, Field, ValidationError

from vtbench.errors import SampleError


class Message(BaseModel):
    """What the assistant says."""

    content: str | None = None


class Choice(BaseModel):
    """One answer."""

    message: Message
    finish_reason: str | None = None


class Usage(BaseModel):
    """Tokens as the endpoint counts them, and bills them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Logprob(BaseModel):
    """A prompt token's log-probability, in nats."""

    logprob: float


class Reply(BaseModel):
    """A chat completion: as much of it as is used."""

    choices: list[Choice] = Field(min_length=1)
    usage: Usage | None = None
    prompt_logprobs: list[dict[str, Logprob] | None] | None = None
    """vLLM's: for each token of the prompt, a mapping from the token's id; None for the first."""

    @property
    def tokens_in(self) -> int | None:
        """Length of the prompt, None where the endpoint does not say."""
        return self.usage.prompt_tokens if self.usage else None

    @property
    def tokens_out(self) -> int | None:
        """Length of the answer, with the token that ends it; None where the endpoint does not say."""
        return self.usage.completion_tokens if self.usage else None


def parsed(content: str) -> Reply:
    """Read a reply.

    Raises:
        SampleError: it is no chat completion.
    """
    try:
        return Reply.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        begin = " ".join(content[:80].split())
        where = ".".join(map(str, first["loc"]))
        what = f"{where}: {first['msg']}" if where else "it is not JSON"
        raise SampleError(f"the reply is no chat completion ({what}); it begins {begin!r}") from error


def text(reply: Reply) -> str:
    """Return the answer, without space around it.

    An empty answer is the model's own where it ended it by itself, with a token that says so; anything else that comes
    without text (a filter, thoughts that took all tokens, a fault behind a proxy) is no answer.

    Raises:
        SampleError: there is no answer.
    """
    choice = reply.choices[0]
    said = choice.message.content
    tokens = reply.tokens_out or 0
    if said or (said == "" and choice.finish_reason == "stop" and tokens > 0):
        return said.strip()
    reason = f"finish_reason {choice.finish_reason}, {tokens} tokens"
    hint = "; its tokens went elsewhere, into thoughts perhaps" if choice.finish_reason == "length" else ""
    raise SampleError(f"the endpoint answered without text ({reason}){hint}")


def prompt_tokens(reply: Reply) -> list[tuple[str, float]]:
    """Return the prompt's tokens: the id and the log-probability of each after those before it, 0 for the first.

    Raises:
        SampleError: the endpoint gives no log-probabilities of prompts.
    """
    rows = reply.prompt_logprobs or []
    if len(rows) < 2 or not all(rows[1:]):
        raise SampleError("the endpoint gives no log-probabilities of prompts")
    # Beside the prompt's own token, which is the first, a row may hold likelier ones.
    return [("", 0.0)] + [next((token, entry.logprob) for token, entry in row.items()) for row in rows[1:] if row]
