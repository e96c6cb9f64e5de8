"""One endpoint over HTTP: a path and a request's fields in, the reply's text out, asked again while that may help.

httpx2 does HTTP: the client that transformers' own hub client brings, asynchronous, with pooled connections and
certificates of the system. When a request is sent again is decided here and in `retrying`, as a client library's own
retries would hide a `Retry-After` of more than a minute and count nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from typing import Any

import httpx2

from vtbench.errors import AdapterError, SampleError
from vtbench.runs.provenance import HIDDEN
from vtbench_openai.refusals import is_out_of_quota, message, refusal
from vtbench_openai.retrying import may_pass, wait_before
from vtbench_openai.settings import Settings

CONNECT_SECONDS = 10.0


class Endpoint:
    """Sends requests, `concurrency` of them at once.

    Once a request was lost although it was sent again as often as allowed, the endpoint counts as down: later requests
    are tried once, until one is answered. So an outage costs one round of waiting, not one for every sample.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {settings.key}"} if settings.key else {},
            timeout=httpx2.Timeout(None, connect=min(CONNECT_SECONDS, settings.timeout)),
            limits=httpx2.Limits(max_connections=settings.concurrency),
        )
        self._free = asyncio.Semaphore(settings.concurrency)
        self._down = False

    async def models(self) -> list[Mapping[str, Any]] | None:
        """Return what the endpoint serves, None where it does not say. Asked once: an endpoint that is down is said so.

        Raises:
            AdapterError: it does not answer, is broken, refuses the key, or is none.
        """
        url = f"{self._settings.base_url}/models"
        try:
            reply = await self._send("GET", url)
        except (httpx2.RequestError, httpx2.InvalidURL, TimeoutError) as error:
            raise AdapterError(
                f"model 'openai': {self._settings.base_url} does not answer ({_reason(error)});"
                " start the server, or correct base_url="
            ) from error
        if reply.status_code in (404, 405, 429, 501):
            return None
        if reply.status_code >= 500:
            said = message(self._body(reply))
            raise AdapterError(f"model 'openai': {url} is not ready ({reply.status_code}): {said}")
        if reply.status_code >= 300:
            refused = refusal(self._settings, reply.status_code, url, self._body(reply))
            raise refused if isinstance(refused, AdapterError) else AdapterError(f"model 'openai': {url}: {refused}")
        try:
            listed = json.loads(self._body(reply))["data"]
            return [entry for entry in listed if isinstance(entry["id"], str)]
        except (ValueError, KeyError, TypeError) as error:
            kind = reply.headers.get("content-type", "something unnamed").partition(";")[0]
            raise AdapterError(
                f"model 'openai': {url} gives {kind} and no list of models; base_url usually ends in /v1"
            ) from error

    async def post(self, path: str, fields: Mapping[str, Any]) -> str:
        """Send a request until it is answered, and return the reply.

        Raises:
            SampleError: it was refused, or not answered after all retries.
            AdapterError: no request can be answered: a wrong key, address or model.
        """
        url, began, attempt = f"{self._settings.base_url}/{path}", time.monotonic(), 0
        async with self._free:
            while True:
                retry_after = None
                try:
                    reply = await self._send("POST", url, fields)
                except (httpx2.RequestError, TimeoutError) as error:
                    problem, lost = _reason(error), True
                else:
                    status, retry_after = reply.status_code, reply.headers.get("retry-after")
                    lost = status >= 500
                    self._down = self._down and lost
                    if status < 300:
                        return self._body(reply)
                    if not may_pass(status) or is_out_of_quota(self._body(reply)):
                        raise refusal(self._settings, status, url, self._body(reply))
                    problem = f"{status} {message(self._body(reply))}"
                if attempt == self._settings.retries or self._down:
                    self._down = self._down or lost
                    tries = f"{attempt + 1} tries" if attempt else "one try"
                    seconds = time.monotonic() - began
                    raise SampleError(f"no answer after {tries} in {seconds:.0f} s: {problem}")
                await asyncio.sleep(wait_before(attempt, retry_after))
                attempt += 1

    async def _send(self, method: str, url: str, fields: Mapping[str, Any] | None = None) -> httpx2.Response:
        seconds = self._settings.timeout
        try:
            async with asyncio.timeout(seconds):
                return await self._client.request(method, url, json=fields)
        except TimeoutError:
            raise TimeoutError(f"no answer within {seconds:g} s") from None

    def _body(self, reply: httpx2.Response) -> str:
        """Return the text of a reply. An endpoint may repeat the key in it: from here on it is hidden."""
        return reply.text.replace(self._settings.key, HIDDEN) if self._settings.key else reply.text

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def _reason(error: Exception) -> str:
    """Say why nothing came back, in a few words."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:  # the operating system's own words are innermost
        inner = inner.__cause__ or inner.__context__ or inner
    if isinstance(inner, ConnectionError) and inner.errno:
        return os.strerror(inner.errno).lower()  # asyncio's own words name no reason
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__
