"""How a call of `bin/gantry session` can end: one exit status for each, which scripts may rely on.

Refusal (refusals.py)             1   something on this machine is in the way
├── Misused                       2   the call itself makes no sense
├── NotSignedIn                   3   no token, or one that the server does not take
├── Verdict                           the server has looked at the request, and its answer would be the same again
│   ├── Forbidden                 3
│   ├── NotFound                  4
│   └── Rejected                  6   the input, or the state of things, does not allow it
└── Unreachable                   7   no verdict: nobody answered, or somebody who is not the server
    └── Busy                          it asks to come back later

What was started, stopped or noted is kept when there was no verdict, and the status is then KEPT.
"""

from __future__ import annotations

from refusals import Refusal

KEPT = 5


class Misused(Refusal):
    """Typed wrongly."""

    status = 2


class NotSignedIn(Refusal):
    """Nobody can be asked, or the token opens nothing."""

    status = 3


class Verdict(Refusal):
    """The server's final no."""


class Forbidden(Verdict):
    """May read, may not write."""

    status = 3


class NotFound(Verdict):
    """Does not exist, or not for this person."""

    status = 4


class Rejected(Verdict):
    """Does not fit."""

    status = 6


class Unreachable(Refusal):
    """Try again later."""

    status = 7


class Busy(Unreachable):
    """The server is there and asks for patience."""

    def __init__(self, sentence: str, seconds: float) -> None:
        super().__init__(sentence)
        self.seconds = seconds
