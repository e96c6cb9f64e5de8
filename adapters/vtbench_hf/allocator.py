"""Telling the C library to keep the memory that it gets.

PyTorch's CPU allocator hands every large tensor back to the C library, and glibc hands it back to the kernel, so
that the next one is made of pages that must be faulted in and zeroed again. Where page faults are dear, as in virtual
machines, X
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Make glibc reuse freed memory instead of returning it; return whether it took the settings."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1) and mallopt(_M_TOP_PAD, 256 << 20))


def return_freed_memory() -> bool:
    """Hand what is free at this moment back to the kernel; return whether the C library can."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):
        return False
