"""Telling the C library to keep the memory that it gets, and when to give it back.

PyTorch's CPU allocator hands every large tensor back to the C library, and glibc hands it back to the kernel, so
that the next one is made of pages that must be faulted in and zeroed again. Where page faults are dear, as in virtual
machines, that can take longer than the arithmetic. Kept memory grows where sizes change from batch to batch, as the
free pieces between those in use do not fit: work that goes on for hours hands it back now and then.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Make glibc reuse freed memory instead of returning it; return whether it took the settings."""
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1) and mallopt(_M_TOP_PAD, 256 << 20))


def return_freed_memory() -> bool:
    """Hand what is free at this moment back to the kernel; return whether anything was."""
    malloc_trim = _of_glibc("malloc_trim")
    return malloc_trim is not None and bool(malloc_trim(0))


def _of_glibc(name: str) -> Any:
    """Return a function of the C library; None where it is another one."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
