"""HTTP client of one endpoint: sends a request until it is answered, refused or given up.

The client is httpx2, which transformers' hub client also uses. Retries are decided here and in `retry`: those of a
client library would not honour a `Retry-After` of more than a minute, and would not be counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from typing import Any

import httpx2

from vtbench.errors import AdapterError, SampleError, VtbenchError
from vtbench.runs.provenance import HIDDEN
from vtbench_openai.arguments import EndpointArguments
from vtbench_openai.errors import error_message, is_out_of_quota, response_error
from vtbench_openai.retry import backoff_seconds, is_transient

CONNECT_SECONDS = 10.0


class Endpoint:
    """An endpoint with at most `settings.concurrency` requests at once.

    After a request was lost in spite of all retries, the endpoint counts as down: later requests are tried once, until
    one is answered. An outage therefore costs one round of waiting, not one round for every sample.

    Args:
        settings: URL, concurrency, retries and timeout.
        key: the API key, if any.
    """

    def __init__(self, settings: EndpointArguments, key: str | None) -> None:
        self._settings, self._key = settings, key
        self._client = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(None, connect=min(CONNECT_SECONDS, settings.timeout)),
            limits=httpx2.Limits(max_connections=settings.concurrency),
        )
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._down = False

    async def models(self) -> list[Mapping[str, Any]] | None:
        """Return the endpoint's list of models; None if it has no list. The request is not repeated.

        Raises:
            AdapterError: the endpoint does not respond, is not ready, refuses the key, or is no such endpoint.
        """
        url = f"{self._settings.base_url}/models"
        try:
            response = await self._send("GET", url)
        except (httpx2.RequestError, httpx2.InvalidURL, TimeoutError) as error:
            raise AdapterError(
                f"model 'openai': {self._settings.base_url} does not respond ({_cause(error)});"
                " start the server, or correct base_url="
            ) from error
        status, body = response.status_code, self._body(response)
        if status in (404, 405, 429, 501):
            return None
        if status >= 500:
            raise AdapterError(f"model 'openai': {url} is not ready ({status}): {error_message(body)}")
        if status >= 300:
            refused = self._error(status, url, body)
            raise refused if isinstance(refused, AdapterError) else AdapterError(f"model 'openai': {url}: {refused}")
        try:
            listed = json.loads(body)["data"]
            return [entry for entry in listed if isinstance(entry["id"], str)]
        except (ValueError, KeyError, TypeError) as error:
            kind = response.headers.get("content-type", "no content type").partition(";")[0]
            raise AdapterError(
                f"model 'openai': {url} gives {kind} and no list of models; base_url usually ends in /v1"
            ) from error

    async def post(self, path: str, fields: Mapping[str, Any]) -> str:
        """Send a request until it is answered, and return the body of the response.

        Raises:
            SampleError: the request was refused, or was not answered after all retries.
            AdapterError: no request can be answered: the key, the URL or the model is wrong.
        """
        url, began, attempt = f"{self._settings.base_url}/{path}", time.monotonic(), 0
        async with self._slots:
            while True:
                retry_after = None
                try:
                    response = await self._send("POST", url, fields)
                except (httpx2.RequestError, TimeoutError) as error:
                    problem, lost = _cause(error), True
                else:
                    status, retry_after = response.status_code, response.headers.get("retry-after")
                    lost = status >= 500
                    self._down = self._down and lost
                    body = self._body(response)
                    if status < 300:
                        return body
                    if not is_transient(status) or is_out_of_quota(body):
                        raise self._error(status, url, body)
                    problem = f"{status} {error_message(body)}"
                if attempt == self._settings.retries or self._down:
                    self._down = self._down or lost
                    tries = f"{attempt + 1} tries" if attempt else "one try"
                    seconds = time.monotonic() - began
                    raise SampleError(f"no answer after {tries} in {seconds:.0f} s: {problem}")
                await asyncio.sleep(backoff_seconds(attempt, retry_after))
                attempt += 1

    async def _send(self, method: str, url: str, fields: Mapping[str, Any] | None = None) -> httpx2.Response:
        seconds = self._settings.timeout
        try:
            async with asyncio.timeout(seconds):
                return await self._client.request(method, url, json=fields)
        except TimeoutError:
            raise TimeoutError(f"no answer within {seconds:g} s") from None

    def _body(self, response: httpx2.Response) -> str:
        """Return the text of a response without the key, which an endpoint may repeat."""
        return response.text.replace(self._key, HIDDEN) if self._key else response.text

    def _error(self, status: int, url: str, body: str) -> VtbenchError:
        return response_error(self._settings, status, url, body, key_sent=self._key is not None)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def _cause(error: Exception) -> str:
    """Return in a few words why there is no response."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:  # the operating system's error is innermost
        inner = inner.__cause__ or inner.__context__ or inner
    if isinstance(inner, ConnectionError) and inner.errno:
        return os.strerror(inner.errno).lower()  # asyncio's own message names no cause
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__
