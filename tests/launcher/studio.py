"""A small server on loopback that keeps sessions as the API does, and can be told to answer otherwise."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "gantry-token"

Session = dict[str, Any]
Answer = tuple[int, Any]
# Is given the handler of a request and does what it likes with it; False lets the request be answered as usual.
Fault = Callable[["_Handler"], bool]


class Studio:
    """Two repos of alice's, `alice/album` and `alice/demo`, with their sessions."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.repos = {f"sha256:{slug}": ("alice", slug) for slug in ("album", "demo")}
        self.sessions: dict[str, Session] = {}
        self.notes: dict[str, list[tuple[str, str]]] = {}
        self.requests: list[tuple[str, str]] = []
        self.faults: deque[Fault] = deque()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"studio": self}))
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Nobody answers any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def asked(self) -> list[str]:
        """The paths of the POSTs so far, without the ids."""
        return [path.rpartition("/")[2] for method, path in self.requests if method == "POST"]

    def begin(self, started_at: str, *, repo: str = "sha256:album", ended_at: str | None = None) -> str:
        """Somebody else begins a session; returns its id."""
        _, session = self._start(repo, {"startedAt": started_at, "endedAt": ended_at})
        return str(session["sessionId"])

    def answer(self, method: str, path: str, body: Session) -> Answer:
        """As docs/protocol.md says, as far as the command line needs it."""
        with self._lock:
            return self._answered(method, path, body)

    def _answered(self, method: str, path: str, body: Session) -> Answer:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match [unquote(part) for part in parts.path.split("/")[2:]]:
            case ["auth", "me"]:
                return 200, {"username": "alice"}
            case ["repos"]:
                return 200, {"repos": self._repos(query), "total": 2, "nextCursor": None}
            case ["repos", repo, "sessions"] if method == "GET" and repo in self.repos:
                return 200, self._page(repo, query)
            case ["repos", repo, "sessions"] if repo in self.repos:
                return self._start(repo, body)
            case ["repos", repo, "sessions", session, "stop"] if session in self.sessions:
                return 200, self._stop(session, body)
            case ["repos", repo, "sessions", session, "notes"] if session in self.sessions:
                return 200, self._note(session, body)
        return 404, {"detail": "Not found."}

    def _repos(self, query: dict[str, str]) -> list[Session]:
        named = (query["owner"], query["slug"])
        return [{"repoId": key, "owner": named[0], "slug": named[1]} for key, at in self.repos.items() if at == named]

    def _start(self, repo: str, body: Session) -> Answer:
        key = "sha256:" + hashlib.sha256(f"{repo}\n{body['startedAt']}".encode()).hexdigest()
        if key in self.sessions:
            return 200, self.sessions[key]
        known = {"participants": [], "intent": "", "location": "", "notes": "", "endedAt": None}
        self.sessions[key] = {**known, **body, "sessionId": key, "repoId": repo, "author": "alice"}
        self._settle(key)
        return 201, self.sessions[key]

    def _stop(self, key: str, body: Session) -> Session:
        if self.sessions[key]["isActive"]:
            self.sessions[key]["endedAt"] = body["endedAt"]
        return self._settle(key)

    def _note(self, key: str, body: Session) -> Session:
        said = self.notes.setdefault(key, [])
        if body["clientId"] not in [client_id for client_id, _ in said]:
            said.append((body["clientId"], body["text"]))
        return self._settle(key)

    def _settle(self, key: str) -> Session:
        session = self.sessions[key]
        began, ended = session["startedAt"], session["endedAt"]
        session["isActive"] = ended is None
        session["durationSeconds"] = ended and (_moment(ended) - _moment(began)).total_seconds()
        session["notes"] = "\n\n".join(text for _, text in self.notes.get(key, []))
        return session

    def _page(self, repo: str, query: dict[str, str]) -> Session:
        since, until = (_moment(query[name]) if name in query else None for name in ("since", "until"))
        found = [
            each
            for each in self.sessions.values()
            if each["repoId"] == repo
            and query.get("live") in (None, str(each["isActive"]).lower())
            and (since is None or _moment(each["startedAt"]) >= since)
            and (until is None or _moment(each["startedAt"]) < until)
        ]
        found.sort(key=lambda each: (each["isActive"], each["startedAt"]), reverse=True)
        first, limit = int(query.get("cursor", 0)), int(query.get("limit", 50))
        following = str(first + limit) if len(found) > first + limit else None
        return {"sessions": found[first : first + limit], "total": len(found), "nextCursor": following}


class _Handler(BaseHTTPRequestHandler):
    studio: Studio
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Session) -> None:
        self.body = body
        if self.studio.faults and self.studio.faults[0](self):
            self.studio.faults.popleft()
            return
        self.studio.requests.append((self.command, urlsplit(self.path).path))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.send(401, {"detail": "Sign in."})
        else:
            self.send(*self.studio.answer(self.command, self.path, body))

    def send(self, status: int, answer: object, **headers: str) -> None:
        """Answer with this; bytes as they are, all else as JSON."""
        payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        usual = {"Content_Type": "application/json", "Content_Length": str(len(payload))}
        for name, value in {**usual, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def says(status: int, answer: object, path: str = "", **headers: str) -> Fault:
    """The next request whose path ends like this is answered so, and has no effect."""

    def fault(handler: _Handler) -> bool:
        if not urlsplit(handler.path).path.endswith(path) or (path and handler.command == "GET"):
            return False
        handler.send(status, answer, **headers)
        return True

    return fault


def loses_answer(handler: _Handler) -> bool:
    """The next POST takes effect, and the connection breaks before the answer."""
    if handler.command == "POST":
        handler.studio.answer("POST", handler.path, handler.body)
        handler.studio.requests.append(("POST", urlsplit(handler.path).path))
        handler.close_connection = True
        return True
    return False


class Held:
    """The next POST takes effect; its answer waits until it is let go."""

    def __init__(self) -> None:
        self.reached, self.let_go = threading.Event(), threading.Event()

    def __call__(self, handler: _Handler) -> bool:
        if handler.command != "POST" or self.reached.is_set():
            return False
        answer = handler.studio.answer("POST", handler.path, handler.body)
        self.reached.set()
        self.let_go.wait(20)
        try:
            handler.send(*answer)
        except OSError:
            handler.close_connection = True
        return True
