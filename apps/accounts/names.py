"""How people are called: e-mail addresses that compare equal, and usernames made from them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from itertools import count

USERNAME_MAX = 39
USERNAME_PATTERN = r"^[a-z0-9][a-z0-9-]{1,38}\Z"
_STEM_MAX = 32  # leaves room for -2, -3 …


def fold_email(email: str) -> str:
    """The one form in which an address is stored and looked up: two that differ only in case are one account."""
    return unicodedata.normalize("NFKC", email).strip().casefold()


def usernames(email: str, taken: Collection[str]) -> Iterator[str]:
    """Free usernames for this address, the plainest first; endless."""
    stem = username_stem(email)
    for number in count(1):
        name = stem if number == 1 else f"{stem}-{number}"
        if name not in taken:
            yield name


def username_stem(email: str) -> str:
    """What the usernames of this address start with: its local part in plain ASCII, `user` where nothing is left."""
    local = unicodedata.normalize("NFKD", email.partition("@")[0]).casefold()
    plain = local.encode("ascii", "ignore").decode()
    words = [word for word in re.split(r"[^a-z0-9]+", plain) if word]
    stem = "-".join(words)[:_STEM_MAX].rstrip("-")
    if len(stem) > 1:
        return stem
    return f"user-{stem}" if stem else "user"
