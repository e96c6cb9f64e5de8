"""Client of one endpoint: sends a request until it is answered, refused or given up, and knows when to stop.

Retries are decided here and in `retry`: those of a client library would not honour a `Retry-After` of more than a
minute, and would not be counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from vtbench.console.terminal import visible
from vtbench.errors import AdapterError, ModelUnavailable, SampleError, escaped
from vtbench.runs.secrets import SecretFilter, mask, secrets
from vtbench_openai.arguments import EndpointArguments
from vtbench_openai.connection import Connection, Lost
from vtbench_openai.errors import Problem, access_error, lost_problem, problem_in
from vtbench_openai.request import generation_request, neutral_question
from vtbench_openai.response import parse_json
from vtbench_openai.retry import backoff_seconds

TIMEOUT_RETRIES = 2
"""How often a request without an answer in time is repeated: each try takes the whole timeout."""
SUSPICIOUS = 8
"""Requests in a row that are given up, with no answer in between, after which the endpoint is checked."""
PATIENCE_SECONDS = 120.0
"""Time without an answer after which a single request that is given up makes the endpoint be checked."""
CHECK_TRIES = 3
_SHORTEST_KEY = 8
"""Shorter keys, such as EMPTY, are what a server without keys is given, and may be words of an answer."""


class Endpoint:
    """An endpoint with at most `settings.concurrency` requests at once.

    Where requests are given up one after the other, a question about a grey image tells whether the samples are at
    fault or the endpoint. In the second case `stopped` is set, no further request is sent, and those that wait fail as
    samples that may be asked again: an outage costs a bounded time, not one for every sample, and no answer is lost.

    Args:
        settings: URL, concurrency, retries and timeout.
        key: the API key, if any.

    Raises:
        AdapterError: as `Connection`.
    """

    def __init__(self, settings: EndpointArguments, key: str | None) -> None:
        self._settings, self._key_sent = settings, key is not None
        known = {key} if key and len(key) >= _SHORTEST_KEY else set()
        self.hide = SecretFilter(known)
        """Removes the key, which an endpoint may repeat, from a text."""
        self._hide_in_messages = SecretFilter(known | secrets(settings.extra))
        self._connection = Connection(settings, key)
        self._url = f"{settings.base_url}/chat/completions"
        self._slots, self._check = asyncio.Semaphore(settings.concurrency), asyncio.Lock()
        self._stop = asyncio.Event()
        self._stopped: AdapterError | None = None
        self._accepted = False
        self._answers = self._given_up = 0
        self._since: float | None = None

    @property
    def stopped(self) -> AdapterError | None:
        """Why no request can be answered any more; None while they can."""
        return self._stopped and type(self._stopped)(str(self._stopped))

    async def models(self) -> list[Mapping[str, Any]] | None:
        """Return the endpoint's list of models, each with an `id`; None if it has no list that can be read.

        Raises:
            AdapterError: the endpoint does not respond, or refuses the key. The request is not repeated.
        """
        url = f"{self._settings.base_url}/models"
        try:
            reply = await self._connection.request("GET", url)
        except Lost as error:
            raise AdapterError(
                f"model 'openai': {self._settings.base_url} does not respond"
                f" ({self._words(str(error))}){self._proxy()}; start the server, or correct base_url="
            ) from error
        if reply.status == 401 or 300 <= reply.status < 400:
            raise self._access_error(Problem("access", "", reply.status), url)
        try:
            return _model_entries(parse_json(reply.body, reply.content_type)) if reply.status < 300 else None
        except SampleError:
            return None

    async def post(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a request until it is answered, and return the JSON of the response.

        Raises:
            SampleError: the request was refused, or was not answered after all retries; `transient` if it may be later.
        """
        async with self._slots:
            began, attempt, limit = time.monotonic(), 0, self._settings.retries
            while not self._stop.is_set():
                outcome = await self._attempt(fields)
                if not isinstance(outcome, Problem):
                    return outcome
                if outcome.kind == "timeout":
                    limit = min(limit, TIMEOUT_RETRIES)
                if not outcome.passing or attempt >= limit:
                    await self._give_up(outcome)
                    raise self._sample_error(outcome, attempt + 1, time.monotonic() - began)
                await self._pause(backoff_seconds(attempt, outcome.retry_after))
                attempt += 1
        raise SampleError(f"not asked: {self._stopped}", transient=True)

    async def refusal_of_model(self) -> str | None:
        """Return why the endpoint does not answer a question under the model's name; None if it does.

        Raises:
            AdapterError: it answers nobody.
        """
        found = await self.check()
        if found and found.kind != "sample" and found.status != 404:
            self._stop_for(found)
        if stopped := self.stopped:
            raise stopped
        return self._words(found.message) if found else None

    async def check(self) -> Problem | None:
        """Ask about a grey image, and return why there is no answer; None if there is."""
        fields = generation_request(self._settings, neutral_question(), 1)
        for attempt in range(CHECK_TRIES):
            outcome = await self._attempt(fields)
            if not isinstance(outcome, Problem):
                return None
            problem = outcome
            if not problem.passing or problem.kind == "timeout" or attempt + 1 == CHECK_TRIES:
                break
            await self._pause(backoff_seconds(attempt, problem.retry_after))
        return problem

    async def _attempt(self, fields: Mapping[str, Any]) -> Mapping[str, Any] | Problem:
        """Send a request once."""
        try:
            outcome = problem_in(await self._connection.request("POST", self._url, fields), self._words)
        except Lost as error:
            outcome = lost_problem(error)
        if not isinstance(outcome, Problem) or (outcome.kind == "sample" and outcome.status):
            self._accepted = True
            self._answers, self._given_up, self._since = self._answers + 1, 0, None
        elif self._since is None:
            self._since = time.monotonic()
        return outcome

    async def _give_up(self, problem: Problem) -> None:
        """Record that a request was given up; find out whether the endpoint is at fault if it may well be."""
        if problem.kind == "sample":
            return
        self._given_up += 1
        waited = time.monotonic() - (self._since or time.monotonic())
        certain = problem.kind == "account" or (problem.kind == "access" and not self._accepted)
        suspicious = problem.kind == "unreachable" or not self._accepted or self._given_up >= SUSPICIOUS
        if certain:
            self._stop_for(problem)
        elif suspicious or waited > PATIENCE_SECONDS:
            answers = self._answers
            async with self._check:
                if not self._stop.is_set() and self._answers == answers:
                    found = await self.check()
                    if found and found.kind != "sample":
                        self._stop_for(found)

    def _stop_for(self, problem: Problem) -> None:
        if not problem.passing:
            error = self._access_error(problem, self._url)
            self._stopped = ModelUnavailable(str(error)) if self._accepted else error
        elif self._accepted:
            self._stopped = ModelUnavailable(
                f"model 'openai': {self._settings.base_url} went away: {self._words(problem.message)}{self._proxy()}"
            )
        else:
            self._stopped = AdapterError(
                f"model 'openai': {self._settings.base_url} is not ready: {self._words(problem.message)}{self._proxy()}"
                "; wait for the server, or correct base_url=, which usually ends in /v1"
            )
        self._stop.set()

    async def _pause(self, seconds: float) -> None:
        """Wait, or until the endpoint is stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    def _access_error(self, problem: Problem, url: str) -> AdapterError:
        return access_error(self._settings, problem, url, key_sent=self._key_sent, proxy=self._proxy())

    def _sample_error(self, problem: Problem, tries: int, seconds: float) -> SampleError:
        message = self._words(problem.message)
        if problem.passing:
            times = f"{tries} tries" if tries > 1 else "one try"
            return SampleError(f"no answer after {times} in {seconds:.0f} s: {message}", transient=True)
        if problem.status < 300:
            return SampleError(message)
        code, _, said = message.partition(" ")
        said = "the key" if problem.status == 401 else said  # the server's message may hold a part of the key
        # A page or an account that is refused may be allowed later; an input that was refused will be again.
        return SampleError(f"the endpoint refuses the request ({code}): {said}", transient=problem.kind != "sample")

    def _words(self, text: str) -> str:
        """Return a text of the endpoint for a message: without secrets, printable."""
        return visible(escaped(mask(self._hide_in_messages(text))))

    def _proxy(self) -> str:
        variable = self._connection.proxy
        return f" through the proxy in {variable}; NO_PROXY=<host> goes past it" if variable else ""

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()


def _model_entries(listed: Any) -> list[Mapping[str, Any]] | None:
    """Return the entries of a list of models, in any of the forms in use; None if it is no such list.

    >>> _model_entries(["a"]), _model_entries({"models": [{"name": "b"}]}), _model_entries({"data": None})
    ([{'id': 'a'}], [{'name': 'b', 'id': 'b'}], [])
    """
    if isinstance(listed, Mapping):
        name = next((name for name in ("data", "models") if name in listed), None)
        listed = None if name is None else listed[name] or []
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return None
    entries = [entry if isinstance(entry, Mapping) else {"id": entry} for entry in listed]
    found: list[Mapping[str, Any]] = []
    for entry in entries:
        name = next((entry[key] for key in ("id", "name", "model") if entry.get(key)), None)
        if not isinstance(name, str):
            return None
        found.append({**entry, "id": name})
    return found
