"""Whether a text is read in a time that grows as its length does."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time


def assert_linear(read: Callable[[str], object], piece: str) -> None:
    """Read a piece repeated to 40,000 characters and to 10,000, which may not take eight times as long.

    Linear reading takes four times as long, quadratic reading sixteen. It is the time of this process that counts, so a
    busy machine changes nothing.
    """

    def seconds(length: int) -> float:
        text, took = piece * (length // len(piece)), []
        for _ in range(3):  # the fastest of three: a garbage collection may fall into one
            began = process_time()
            read(text)
            took.append(process_time() - began)
        return min(took)

    seconds(2_000)  # the first call compiles patterns
    assert seconds(40_000) < 8 * seconds(10_000) + 0.05
