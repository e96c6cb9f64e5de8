"""A model behind an HTTP endpoint: samples in, outputs out; visual tokens from a local checkpoint, if one is named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from PIL import Image

from vtbench.errors import AdapterError, SampleError, nearest
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_openai import messages
from vtbench_openai.background import Background
from vtbench_openai.endpoint import Endpoint
from vtbench_openai.memo import Memo
from vtbench_openai.ranking import scores, why_not
from vtbench_openai.replies import Reply, parsed, text
from vtbench_openai.settings import Settings

if TYPE_CHECKING:
    from vtbench_openai.probe import Probe


class OpenAIAdapter:
    """Asks about all samples of a batch side by side.

    Where some of them fail, the others' answers are kept until the loop asks for them one by one: no request that was
    answered, or was given up, is sent again.

    Args:
        settings: how the endpoint is asked.
        make_probe: makes what gives visual tokens, or nothing. Called when the endpoint has answered.

    Raises:
        AdapterError: the endpoint, the key or the model's name cannot be used.
    """

    def __init__(self, settings: Settings, make_probe: Callable[[], Probe | None]) -> None:
        self._settings, self._memo = settings, Memo()
        self._background = Background()
        self._endpoint = Endpoint(settings)
        self._probe: Probe | None = None
        try:
            self._served = self._background.run(self._check_model())
            self._why_no_rank = self._background.run(self._try_ranking())
            self._probe = make_probe()
        except BaseException:
            self.close()
            raise
        self.capabilities: frozenset[Capability] = frozenset({"generate"})
        self.capabilities |= {"rank"} if self._why_no_rank is None else set()
        self.capabilities |= {"visual_tokens"} if self._probe else set()
        self.layers: tuple[str, ...] = self._probe.layers if self._probe else ()
        self.image_size = settings.image_size or (self._probe.image_size if self._probe else None)

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer, at temperature 0."""
        return self._each(samples, f"{max_new_tokens} tokens", lambda sample: self._answer(sample, max_new_tokens))

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Score each sample's choices: a request for each, and one more where the sample was not answered before."""
        if "rank" not in self.capabilities:
            raise AdapterError(f"model 'openai' cannot rank here: {self._why_no_rank}")
        return self._each(samples, "rank", self._rank)

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return what the probe's vision tower and connector make of the pictures."""
        if self._probe is None:
            raise AdapterError("an endpoint shows no visual tokens; name what it serves with probe=<checkpoint>")
        return self._probe.visual_tokens(samples, layers)

    def describe(self) -> Mapping[str, Any]:
        """Say which model this is, as far as an endpoint tells."""
        return {
            "checkpoint": self._settings.model,
            "endpoint": self._settings.base_url,
            "served_from": self._served.get("root"),
            "parameters": None,
            "device": "endpoint",
            "cannot_rank": self._why_no_rank,
            "probe": None if self._probe is None else self._probe.describe(),
            "versions": {"httpx2": metadata.version("httpx2")},
        }

    def close(self) -> None:
        """Close connections, the thread behind them, and the probe."""
        self._memo.clear()
        self._background.run(self._endpoint.close())
        self._background.close()
        if self._probe:
            self._probe.close()

    async def _check_model(self) -> Mapping[str, Any]:
        """Return what the endpoint says of the model; nothing where it lists none."""
        settings, served = self._settings, await self._endpoint.models()
        if served is None and settings.model:
            return {}
        names = [entry["id"] for entry in served or ()]
        if not settings.model:
            has = f"one of {', '.join(sorted(names))}" if names else "the name of a model that it serves"
            raise AdapterError(f"model 'openai': {settings.base_url} wants model=NAME: {has}")
        if settings.model not in names:
            has = f"It has: {', '.join(sorted(names))}." if len(names) <= 20 else nearest(settings.model, names)
            raise AdapterError(f"model 'openai': {settings.base_url} has no model {settings.model!r}. {has}".strip())
        return next(entry for entry in served or () if entry["id"] == settings.model)

    async def _try_ranking(self) -> str | None:
        """Return why the endpoint cannot rank, None if it can: it is asked about a grey picture."""
        grey = Image.new("RGB", (64, 64), (128, 128, 128))
        asked = messages.question(Sample("probe", 0, (grey,), "Is it grey?", "yes", ("yes",)))
        try:
            replied = [
                await self._ask(request)
                for request in (
                    messages.scoring(self._settings, asked),
                    messages.scoring(self._settings, asked, "yes"),
                )
            ]
        except SampleError:
            return "the endpoint does not take prompt_logprobs"
        return why_not(*replied)

    def _each(self, samples: Sequence[Sample], what: str, ask: Callable[[Sample], Awaitable[Output]]) -> list[Output]:
        """Ask about every sample of a batch that was not asked about before.

        Raises:
            SampleError: at least one of them failed; the answers to the others are kept.
        """
        new = self._memo.new(samples, what)
        for sample, outcome in zip(new, self._background.run(_side_by_side(ask, new)), strict=True):
            self._memo.keep(sample, what, outcome)
        return self._memo.outputs(samples, what)

    async def _answer(self, sample: Sample, max_tokens: int) -> Output:
        asked = await asyncio.to_thread(messages.question, sample)
        reply = await self._ask(messages.generation(self._settings, asked, max_tokens))
        return Output(
            text=text(reply), tokens_in=reply.tokens_in, tokens_out=reply.tokens_out, cost=self._cost([reply])
        )

    async def _rank(self, sample: Sample) -> Output:
        asked = await asyncio.to_thread(messages.question, sample)
        requests = [messages.scoring(self._settings, asked, choice) for choice in sample.choices]
        length = self._memo.prompt_length(sample)
        if length is None:
            requests.append(messages.generation(self._settings, asked, 1))
        replied = await asyncio.gather(*map(self._ask, requests))
        length = length or replied[-1].tokens_in or 0
        logprobs, counts = scores(length, replied[: len(sample.choices)])
        return Output(logprobs=logprobs, logprob_tokens=counts, tokens_in=length, cost=self._cost(replied))

    async def _ask(self, fields: Mapping[str, Any]) -> Reply:
        return parsed(await self._endpoint.post("chat/completions", fields))

    def _cost(self, replied: Sequence[Reply]) -> float | None:
        """Return what requests cost by the prices that were given, None without prices."""
        costs = [self._settings.cost(reply.tokens_in or 0, reply.tokens_out or 0) for reply in replied]
        return None if None in costs else sum(cost for cost in costs if cost is not None)


async def _side_by_side(
    ask: Callable[[Sample], Awaitable[Output]], samples: Sequence[Sample]
) -> list[Output | SampleError]:
    """Ask about all samples at once; what ends the run ends the questions that are still out."""

    async def outcome(sample: Sample) -> Output | SampleError:
        try:
            return await ask(sample)
        except SampleError as error:
            return error

    tasks = [asyncio.ensure_future(outcome(sample)) for sample in samples]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
