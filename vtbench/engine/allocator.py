"""Process-wide settings of glibc's memory allocator. A command sets them; no library call of vtbench does.

PyTorch's CPU allocator frees every large tensor to the C library, and glibc returns the pages to the kernel, so that
the next tensor needs new pages, each a page fault and a zero fill. Where page faults are slow, as in virtual machines,
this can take longer than the arithmetic. Call `keep_freed_memory` once, at the start of a command that computes on the
CPU. Retained memory grows where tensor sizes change from batch to batch (fragmentation): long jobs call
`return_freed_memory` now and then.

Importing this module imports no backend.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Make glibc reuse freed memory instead of returning it to the kernel, for the whole process.

    Returns:
        Whether the setting was accepted; False without glibc.
    """
    mallopt = _glibc_function("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1) and mallopt(_M_TOP_PAD, 256 << 20))


def return_freed_memory() -> bool:
    """Return the memory that is free now to the kernel and keep the settings. Returns whether any was returned."""
    malloc_trim = _glibc_function("malloc_trim")
    return malloc_trim is not None and bool(malloc_trim(0))


def _glibc_function(name: str) -> Any:
    """Return a function of glibc; None where the C library is another one."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
