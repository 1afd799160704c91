"""Where a recollection comes from, in words and as a place to go to.

A recollection names its source as `kind:id`. What that is, only the app above knows: it registers a way to describe its
kind, so that memory can tell without naming it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import TypedDict


class Origin(TypedDict):
    """The message that said it, its conversation, and the conversation's title."""

    conversation_id: int
    message_id: int
    title: str


Describe = Callable[[Collection[int]], Mapping[int, Origin]]

_describers: dict[str, Describe] = {}


def register(kind: str, describe: Describe) -> None:
    """Sources of this kind are described by `describe(ids)`; what is gone is left out of its answer."""
    _describers[kind] = describe


def origins(sources: Collection[str]) -> dict[str, Origin]:
    """By source, what each is; a question a kind."""
    ids: dict[str, list[int]] = defaultdict(list)
    for source in sources:
        kind, _, number = source.partition(":")
        ids[kind].append(int(number))
    return {
        f"{kind}:{pk}": origin
        for kind, numbers in ids.items()
        if kind in _describers
        for pk, origin in _describers[kind](numbers).items()
    }
