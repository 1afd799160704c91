"""What ends a command: a fact and its remedy in one plain sentence, never a traceback."""

from __future__ import annotations

import errno

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class Refusal(Exception):
    """The command cannot go on; the text says why, and what to do."""

    status = 1


def of_system(fault: OSError) -> Refusal:
    """The refusal that a failed system call amounts to."""
    place = fault.filename or "this folder"
    if fault.errno in _FULL:
        return Refusal(f"The disk is full ({place}): free some space, then try again.")
    if fault.errno in _FORBIDDEN:
        return Refusal(
            f"{place} cannot be written: give yourself the right to, or move the checkout to a folder of yours."
        )
    return Refusal(f"{fault.strerror or fault}: {place}.")
