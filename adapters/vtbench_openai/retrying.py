"""When a request is sent again, and after how long.

In: what came back, and how often it was tried. Out: seconds to wait. Nothing here knows of HTTP clients.
"""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds. A server that asks for more than the longest wait is asked again after the longest."""


def may_pass(status: int) -> bool:
    """Whether a status says that the same request may succeed later."""
    return status in (408, 425, 429) or status >= 500


def wait_before(attempt: int, retry_after: str | None = None) -> float:
    """Return the seconds to wait before retry number `attempt`, counted from 0.

    Twice as long each time, less up to a half by chance, so that requests which failed together do not come back
    together; never shorter than the server's `Retry-After`.
    """
    backoff = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1)
    asked = seconds_of(retry_after)
    return backoff if asked is None else min(LONGEST_WAIT, max(backoff, asked))


def seconds_of(retry_after: str | None) -> float | None:
    """Return a `Retry-After` header in seconds from now: a number, or an HTTP date. None where it says nothing.

    >>> seconds_of("7"), seconds_of("soon"), seconds_of("Wed, 21 Oct 2015 07:28:00 GMT")
    (7.0, None, 0.0)
    """
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if seconds == seconds else None
