"""What was started, stopped and noted, from the moment it is typed until the server has it.

A journal, one JSON object a line, to which is only ever added: what was given, and what became of it. So whatever is
killed at whatever moment, nothing that was given is lost, and at worst it is sent again, which the server recognises.
What the server refuses goes to a file beside it, with the reason.

Three locks, which the kernel drops with their holder:
- the folder's, shared by all calls that are under way. Each may still want to read what became of its item, so only a
  call that finds itself alone throws away what is done;
- the journal's, held for one reading and adding;
- `sending.lock`, held by the one call that sends. Sending takes as long as the network does, keeping must not.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

from outcomes import Rejected, Unreachable, Verdict

JSON = dict[str, object]

_PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_UNREADABLE = "This line of the outbox could not be read."


@dataclass(frozen=True)
class Item:
    """One thing that was typed. `session` is a session's id, or the time it started, or None: the one that is live."""

    id: str
    server: str
    repo: str
    verb: str
    at: str
    session: str | None = None
    fields: JSON = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of an item: the session as it is now, or why it was refused and with which exit status."""

    session: JSON | None = None
    status: int = 0
    reason: str = ""


@dataclass
class _Journal:
    """What the lines amount to."""

    given: dict[str, Item] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def read(self, line: str) -> None:
        try:
            entry = json.loads(line)
            if "given" in entry:
                item = _item(entry["given"])
                self.given[item.id] = item
            else:
                self.outcomes[str(entry["done"])] = Outcome(**entry["outcome"])
        except (ValueError, TypeError, KeyError, RecursionError):
            self.unreadable.append(line)

    @property
    def pending(self) -> list[Item]:
        return [item for key, item in self.given.items() if key not in self.outcomes]


class Outbox:
    """The journal in this folder, which is made when it is missing. Used only while `present`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._file = folder / "outbox.jsonl"
        self.refused_file = folder / "refused.jsonl"

    @contextlib.contextmanager
    def present(self) -> Iterator[None]:
        """While this lasts, what became of an item can be asked."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_SH)
            yield
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._tidy()
        finally:
            os.close(folder)

    def keep(self, item: Item) -> Item:
        """Put it last. Without a session it is for the one whose start is kept here too, if there is one.

        Raises Rejected when there are several; what was given is then set aside.
        """
        with self._opened() as file:
            journal = _read(file)
            if item.verb != "start" and item.session is None:
                try:
                    item = replace(item, session=_kept_start(journal.pending, item))
                except Rejected as no:
                    self._refuse({"reason": str(no), **asdict(item)})
                    raise Rejected(f"{no} What you gave is set aside in {self.refused_file}.") from None
            _add(file, {"given": asdict(item)})
        return item

    def pending(self, server: str) -> list[Item]:
        """What waits to be sent there, in order."""
        return [item for item in self._journal().pending if item.server == server]

    def outcomes(self, items: Sequence[Item]) -> list[Outcome | None]:
        """What became of each; None while it waits."""
        known = self._journal().outcomes
        return [known.get(item.id) for item in items]

    def sent(self, item: Item, session: JSON) -> None:
        """The server has it."""
        self._close(item, Outcome(session))

    def set_aside(self, item: Item, no: Verdict) -> None:
        """The server does not want it: it is out of the way, and not lost."""
        self._refuse({"reason": str(no), **asdict(item)})
        self._close(item, Outcome(status=no.status, reason=str(no)))

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """One call at a time; raises Unreachable when another one does not get done."""
        file = os.open(self._folder / "sending.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while not _locked(file):
                if time.monotonic() > deadline:
                    raise Unreachable("Another call has been sending for a while.")
                time.sleep(_LOOK_SECONDS)
            yield
        finally:
            os.close(file)

    def _close(self, item: Item, outcome: Outcome) -> None:
        with self._opened() as file:
            _add(file, {"done": item.id, "outcome": asdict(outcome)})

    def _refuse(self, *entries: Mapping[str, object]) -> None:
        with _locked_file(self.refused_file) as file:
            _add(file, *entries)

    def _journal(self) -> _Journal:
        with self._opened() as file:
            return _read(file)

    def _opened(self) -> contextlib.AbstractContextManager[int]:
        return _locked_file(self._file)

    def _tidy(self) -> None:
        """Leave only what waits. Nobody else is here, so nobody else has the old file open."""
        journal = self._journal()
        if journal.unreadable:
            self._refuse(*({"reason": _UNREADABLE, "line": line} for line in journal.unreadable))
        if journal.outcomes or journal.unreadable:
            draft = self._file.with_suffix(".draft")
            draft.unlink(missing_ok=True)
            with _locked_file(draft) as file:
                _add(file, *({"given": asdict(item)} for item in journal.pending))
            draft.replace(self._file)


def _kept_start(pending: list[Item], item: Item) -> str | None:
    """When the one session began whose start is kept, and its end is not."""
    same = [each for each in pending if (each.server, each.repo) == (item.server, item.repo)]
    stopped = {each.session for each in same if each.verb == "stop"}
    live = [each.at for each in same if each.verb == "start" and each.at not in stopped]
    if len(live) > 1:
        raise Rejected(f"Several sessions of {item.repo} are live, {' or '.join(live)}: say which, with --session.")
    return live[0] if live else None


def _item(values: object) -> Item:
    """Raises ValueError when it is none."""
    match values:
        case {
            "id": str(key),
            "server": str(server),
            "repo": str(repo),
            "verb": str(verb),
            "at": str(at),
            "session": str() | None as session,
            "fields": dict(told),
        } if datetime.fromisoformat(at).tzinfo:
            return Item(key, server, repo, verb, at, session, told)
    raise ValueError("no item")


@contextlib.contextmanager
def _locked_file(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: int) -> _Journal:
    journal = _Journal()
    with open(file, encoding="utf-8", errors="replace", closefd=False) as stream:
        stream.seek(0)
        for line in stream:
            if line.strip():
                journal.read(line.rstrip("\n"))
    return journal


def _add(file: int, *entries: Mapping[str, object]) -> None:
    """Whole lines that are on the disk, or an OSError and nothing; after a line that a kill cut off, on the next."""
    size = os.fstat(file).st_size
    is_torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
    text = b"\n" * is_torn + b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
    try:
        written = 0
        while written < len(text):
            written += os.write(file, text[written:])
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise
