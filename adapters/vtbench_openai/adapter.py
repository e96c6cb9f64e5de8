"""The adapter: outputs from the endpoint, visual tokens from a local checkpoint if one is named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

from vtbench.adapter import Traits, readable_prompt
from vtbench.console.terminal import visible, warn
from vtbench.errors import AdapterError, SampleError, nearest
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_openai.arguments import EndpointArguments
from vtbench_openai.batch_cache import BatchCache
from vtbench_openai.endpoint import Endpoint
from vtbench_openai.event_loop import EventLoopThread, gather_outcomes
from vtbench_openai.probe import Probe
from vtbench_openai.ranking import choice_likelihoods, ranking_problem
from vtbench_openai.request import chat_messages, generation_request, neutral_question, scoring_request
from vtbench_openai.response import Response, answer_text, parse_response


class OpenAIAdapter:
    """Queries the endpoint about all samples of a batch concurrently.

    If some samples fail, the outcomes of the whole batch are kept until the engine repeats it sample by sample: no
    request that was answered or given up is sent again.

    Args:
        settings: how the endpoint is queried.
        key: the API key, if any.

    Raises:
        AdapterError: the endpoint, the key, the model's name or the probe cannot be used.
    """

    def __init__(self, settings: EndpointArguments, key: str | None) -> None:
        self._settings, self._cache = settings, BatchCache()
        self._event_loop = EventLoopThread()
        self._endpoint = Endpoint(settings, key)
        self._probe: Probe | None = None
        try:
            self._served = self._event_loop.run(self._check_model())
            self._cannot_rank = self._event_loop.run(self._try_ranking())
            if settings.probe:
                self._probe = Probe(settings.probe, settings.device, settings.dtype)
        except BaseException:
            self.close()
            raise
        self.capabilities: frozenset[Capability] = frozenset({"generate", "context", "images"})
        self.capabilities |= {"rank"} if self._cannot_rank is None else set()
        self.capabilities |= {"visual_tokens"} if self._probe else set()
        self.traits = Traits(reasons=_reasons(settings), metered=True)
        self.layers: tuple[str, ...] = self._probe.layers if self._probe else ()
        self.image_size = settings.image_size or (self._probe.image_size if self._probe else None)

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer, at temperature 0 unless `--gen` says otherwise."""
        return self._query(samples, f"{max_new_tokens} tokens", lambda sample: self._answer(sample, max_new_tokens))

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Return log-likelihoods of each sample's choices.

        This takes one request for each choice, and one more for the prompt's length unless the sample was answered.
        """
        if "rank" not in self.capabilities:
            raise AdapterError(f"model 'openai' cannot rank here: {self._cannot_rank}")
        return self._query(samples, "rank", self._rank)

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the visual tokens that the probe computes."""
        if self._probe is None:
            raise AdapterError("an endpoint gives no visual tokens; name the checkpoint it serves: probe=<checkpoint>")
        return self._probe.visual_tokens(samples, layers)

    def describe(self) -> Mapping[str, Any]:
        """Return the facts that identify the model, as far as the endpoint tells them."""
        return {
            "checkpoint": self._settings.model or "",
            "endpoint": self._settings.base_url,
            "served_from": self._endpoint.hide.data(self._served.get("root")),
            "parameters": None,
            "device": "endpoint",
            "cannot_rank": self._cannot_rank,
            "probe": None if self._probe is None else self._probe.describe(),
            "versions": {"httpx2": metadata.version("httpx2")},
        }

    def close(self) -> None:
        """Close the connections, the event loop's thread, and the probe."""
        self._cache.clear()
        self._event_loop.run(self._endpoint.close())
        self._event_loop.close()
        if self._probe:
            self._probe.close()

    async def _check_model(self) -> Mapping[str, Any]:
        """Return the endpoint's entry of the model; an empty one if its list of models does not have it.

        A list may be incomplete (aliases, pages): the endpoint is then asked a question under this name.
        """
        settings, served = self._settings, await self._endpoint.models() or []
        names = sorted(self._endpoint.hide(visible(entry["id"])) for entry in served)
        if not settings.model:
            hint = f"one of {', '.join(names)}" if names else "the name of a model that it serves"
            raise AdapterError(f"model 'openai': {settings.base_url} needs model=NAME: {hint}")
        if found := [entry for entry in served if entry["id"] == settings.model]:
            return found[0]
        if names:
            hint = f" It has: {', '.join(names)}." if len(names) <= 20 else nearest(settings.model, names)
            if refusal := await self._endpoint.refusal_of_model():
                why = "" if refusal.startswith("404") else f" ({refusal})"
                raise AdapterError(f"model 'openai': {settings.base_url} has no model {settings.model!r}{why}.{hint}")
            warn(f"{settings.base_url} answers as {settings.model!r}, but does not list such a model.{hint}")
        return {}

    async def _try_ranking(self) -> str | None:
        """Return why the endpoint cannot rank, None if it can; found out with a question about a grey image."""
        messages = neutral_question()
        try:
            bare = await self._send(scoring_request(self._settings, messages))
            prefilled = await self._send(scoring_request(self._settings, messages, "yes"))
        except SampleError:
            if stopped := self._endpoint.stopped:
                raise stopped from None
            return "the endpoint does not accept prompt_logprobs"
        return ranking_problem(bare, prefilled)

    def _query(
        self, samples: Sequence[Sample], kind: str, query: Callable[[Sample], Awaitable[Output]]
    ) -> list[Output]:
        """Query the endpoint about every sample of a batch that has no outcome yet.

        If the endpoint stops to answer in the middle of a batch, the engine first gets the answers of the batch, sample
        by sample, so that they are stored, and the error that ends the run with the next batch.

        Raises:
            SampleError: at least one sample failed; the outcomes of the others are kept.
            AdapterError: the endpoint answers no more, and gave no answer to this batch.
        """
        if self._cache.begin(samples) and (stopped := self._endpoint.stopped):
            raise stopped
        missing = self._cache.missing(samples, kind)
        for sample, outcome in zip(missing, self._event_loop.run(gather_outcomes(query, missing)), strict=True):
            self._cache.store(sample, kind, outcome)
        if (stopped := self._endpoint.stopped) and not self._cache.has_outputs():
            raise stopped
        return self._cache.outputs(samples, kind)

    async def _answer(self, sample: Sample, max_tokens: int) -> Output:
        messages = await asyncio.to_thread(chat_messages, sample)
        response = await self._send(generation_request(self._settings, messages, max_tokens, sample))
        return Output(
            text=answer_text(response),
            tokens_in=response.tokens_in,
            tokens_out=response.tokens_out,
            cost=self._cost([response]),
            finish_reason=response.finish_reason,
            reasoning=response.reasoning,
            reasoning_tokens=response.reasoning_tokens,
            rendered_prompt=readable_prompt(sample),
        )

    async def _rank(self, sample: Sample) -> Output:
        messages = await asyncio.to_thread(chat_messages, sample)
        requests = [scoring_request(self._settings, messages, choice) for choice in sample.choices]
        length = self._cache.prompt_length(sample)
        if length is None:
            requests.append(generation_request(self._settings, messages, 1))
        responses = await asyncio.gather(*map(self._send, requests))
        length = length or responses[-1].tokens_in
        if not length:
            raise SampleError("the endpoint does not tell the number of the prompt's tokens, which ranking needs")
        logprobs, counts = choice_likelihoods(length, responses[: len(sample.choices)])
        return Output(
            logprobs=logprobs,
            logprob_tokens=counts,
            tokens_in=length,
            cost=self._cost(responses),
            rendered_prompt=readable_prompt(sample),
        )

    async def _send(self, fields: Mapping[str, Any]) -> Response:
        return parse_response(await self._endpoint.post(fields), self._endpoint.hide)

    def _cost(self, responses: Sequence[Response]) -> float | None:
        """Return the price of the requests; None if no prices were given, or the endpoint gave no counts of tokens."""
        costs = [self._settings.cost(response.tokens_in, response.tokens_out) for response in responses]
        return None if None in costs else sum(cost for cost in costs if cost is not None)


def _reasons(settings: EndpointArguments) -> bool:
    """Return whether the user asks the model to reason; what it does by default, an endpoint does not tell."""
    asked = {**(settings.chat_template_args or {}), **(settings.extra or {})}
    return any(asked.get(name) for name in ("enable_thinking", "thinking", "reasoning_effort", "reasoning"))
