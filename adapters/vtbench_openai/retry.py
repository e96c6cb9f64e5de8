"""When a request is repeated, and after how long: exponential backoff with jitter, and the header `Retry-After`."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds. Where `Retry-After` exceeds the longest wait, the request is repeated after the longest wait."""


def is_transient(status: int) -> bool:
    """Whether the same request may succeed later after a response of this status."""
    return status in (408, 409, 425, 429) or status >= 500


def backoff_seconds(attempt: int, retry_after: str | None = None) -> float:
    """Return the seconds to wait before retry number `attempt`, counted from 0.

    The wait doubles with each attempt. A random share of up to a half is taken off, so that requests that failed
    together are not repeated together. The wait is never shorter than `Retry-After`, up to the longest wait.
    """
    backoff = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1)
    requested = parse_retry_after(retry_after)
    return backoff if requested is None else min(LONGEST_WAIT, max(backoff, requested))


def parse_retry_after(header: str | None) -> float | None:
    """Return a `Retry-After` header, a number or an HTTP date, as seconds from now; None if it is neither.

    >>> parse_retry_after("7"), parse_retry_after("soon"), parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT")
    (7.0, None, 0.0)
    """
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if seconds == seconds else None
