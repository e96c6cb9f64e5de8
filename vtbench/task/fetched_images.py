"""Images that rows give by URL, for tasks that ask for it: fetched once, and kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from vtbench.errors import SampleError

MOST_BYTES = 64 << 20
"""Size of the largest image that is fetched."""
_SECONDS = 30
_URL = re.compile(r"https?://", re.IGNORECASE)


def url_of(source: Any) -> str | None:
    """Return the URL by which a cell gives an image; None if it gives it otherwise.

    >>> url_of("http://host/1.jpg"), url_of({"bytes": None, "path": "http://host/1.jpg"}), url_of("photos/1.jpg")
    ('http://host/1.jpg', 'http://host/1.jpg', None)
    """
    if isinstance(source, dict) and not source.get("bytes"):
        source = source.get("path")
    return source if isinstance(source, str) and _URL.match(source) else None


def fetch_image(url: str) -> bytes:
    """Return the file at a URL, from the cache if it was fetched before.

    Raises:
        SampleError: it is not in the cache and cannot be fetched, or is larger than `MOST_BYTES`.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = home / "vtbench" / "images" / hashlib.sha256(url.encode()).hexdigest()
    if kept.is_file():
        return kept.read_bytes()
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        raise SampleError(f"cannot fetch {url}: HF_HUB_OFFLINE is set, and {kept.parent} does not have it")
    try:
        with urlopen(Request(url, headers={"User-Agent": "vtbench"}), timeout=_SECONDS) as answer:
            content: bytes = answer.read(MOST_BYTES + 1)
    except (URLError, OSError, ValueError) as problem:
        reason = " ".join(str(getattr(problem, "reason", None) or problem).split())
        raise SampleError(f"cannot fetch {url}: {reason:.200}") from None
    if len(content) > MOST_BYTES:
        raise SampleError(f"cannot fetch {url}: it has more than {MOST_BYTES >> 20} MB")
    with suppress(OSError):  # without room for the cache, the image is fetched again next time
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_bytes(content)
        part.replace(kept)
    return content
