"""How the C library hands out memory: by its defaults a process with many threads keeps much that nobody uses.

glibc gives threads arenas of their own, up to eight for each processor, and what is freed in one stays with it. Two
arenas do for a process whose threads take turns; what is free in them is given back now and then. Other C libraries are
left as they are.
"""

from __future__ import annotations

import ctypes

_ARENA_MAX = -8  # malloc.h: M_ARENA_MAX
_ARENAS = 2

_libc = ctypes.CDLL(None)


def tune() -> None:
    """Before there are threads."""
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Give what is free back to the system."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
