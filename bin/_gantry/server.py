"""The product's API, as far as the command line needs it.

A verdict counts only in the product's own words, JSON with a `detail`. What else may answer (a proxy, the login page of
a hotel, another program on that port) says nothing about the request, so it is the same as nobody answering. Redirects
are not followed: the token would go along.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import Message
from urllib.parse import quote, urlencode

from outbox import JSON
from outcomes import Busy, Forbidden, NotFound, NotSignedIn, Rejected, Unreachable, Verdict

_TIMEOUT_SECONDS = 10.0
_PATIENCE_SECONDS = 5.0
_PAGE = 100
_VERDICTS: dict[int, type[Verdict]] = {403: Forbidden, 404: NotFound}


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@dataclass(frozen=True)
class Server:
    """The server at this address, spoken to with this token. Everything may raise Verdict, NotSignedIn, Unreachable."""

    url: str
    token: str

    def whoami(self) -> str:
        """The user name that the token stands for."""
        return self.text(self._ask("/api/auth/me"), "username")

    def repo_id(self, name: str) -> str:
        """The id of owner/slug: mine, one I collaborate on, or a public one."""
        owner, _, slug = name.partition("/")
        for repo in self._all("/api/repos", "repos", {"owner": owner, "slug": slug}):
            if (repo.get("owner"), repo.get("slug")) == (owner, slug):
                return self.text(repo, "repoId")
        raise NotFound(f"There is no repo {name}, or it is not yours to see.")

    def start(self, repo: str, fields: JSON) -> JSON:
        """A session; with a `startedAt` that is known already, the stored one."""
        return self._session(self._ask(_sessions(repo), body=fields))

    def stop(self, repo: str, session: str, ended_at: str) -> JSON:
        """The session, over; one that was over already keeps its end."""
        return self._session(self._ask(f"{_sessions(repo)}/{_part(session)}/stop", body={"endedAt": ended_at}))

    def note(self, repo: str, session: str, fields: JSON) -> JSON:
        """The session with this note; a `clientId` that is known already adds nothing."""
        return self._session(self._ask(f"{_sessions(repo)}/{_part(session)}/notes", body=fields))

    def sessions(self, repo: str, **filters: str) -> Iterator[JSON]:
        """Live ones first, then newest first; asks for the next page when it is wanted."""
        for session in self._all(_sessions(repo), "sessions", filters):
            yield self._session(session)

    def started_at(self, repo: str, moment: datetime) -> Iterator[JSON]:
        """The sessions that began at exactly this moment."""
        until = (moment + timedelta(microseconds=1)).isoformat()
        for session in self.sessions(repo, since=moment.isoformat(), until=until):
            if self.time(session, "startedAt") == moment:
                yield session

    def text(self, answer: JSON, name: str) -> str:
        """A field that is always there and always text."""
        if isinstance(value := answer.get(name), str):
            return value
        raise self._stranger()

    def time(self, session: JSON, name: str) -> datetime:
        """A field that is a moment with an offset."""
        try:
            moment = datetime.fromisoformat(self.text(session, name))
        except ValueError as fault:
            raise self._stranger() from fault
        if moment.tzinfo is None:
            raise self._stranger()
        return moment

    def _session(self, answer: JSON) -> JSON:
        self.text(answer, "sessionId")
        self.time(answer, "startedAt")
        return answer

    def _all(self, path: str, name: str, query: dict[str, str]) -> Iterator[JSON]:
        cursor: object = ""
        while cursor is not None:
            page = self._ask(path, query={**query, "limit": str(_PAGE), **({"cursor": str(cursor)} if cursor else {})})
            rows, cursor = page.get(name), page.get("nextCursor")
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise self._stranger()
            yield from rows

    def _ask(self, path: str, *, query: dict[str, str] | None = None, body: JSON | None = None) -> JSON:
        try:
            return self._ask_once(path, query, body)
        except Busy as busy:
            if busy.seconds > _PATIENCE_SECONDS:
                raise
            time.sleep(busy.seconds)
            return self._ask_once(path, query, body)

    def _ask_once(self, path: str, query: dict[str, str] | None, body: JSON | None) -> JSON:
        request = urllib.request.Request(  # noqa: S310 - http or https, as credentials.py sees to
            f"{self.url}{path}{'?' + urlencode(query) if query else ''}",
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/json",
                "Content-Type": "application/json",
                "User-Agent": "gantry-session",
            },
        )
        try:
            status, headers, answer = _exchange(request)
        except (OSError, http.client.HTTPException, ValueError) as fault:
            raise Unreachable(f"{self.url} cannot be reached: {_why(fault)}.") from fault
        if 200 <= status < 300 and answer is not None:
            return answer
        raise self._refusal(status, headers, answer)

    def _refusal(self, status: int, headers: Message, answer: JSON | None) -> Exception:
        detail = answer.get("detail") if answer else None
        if answer is None or not isinstance(detail, str):
            return self._stranger(f"{status}, and leads to {headers['Location']}" if headers["Location"] else status)
        if status == 401:
            return NotSignedIn(
                f"{self.url} does not take the token: bin/gantry session login --url {self.url} stores another."
            )
        if status == 429:
            return _busy(self.url, headers["Retry-After"])
        if status >= 500:
            return Unreachable(f"{self.url} is out of order ({status}: {detail}).")
        return _VERDICTS.get(status, Rejected)(_sentence(detail, answer.get("errors")))

    def _stranger(self, said: object = "something else") -> Unreachable:
        return Unreachable(f"{self.url} answers, but not as Nebulus Gantry does ({said}): is that its address?")


def _exchange(request: urllib.request.Request) -> tuple[int, Message, JSON | None]:
    """Status, headers, and the body when it is a JSON object."""
    try:
        answer = urllib.request.build_opener(_Stay).open(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    with answer:
        return answer.status, answer.headers, _object(answer.read())


def _object(body: bytes) -> JSON | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _why(fault: Exception) -> str:
    reason = fault.reason if isinstance(fault, urllib.error.URLError) else fault
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted, {reason.verify_message} (SSL_CERT_FILE can name your own authority's)"
    if isinstance(reason, ssl.SSLError):
        return f"it does not speak TLS as it should, {reason.reason or reason}"
    if isinstance(reason, TimeoutError):
        return "it does not answer in time"
    return str(reason.strerror if isinstance(reason, OSError) and reason.strerror else reason) or type(reason).__name__


def _busy(url: str, retry_after: str | None) -> Unreachable:
    if retry_after and retry_after.isdecimal():
        return Busy(f"{url} asks to come back in {retry_after} s.", float(retry_after))
    return Unreachable(f"{url} asks to come back later.")


def _sentence(detail: str, errors: object) -> str:
    """The server's words, with what is wrong in each field."""
    if not isinstance(errors, dict):
        return detail
    fields = (
        f"{name}: {' '.join(map(str, said)) if isinstance(said, list) else said}" for name, said in errors.items()
    )
    return f"{detail} ({'; '.join(fields)})"


def _sessions(repo: str) -> str:
    return f"/api/repos/{_part(repo)}/sessions"


def _part(value: str) -> str:
    return quote(value, safe=":")
