"""What the web server keeps and lets through, over real connections."""

from __future__ import annotations

import json
import socket
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.sync.client import connect

from gantry.front import MAX_UNREAD_BYTES
from tests.scripted_model import ScriptedModel
from tests.servers import Product
from tests.waiting import until


@pytest.fixture(scope="module")
def served(
    database_with_alice: Path, tmp_path_factory: pytest.TempPathFactory, model_server: ScriptedModel
) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "gantry.db").write_bytes(database_with_alice.read_bytes())
    with Product(folder, tabby_host=model_server.url) as product:
        yield product


def connection(product: Product) -> socket.socket:
    return socket.create_connection(("127.0.0.1", httpx.URL(product.url).port or 0), timeout=10)


def test_the_answer_to_head_leaves_nothing_behind_on_the_connection(served: Product) -> None:
    with httpx.Client(base_url=served.url) as client:
        assert len(client.get("/api/schema", headers={"Accept": "application/json"}).content) > 65_536
        assert client.head("/api/schema", headers={"Accept": "application/json"}).content == b""
        assert client.get("/health").json()["version"] == "2.0.0"


def test_a_body_that_is_too_large_is_not_kept(served: Product) -> None:
    assert served.process is not None
    with closing(connection(served)) as upload:
        upload.sendall(b"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 40000000\r\n\r\n")
        for _ in range(39):
            upload.sendall(b"x" * 1_000_000)
        assert max(spooled_bytes(served.process.pid)) < 10_000_000
        upload.sendall(b"x" * 1_000_000)
        assert b" 413 " in upload.recv(200)


def test_connections_that_are_reset_are_let_go(served: Product) -> None:
    assert served.process is not None
    pid = served.process.pid
    sockets, spooled = open_sockets(pid), len([*spooled_bytes(pid)])
    for _ in range(40):
        with closing(connection(served)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"POST /nope HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 7000000\r\n\r\n")
            client.sendall(b"x" * 1_000_000)
    until(lambda: open_sockets(pid) <= sockets and len([*spooled_bytes(pid)]) <= spooled, patience=15.0)


def open_sockets(pid: int) -> int:
    """Also those that are connected to nothing any more."""
    handles = Path(f"/proc/{pid}/fd").iterdir()
    return sum("socket:" in str(handle.readlink()) for handle in handles if handle.is_symlink())


def spooled_bytes(pid: int) -> Iterator[int]:
    """How much lies in the nameless temporary files of a process."""
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            if "(deleted)" in str(handle.readlink()):
                yield handle.stat().st_size


@pytest.mark.parametrize("header", [b"Daphne-Root-Path: \xff", b"Sec-WebSocket-Protocol: \xff"])
def test_headers_meant_for_the_server_are_not_obeyed(served: Product, header: bytes) -> None:
    with closing(connection(served)) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + header + b"\r\nConnection: close\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 200")


def test_a_stranger_sets_no_prefix_of_our_addresses(served: Product) -> None:
    answer = httpx.get(f"{served.url}/setup", headers={"Daphne-Root-Path": "//evil.example"})
    assert "evil" not in answer.headers.get("Location", "")


def test_a_socket_that_is_not_read_is_cut_off(served: Product) -> None:
    client = served.sign_in()
    conversation_id = client.post("/api/chat/conversations").json()["id"]
    big = {"content": "x" * 900_000, "client_id": "big", "model": "say-1"}
    client.post(f"/api/chat/conversations/{conversation_id}/messages", json=big, headers={"Accept": "application/json"})
    again = json.dumps({"type": "message.send", "content": "a", "client_id": "big"})
    url = served.socket_url(f"/ws/conversations/{conversation_id}/")
    with connect(url, additional_headers=served.socket_headers(client), max_size=None, max_queue=1) as unread:
        for _ in range(2 * MAX_UNREAD_BYTES // 900_000):
            unread.send(again)
        port = unread.local_address[1]
        deadline = time.monotonic() + 30
        while is_connected(served, port):
            assert time.monotonic() < deadline
            time.sleep(0.1)  # whoever does not read hears nothing either


def is_connected(product: Product, port: int) -> bool:
    """Whether the product still holds a connection to this port of ours."""
    assert product.process is not None
    return any(each.raddr and each.raddr.port == port for each in psutil.Process(product.process.pid).net_connections())


def test_pages_say_when_the_database_is_away(served: Product) -> None:
    client = served.sign_in()
    with closing(sqlite3.connect(served.data_dir / "gantry.db")) as other:
        other.execute("ALTER TABLE conversations_conversation RENAME TO elsewhere")
        other.commit()
        page = client.get("/")
        other.execute("ALTER TABLE elsewhere RENAME TO conversations_conversation")
        other.commit()
    assert page.status_code == 503
    assert "database" in page.text.lower()
