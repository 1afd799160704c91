"""What surrounds every request: an id, one log line, a bound on its body, and whether a socket's origin is ours.

A line holds what an operator needs to follow a request (id, method, path, status, milliseconds) and never what
somebody wrote: no query string, no body, no cookie.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.http.response import HttpResponseBase
from django.utils.encoding import escape_uri_path

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
ASGIApplication = Callable[..., Awaitable[None]]

log = logging.getLogger("gantry.requests")
_request_id: ContextVar[str] = ContextVar("request_id", default="-")


class RequestLog:
    """Middleware: gives a request its id (also in `X-Request-ID`) and logs it in one line when it is answered."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """The response, or in an asynchronous stack its awaitable."""
        if self.is_async:
            return self._answer_async(request)
        _request_id.set(uuid4().hex[:12])
        started = time.perf_counter()
        return _answered(request, self.get_response(request), started)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        _request_id.set(uuid4().hex[:12])
        started = time.perf_counter()
        return _answered(request, await self.get_response(request), started)


def _answered(request: HttpRequest, response: HttpResponseBase, started: float) -> HttpResponseBase:
    response.headers["X-Request-ID"] = _request_id.get()
    if request.path != "/health":
        milliseconds = (time.perf_counter() - started) * 1000
        # Escaped again, or a path with spaces and control characters could pass for a line of ours.
        path = escape_uri_path(_without_words(request))
        # A page is one line; the two dozen files it is made of would bury it.
        is_file = path.startswith(settings.STATIC_URL) and response.status_code < 400
        level = logging.DEBUG if is_file else logging.INFO
        log.log(level, "method=%s path=%s status=%d ms=%.1f", request.method, path, response.status_code, milliseconds)
    return response


def _without_words(request: HttpRequest) -> str:
    """The path, with an ellipsis for what a route calls `secret`, which opens something by itself, and for what it
    calls `slug`, which is made of words that somebody wrote."""
    parts = request.resolver_match.kwargs if request.resolver_match is not None else {}
    path = request.path
    for name in ("secret", "slug"):
        if name in parts:
            path = path.replace(f"/{parts[name]}", "/…")
    return path


class RequestIdFilter(logging.Filter):
    """Puts the request's id on every record made while it is answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true: it adds, and drops nothing."""
        record.request_id = _request_id.get()
        return True


class LineFormatter(logging.Formatter):
    """One event, one line: time in UTC, level, logger, request id, message; a traceback's lines joined by ` | `."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its newline."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        request_id = getattr(record, "request_id", "-")
        text = record.getMessage()
        if record.exc_info:
            text = f"{text} | {self.formatException(record.exc_info)}"
        one_line = " | ".join(line.strip() for line in text.splitlines() if line.strip())
        return f"{at} {record.levelname} {record.name} request={request_id} {one_line}"


def client_address(headers: Mapping[str, str], peer: str | None) -> str:
    """The address of whoever asks: the peer, or behind TRUSTED_PROXIES the hop that the outermost of them saw.

    `headers` has lower-case names. Entries further left in X-Forwarded-For are the client's own claim.
    """
    hops = [hop.strip() for hop in headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    trusted: int = settings.TRUSTED_PROXIES
    if trusted and len(hops) >= trusted:
        return hops[-trusted]
    return peer or "unknown"


class BodyLimit:
    """ASGI wrapper: a body over MAX_BODY_BYTES is answered with 413 before anything keeps it.

    One that comes in chunks gets the length it turns out to have: DRF takes a body without a length for an empty one.
    """

    def __init__(self, app: ASGIApplication) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is small enough. A request without either header has no body."""
        told = {name: value for name, value in scope["headers"] if name in _LENGTHS}
        try:
            if b"content-length" in told:
                _check_length(int(told[b"content-length"]))
            elif told:
                scope, receive = await _measured(scope, receive)
        except _BodyTooLarge:
            await _refuse_body(send)
        else:
            await self.app(scope, receive, send)


_LENGTHS = (b"content-length", b"transfer-encoding")


class _BodyTooLarge(Exception):
    """More bytes came, or are to come, than are taken."""


def _check_length(length: int) -> None:
    if length > settings.MAX_BODY_BYTES:
        raise _BodyTooLarge


async def _measured(scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
    """The request with its whole body read, and a header that says how long it is; raises `_BodyTooLarge`."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        _check_length(len(body))
    unread = [{**message, "body": bytes(body)}]

    async def replaying() -> dict[str, Any]:
        return unread.pop() if unread else await receive()

    return {**scope, "headers": [*scope["headers"], (b"content-length", b"%d" % len(body))]}, replaying


async def _refuse_body(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"detail":"That is too large.","code":"too_large"}'})


class HeadWithoutBody:
    """ASGI wrapper: the answer to HEAD has no body. Django leaves that to the server, and daphne keeps back the first
    part of a body only: what follows it would be read as the answer to the connection's next request."""

    def __init__(self, app: ASGIApplication) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and drop the body of what comes back."""
        if scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def bare(message: dict[str, Any]) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self.app(scope, receive, bare)


class OriginCheck:
    """ASGI wrapper for sockets: a foreign Origin, or a cookie without any, is refused in the handshake.

    A browser always sends its Origin; a program with a Bearer token need not.
    """

    def __init__(self, app: ASGIApplication) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a socket whose origin is ours, close any other before it is accepted (HTTP 403)."""
        if socket_origin_allowed(header_map(scope["headers"]), scope.get("scheme", "ws")):
            await self.app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 4403})


def header_map(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """ASGI's headers by lower-case name; the last of a repeated one counts."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def socket_origin_allowed(headers: Mapping[str, str], scheme: str) -> bool:
    """Whether a handshake with these headers may go on."""
    host = headers.get("host", "")
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        return False
    origin = headers.get("origin")
    if origin is None:
        return "authorization" in headers or settings.SESSION_COOKIE_NAME not in headers.get("cookie", "")
    return origin.lower() in {_own_origin(headers, host, scheme), *map(_origin_of, settings.CSRF_TRUSTED_ORIGINS)}


def _own_origin(headers: Mapping[str, str], host: str, scheme: str) -> str:
    forwarded = headers.get("x-forwarded-proto", "") if settings.TRUSTED_PROXIES else ""
    secure = forwarded == "https" or scheme in ("wss", "https")
    return f"{'https' if secure else 'http'}://{host}".lower()


def _origin_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}".lower()
