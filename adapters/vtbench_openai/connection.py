"""HTTP connections to an endpoint: one request, one response of bounded size, or the reason why there is none.

The client is httpx2, which transformers' hub client also uses.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import httpx2

from vtbench.errors import AdapterError
from vtbench_openai.arguments import EndpointArguments

CONNECT_SECONDS = 10.0
MAX_BYTES = 2**24
"""Largest body of a response, decompressed. Log-probabilities of 8,000 prompt tokens take less than 1 MiB."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response."""

    status: int
    body: bytes
    content_type: str = ""
    retry_after: str | None = None


class Lost(Exception):
    """A request without a usable response.

    Args:
        message: why, in a few words.
        unreachable: no connection was made, so the request's content is not the cause.
        timed_out: the time was up.
        oversized: the response exceeds `MAX_BYTES`, so the same request may get the same again.
    """

    def __init__(
        self, message: str, *, unreachable: bool = False, timed_out: bool = False, oversized: bool = False
    ) -> None:
        super().__init__(message)
        self.unreachable, self.timed_out, self.oversized = unreachable, timed_out, oversized


class Connection:
    """A client with at most `settings.concurrency` open connections.

    Args:
        settings: URL, concurrency and timeout.
        key: the API key, if any.

    Raises:
        AdapterError: the certificates or the proxy that the environment names cannot be used; names the variable.
    """

    def __init__(self, settings: EndpointArguments, key: str | None) -> None:
        self._timeout = settings.timeout
        self.proxy = _proxy_variable(settings.base_url or "")
        """The environment variable whose proxy is used, if any."""
        try:
            self._client = httpx2.AsyncClient(
                headers={
                    "Accept-Encoding": "gzip",
                    "Content-Type": "application/json",
                    **({"Authorization": f"Bearer {key}"} if key else {}),
                },
                timeout=httpx2.Timeout(None, connect=min(CONNECT_SECONDS, settings.timeout)),
                limits=httpx2.Limits(max_connections=settings.concurrency),
            )
        except OSError as error:  # of the certificates, which are read here
            reason = error.strerror or str(error)
            path = os.environ.get("SSL_CERT_FILE", "is not set, and the system's certificates cannot be used")
            raise AdapterError(
                f"model 'openai': SSL_CERT_FILE {path}: no certificates to be read there ({reason});"
                " correct it, or unset it"
            ) from error
        except (ValueError, TypeError, ImportError, httpx2.InvalidURL) as error:
            named = ", ".join(name for name in _PROXIES if os.environ.get(name) or os.environ.get(name.lower()))
            reason = " ".join(str(error).split())
            raise AdapterError(f"model 'openai': {named}: no proxy that can be used: {reason}") from error

    async def request(self, method: str, url: str, fields: Mapping[str, Any] | None = None) -> Reply:
        """Send a request and return the response. Redirects are not followed.

        Args:
            method: of HTTP.
            url: where to.
            fields: JSON fields of the body. Lone surrogates are sent as JSON escapes.

        Raises:
            Lost: there is no response within the timeout, or none that can be read.
        """
        content = None if fields is None else json.dumps(fields).encode("ascii")
        try:
            async with asyncio.timeout(self._timeout), self._client.stream(method, url, content=content) as response:
                body = await _read(response)
        except TimeoutError:
            raise Lost(f"no answer within {self._timeout:g} s", timed_out=True) from None
        except httpx2.TimeoutException as error:
            raise Lost("no connection in time", unreachable=isinstance(error, httpx2.ConnectTimeout)) from error
        except (httpx2.RequestError, httpx2.InvalidURL, httpx2.StreamError, OSError, zlib.error) as error:
            raise Lost(cause(error), unreachable=isinstance(error, (httpx2.ConnectError, httpx2.ProxyError))) from error
        headers = response.headers
        return Reply(response.status_code, body, headers.get("content-type", ""), headers.get("retry-after"))

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


async def _read(response: httpx2.Response) -> bytes:
    """Read a body of at most `MAX_BYTES`, decompressed in pieces: a small one may expand to gigabytes."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise Lost(f"a response in the encoding {encoding[:40]!r}, which was not asked for")
    expand = None if encoding in ("", "identity") else zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk if expand is None else expand.decompress(chunk, MAX_BYTES + 1 - len(body))
        if len(body) > MAX_BYTES:
            raise Lost(f"the response exceeds {MAX_BYTES / 2**20:g} MiB", oversized=True)
        if expand is not None and expand.eof:
            break
    if expand is not None and body and not expand.eof:
        raise Lost("the response ends before its compressed data does")
    return bytes(body)


def cause(error: BaseException) -> str:
    """Return in a few words why there is no response."""
    chain = [error]
    while inner := chain[-1].__cause__ or chain[-1].__context__:  # the operating system's error is innermost
        chain.append(inner)
    last = chain[-1]
    if untrusted := [part for part in chain if isinstance(part, ssl.SSLCertVerificationError)]:
        return (
            f"its certificate is not trusted: {untrusted[-1].verify_message}; SSL_CERT_FILE=FILE names the certificates"
            " to trust"
        )
    if isinstance(last, ConnectionError) and last.errno:
        return os.strerror(last.errno).lower()  # asyncio's own message names no cause
    if isinstance(last, OSError) and last.strerror:
        return last.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__


def _proxy_variable(url: str) -> str | None:
    """Return the environment variable that names a proxy for a URL; None without one."""
    parts, proxies = urlsplit(url), getproxies_environment()
    if proxy_bypass(parts.hostname or ""):
        return None
    name = next((f"{kind}_proxy" for kind in (parts.scheme, "all") if proxies.get(kind)), None)
    return name and (name if os.environ.get(name) else name.upper())
