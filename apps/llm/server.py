"""Which model server is asked, and how a connection to it is made: its address, our key, our patience.

Keys and credentials stay in here: what is shown to people is `ModelServer.shown`, and `redact` takes them out of
whatever a server says.
"""

from __future__ import annotations

import functools
import ssl
from dataclasses import dataclass, field
from typing import Self, TypedDict
from urllib.parse import unquote, urlsplit

import httpx
from django.conf import settings

from apps.llm.errors import LLMNotConfigured

# Many servers (all that run on uvicorn) end an idle connection after five seconds; we end ours first, so that no
# request is sent into a connection that is just being closed.
KEEPALIVE_SECONDS = 4.0
# httpx looks through the whole pool at every request.
KEPT_CONNECTIONS = 10


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `first_byte` is the silence borne before the first text, `silence` the one after it; any byte breaks
    a silence, headers and keep-alive comments included. `total` bounds the whole answer, whatever arrives."""

    connect: float = 10.0
    first_byte: float = 300.0
    silence: float = 60.0
    total: float = 1800.0


class ClientOptions(TypedDict):
    """What httpx.Client and httpx.AsyncClient are made with."""

    base_url: str
    headers: dict[bytes, bytes]
    auth: tuple[str, str] | None
    verify: ssl.SSLContext
    trust_env: bool
    limits: httpx.Limits


@dataclass(frozen=True, slots=True)
class ModelServer:
    """One server, as configured. Equal when nothing about it has changed."""

    base_url: str
    api_key: str = field(default="", repr=False)
    timeouts: Timeouts = Timeouts()

    @classmethod
    def from_settings(cls) -> Self:
        return cls(
            settings.TABBY_HOST,
            settings.LLM_API_KEY,
            Timeouts(
                connect=settings.LLM_CONNECT_TIMEOUT,
                first_byte=settings.LLM_FIRST_BYTE_TIMEOUT,
                silence=settings.LLM_SILENCE_TIMEOUT,
                total=settings.LLM_TOTAL_TIMEOUT,
            ),
        )

    def options(self) -> ClientOptions:
        """Raises LLMNotConfigured when there is no usable address."""
        address = _Address.parse(self.base_url)
        # As it is read on the wire: an event stream that is compressed comes in lumps.
        headers = {b"Accept-Encoding": b"identity", b"User-Agent": b"nebulus-gantry"}
        if key := self.api_key.strip():
            headers[b"Authorization"] = f"Bearer {key}".encode()
        return {
            "base_url": address.api,
            "headers": headers,
            "auth": None if key else address.credentials,
            "verify": ssl_context(trusts_anybody=address.api.startswith("https:")),
            "trust_env": False,
            "limits": httpx.Limits(
                max_connections=None, max_keepalive_connections=KEPT_CONNECTIONS, keepalive_expiry=KEEPALIVE_SECONDS
            ),
        }

    @property
    def shown(self) -> str:
        """Scheme, host and port, fit to be shown."""
        return _Address.parse(self.base_url).shown

    def redact(self, text: str) -> str:
        """`text` without our key and password, should the server repeat them."""
        _, password = _Address.parse(self.base_url).credentials or ("", "")
        for secret in (self.api_key.strip(), password):
            text = text.replace(secret, "…") if secret else text
        return text


@functools.cache
def ssl_context(*, trusts_anybody: bool) -> ssl.SSLContext:
    """Built once, since loading the world's certificates takes tens of milliseconds; without TLS none are loaded."""
    return httpx.create_ssl_context() if trusts_anybody else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True, slots=True)
class _Address:
    api: str
    shown: str
    credentials: tuple[str, str] | None

    @classmethod
    @functools.cache
    def parse(cls, text: str) -> Self:
        """With or without scheme, /v1 and trailing slashes."""
        if not text.strip():
            raise LLMNotConfigured
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
            api = f"{shown}{parts.path.rstrip('/').removesuffix('/v1').rstrip('/')}/v1/"
            host = httpx.URL(api).host.encode("idna")  # as the resolver will, which fails less gently
            usable = parts.scheme in ("http", "https") and bool(host) and parts.port != 0
        except (ValueError, httpx.InvalidURL):
            usable = False
        if not usable:
            raise LLMNotConfigured("TABBY_HOST is not the address of a server.")
        credentials = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        return cls(api, shown, credentials)
