"""bin/gantry session: every call ends with a status a script can use, and nothing that was typed is lost or doubled."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.servers import Product

from .conftest import ROOT, Checkout, run
from .studio import TOKEN, Fault, Held, Studio, loses_answer, says

LAUNCHER = (sys.executable, "-I", str(ROOT / "bin" / "_gantry"), "session")
EARLIER = "2026-01-31T20:00:00.000000+00:00"
NO_SUCH = "sha256:" + "0" * 64
NOBODY = "http://127.0.0.1:9"

Ended = subprocess.CompletedProcess[str]


@dataclass
class Terminal:
    """Somebody's shell, with a home of their own."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env |= {"HOME": str(self.home), "PATH": os.defpath, "TZ": "Europe/Berlin"}

    @property
    def config(self) -> Path:
        return self.home / ".config" / "nebulus-gantry" / "config.json"

    @property
    def journal(self) -> Path:
        return self.home / ".local" / "state" / "nebulus-gantry" / "outbox.jsonl"

    @property
    def refused(self) -> list[dict[str, object]]:
        file = self.journal.with_name("refused.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def waiting(self) -> list[str]:
        """The verbs of what is kept, in order."""
        lines = [json.loads(line) for line in self.journal.read_text().splitlines()]
        done = {line["done"] for line in lines if "done" in line}
        return [line["given"]["verb"] for line in lines if "given" in line and line["given"]["id"] not in done]

    def wait_for_given(self, count: int) -> None:
        """Until so many calls have kept what they were given; a file announces nothing."""
        deadline = time.monotonic() + 20
        while self.journal.read_text().count('"given"') < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def type(self, *words: str, given: str = "", **env: str) -> Ended:
        """Run it to its end; standard output and standard error apart."""
        return subprocess.run(
            [*LAUNCHER, *words],
            env=self.env | env,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def good(self, *words: str, given: str = "", **env: str) -> str:
        """What it prints, once it is done."""
        ended = self.type(*words, given=given, **env)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Run it beside the test."""
        return subprocess.Popen(
            [*LAUNCHER, *words],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def studio() -> Iterator[Studio]:
    server = Studio()
    yield server
    server.close()


@pytest.fixture
def stranger(tmp_path: Path) -> Terminal:
    """Has not signed in."""
    return Terminal(tmp_path)


@pytest.fixture
def alice(tmp_path: Path, studio: Studio) -> Terminal:
    """Is signed in; the album is her usual repo."""
    terminal = Terminal(tmp_path)
    terminal.config.parent.mkdir(parents=True)
    terminal.config.touch(0o600)
    terminal.config.write_text(json.dumps({"url": studio.url, "token": TOKEN, "repo": "alice/album"}))
    return terminal


def offline(terminal: Terminal, *words: str) -> Ended:
    """Typed without a network."""
    config = json.loads(terminal.config.read_text())
    gone = terminal.type(*words, http_proxy=NOBODY, GANTRY_URL=config["url"])
    assert gone.returncode == 5, gone.stderr
    return gone


# --- A session from beginning to end


def test_a_session_is_started_noted_and_stopped_and_then_listed(alice: Terminal, studio: Studio) -> None:
    started = json.loads(
        alice.good("start", "--json", "--participant", "Ada", "--participant", "Björk", "--intent", "Strings")
    )
    assert (started["participants"], started["intent"], started["isActive"]) == (["Ada", "Björk"], "Strings", True)
    key = started["sessionId"]
    assert alice.good("note", "--quiet", "take two was it") == key
    assert alice.good("note", "--quiet", "-", given="from\na script") == key
    assert [text for _, text in studio.notes[key]] == ["take two was it", "from\na script"]
    assert alice.good("list", "--live", "--quiet") == key
    assert json.loads(alice.good("stop", "--json"))["isActive"] is False
    assert alice.good("list", "--live", "--quiet") == ""
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d +0:00:\d\d  Ada, Björk · Strings +{key}", alice.good("list"))


def test_a_note_on_standard_input_is_utf_8_in_any_locale(alice: Terminal, studio: Studio) -> None:
    key = alice.good("start", "--quiet")
    command = [*LAUNCHER, "note", "-"]
    for given, status in (("Flöte".encode(), 0), ("Flöte".encode("latin-1"), 2)):
        ended = subprocess.run(command, env=alice.env | {"LC_ALL": "C"}, input=given, capture_output=True, check=False)
        assert ended.returncode == status, ended.stderr
    assert [text for _, text in studio.notes[key]] == ["Flöte"]


def test_times_without_an_offset_are_local_and_others_exact(alice: Terminal, studio: Studio) -> None:
    key = alice.good("start", "--quiet", "--at", "2026-01-31T21:00")
    alice.good("stop", "--at", "2026-01-31T15:30:00.5-06:00")
    assert studio.sessions[key]["startedAt"] == EARLIER
    assert studio.sessions[key]["endedAt"] == "2026-01-31T21:30:00.500000+00:00"


@pytest.mark.parametrize(
    ("ended_at", "length"),
    [
        ("2026-01-31T21:05:09+00:00", "  1:05:09"),
        ("2026-02-01T20:00:00+00:00", " 24:00:00"),
        ("2026-02-05T21:05:09.75+00:00", "121:05:09"),
        (None, "     live"),
    ],
)
def test_how_long_a_session_took_is_said_in_hours_as_on_the_pages(
    alice: Terminal, studio: Studio, ended_at: str | None, length: str
) -> None:
    key = studio.begin(EARLIER, ended_at=ended_at)
    assert alice.good("list") == f"2026-01-31 21:00  {length:>9}  {'':<40}  {key}"


def test_the_list_goes_on_over_pages_as_far_as_asked(alice: Terminal, studio: Studio) -> None:
    begins = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(230)]
    keys = [studio.begin(begin.isoformat(), ended_at=begin.isoformat()) for begin in begins]
    assert len(alice.good("list", "--quiet").splitlines()) == 20
    assert alice.good("list", "--quiet", "--limit", "205").splitlines() == keys[:-206:-1]
    assert len(json.loads(alice.good("list", "--json", "--limit", "1000"))["sessions"]) == 230
    assert sum(path.endswith("/sessions") for _, path in studio.requests) == 1 + 3 + 3


def test_the_repo_is_the_one_typed_or_the_environments_or_the_usual_one(alice: Terminal, studio: Studio) -> None:
    usual, meant, typed = (
        alice.good("start", "--quiet"),
        alice.good("start", "--quiet", GANTRY_REPO="alice/demo"),
        alice.good("start", "--quiet", "--repo", "alice/album", GANTRY_REPO="alice/demo"),
    )
    where = [studio.sessions[key]["repoId"] for key in (usual, meant, typed)]
    assert where == ["sha256:album", "sha256:demo", "sha256:album"]


def test_a_public_repo_of_somebody_elses_is_found(alice: Terminal, studio: Studio) -> None:
    studio.repos["sha256:jam"] = ("bob", "jam")
    key = studio.begin(EARLIER, repo="sha256:jam")
    assert alice.good("list", "--quiet", "--repo", "bob/jam") == key


def test_of_several_live_sessions_it_says_which_and_takes_an_id_or_a_start(alice: Terminal, studio: Studio) -> None:
    first, second = studio.begin(EARLIER), studio.begin("2026-01-31T21:00:00+00:00")
    ended = alice.type("stop")
    assert ended.returncode == 6
    assert first in ended.stderr
    assert second in ended.stderr
    assert alice.good("stop", "--quiet", "--session", EARLIER) == first
    assert alice.good("stop", "--quiet", "--session", second) == second


@pytest.mark.parametrize("length", [7, 10, 63, 64])
def test_the_beginning_of_an_id_is_enough(alice: Terminal, studio: Studio, length: int) -> None:
    studio.begin(EARLIER)
    key = alice.good("start", "--quiet")
    beginning = key.removeprefix("sha256:")[:length]
    assert alice.good("note", "x", "--quiet", "--session", beginning) == key
    assert alice.good("note", "y", "--quiet", "--session", beginning.upper()) == key
    assert alice.good("stop", "--quiet", "--session", f"sha256:{beginning}") == key
    assert [text for _, text in studio.notes[key]] == ["x", "y"]
    assert not studio.sessions[key]["isActive"]


def test_a_beginning_that_several_ids_have_is_refused_and_changes_nothing(alice: Terminal, studio: Studio) -> None:
    key = studio.begin(EARLIER, ended_at=EARLIER)
    twin = key[:20] + "0" * 51
    studio.sessions[twin] = studio.sessions[key] | {"sessionId": twin}
    for words in (("note", "x"), ("stop",)):
        ended = alice.type(*words, "--session", key[:20])
        assert ended.returncode == 6
        assert key in ended.stderr
        assert twin in ended.stderr
        assert ended.stdout == ""
    assert (studio.asked, alice.refused) == ([], [])
    assert not alice.journal.exists()
    assert alice.good("note", "x", "--quiet", "--session", twin) == twin


def test_a_beginning_is_looked_for_in_the_repo_alone(alice: Terminal, studio: Studio) -> None:
    key = studio.begin(EARLIER, repo="sha256:demo")
    assert alice.type("stop", "--session", key[:17]).returncode == 4
    assert studio.sessions[key]["isActive"]
    assert alice.good("stop", "--quiet", "--repo", "alice/demo", "--session", key[:17]) == key


def test_what_could_be_a_time_is_one_unless_it_is_said_to_be_an_id(alice: Terminal, studio: Studio) -> None:
    assert "began at 2026-01-30T23:00" in alice.type("stop", "--session", "20260131").stderr
    assert "begins with sha256:20260131." in alice.type("stop", "--session", "sha256:20260131").stderr
    assert "begins with sha256:00010101." in alice.type("stop", "--session", "00010101").stderr


def test_what_others_wrote_has_no_power_over_the_terminal(alice: Terminal, studio: Studio) -> None:
    alice.good("start", "--intent", "\x1b]0;owned\x07\nsha256:fake\x9b31m")
    shown = alice.good("list")
    assert "owned" in shown
    assert shown.isprintable()
    studio.faults.append(says(422, {"detail": "bad \x1b[2J"}, "/notes"))
    assert "\x1b" not in alice.type("note", "x").stderr
    studio.faults.append(says(500, {"detail": "worse \x1b[2J"}))
    assert "worse  [2J" in alice.type("list").stderr


# --- Exit statuses


@pytest.mark.parametrize(
    ("words", "fault", "status", "sentence"),
    [
        (("start",), says(401, {"detail": "Sign in."}, "/sessions"), 3, "does not take the token"),
        (("start",), says(403, {"detail": "You may not write here."}, "/sessions"), 3, "You may not write here."),
        (("start", "--repo", "alice/none"), None, 4, "There is no repo alice/none"),
        (("stop",), None, 4, "No session of alice/album is live."),
        (("note", "x", "--session", NO_SUCH), None, 4, "Not found."),
        (("note", "x", "--session", EARLIER), None, 4, "No session of alice/album began at"),
        (("start",), says(409, {"detail": "Not now."}, "/sessions"), 6, "Not now."),
        (("start",), says(422, {"detail": "No.", "errors": {"intent": ["Too long."]}}, "/sessions"), 6, "Too long."),
        (("list",), says(503, {"detail": "Down."}), 7, "out of order"),
        (("list", "--repo", "alice/none"), None, 4, "There is no repo"),
        (("list", "--repo", "album"), None, 2, "owner/slug"),
        (("list", "--limit", "0"), None, 2, "from 1 on"),
        (("start", "--at", "soon"), None, 2, "no time"),
        (("start", "--at", "0001-01-01"), None, 2, "no time"),
        (("stop", "--session", NO_SUCH[:-1]), None, 4, "No session of alice/album has an id that begins with"),
        (("note", "x", "--session", "0123456"), None, 4, "begins with sha256:0123456."),
        (("note", "x", "--session", "012345"), None, 2, "7 characters"),
        (("note", "x", "--session", "sha256:"), None, 2, "7 characters"),
        (("note", "x", "--session", "yesterday"), None, 2, "7 characters"),
        (("note", " \n"), None, 2, "empty"),
        (("nonsense",), None, 2, "invalid choice"),
        ((), None, 2, "required"),
    ],
)
def test_each_way_to_fail_has_its_status_and_its_sentence(
    alice: Terminal, studio: Studio, words: tuple[str, ...], fault: Fault | None, status: int, sentence: str
) -> None:
    studio.faults.extend([fault] if fault else [])
    ended = alice.type(*words)
    assert ended.returncode == status, ended.stderr
    assert sentence in ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (("start", "--at", "soon"), {}),
        (("stop", "--session", "yesterday"), {}),
        (("stop",), {}),
        (("stop", "--session", "0"), {}),
        (("list",), {"GANTRY_TOKEN": "ended"}),
        (("list",), {"GANTRY_URL": "https://other.example.org"}),
        (("list",), {"GANTRY_URL": "gantry"}),
        (("list",), {"XDG_CONFIG_HOME": "/nowhere"}),
        (("login",), {"XDG_CONFIG_HOME": "/nowhere"}),
    ],
)
def test_what_is_said_are_whole_sentences(
    alice: Terminal, studio: Studio, words: tuple[str, ...], env: dict[str, str]
) -> None:
    studio.begin(EARLIER), studio.begin("2026-01-31T21:00:00+00:00")
    ended = alice.type(*words, **env)
    assert ended.returncode
    assert ended.stderr.endswith(".\n"), ended.stderr
    assert not re.search(r"(https?://\S*|sha256:\w+|')\.\n$", ended.stderr.replace("https://gantry.example.org", ""))


def test_a_command_that_is_said_can_be_copied_up_to_the_words_around_it(alice: Terminal, studio: Studio) -> None:
    alice.config.write_text("{")
    for said in (alice.type("list").stderr, alice.type("list", GANTRY_URL=studio.url).stderr):
        assert "bin/gantry session login --url https://… " in said


def test_each_status_is_documented() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE))
    helped = set(re.findall(r"(\d) \w", run(*LAUNCHER, "--help", env={"PATH": os.defpath}).stdout.split("status:")[1]))
    source = (ROOT / "bin" / "_gantry" / "outcomes.py").read_text(encoding="utf-8")
    used = {"0", "1", *re.findall(r"(?:status|KEPT) = (\d)", source)}
    assert documented == helped == used


# --- Signing in


def test_the_token_is_stored_for_its_owners_eyes_only(stranger: Terminal, studio: Studio) -> None:
    stranger.config.parent.mkdir(parents=True, mode=0o755)
    ended = stranger.type("login", "--url", f"{studio.url}/", given=TOKEN)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "as alice" in ended.stderr
    assert TOKEN not in ended.stderr
    assert stat.S_IMODE(stranger.config.stat().st_mode) == 0o600
    assert stat.S_IMODE(stranger.config.parent.stat().st_mode) == 0o700
    assert list(stranger.config.parent.iterdir()) == [stranger.config]
    assert json.loads(stranger.config.read_text()) == {"url": studio.url, "token": TOKEN, "repo": ""}


def test_a_token_that_opens_nothing_is_not_stored(stranger: Terminal, studio: Studio) -> None:
    assert stranger.type("login", "--url", studio.url, given="wrong").returncode == 3
    assert stranger.type("login", "--url", NOBODY, given=TOKEN).returncode == 7
    assert stranger.type("login", "--url", studio.url, given="two words").returncode == 2
    assert stranger.type("login", "--url", studio.url, given=" ").returncode == 2
    assert stranger.type("login", given=TOKEN).returncode == 2
    assert not stranger.config.exists()


def test_a_usual_repo_that_is_not_there_is_said_at_once_and_nothing_is_stored(
    stranger: Terminal, studio: Studio
) -> None:
    ended = stranger.type("login", "--url", studio.url, "--repo", "alice/none", given=TOKEN)
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr == "gantry: There is no repo alice/none, or it is not yours to see.\n"
    assert not stranger.config.exists()
    stranger.good("login", "--url", studio.url, "--repo", "alice/demo", given=TOKEN)
    assert json.loads(stranger.config.read_text())["repo"] == "alice/demo"


def test_a_usual_repo_from_before_is_no_hindrance_to_signing_in(alice: Terminal, studio: Studio) -> None:
    studio.repos.clear()
    alice.good("login", "--url", studio.url, given=TOKEN)
    assert json.loads(alice.config.read_text())["repo"] == "alice/album"


@pytest.mark.parametrize("url", ["gantry.example.org", "ftp://example.org", "http://", "http://h:99999", "http://u@h"])
def test_what_is_no_address_is_refused(stranger: Terminal, url: str) -> None:
    ended = stranger.type("login", "--url", url, given=TOKEN)
    assert ended.returncode == 2
    assert "no address of a server" in ended.stderr
    assert stranger.type("list", GANTRY_URL=url, GANTRY_TOKEN=TOKEN).returncode == 2


def test_a_token_that_travels_in_the_clear_is_warned_of(stranger: Terminal, studio: Studio) -> None:
    clear = stranger.type("login", "--url", "http://gantry.example.org", given=TOKEN, http_proxy=studio.url)
    assert "has no TLS" in clear.stderr
    assert "has no TLS" not in stranger.type("login", "--url", studio.url, given=TOKEN).stderr


def test_a_token_file_is_used_when_nobody_else_can_read_it(stranger: Terminal, studio: Studio, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o640)
    ended = stranger.type("login", "--url", studio.url, "--token-file", str(file))
    assert ended.returncode == 1
    assert f"chmod 600 '{file}'" in ended.stderr
    file.chmod(0o600)
    stranger.good("login", "--url", studio.url, "--token-file", str(file))
    assert stranger.type("login", "--url", studio.url, "--token-file", str(tmp_path / "none")).returncode == 1


def test_a_stored_token_that_others_can_read_is_not_used(alice: Terminal, studio: Studio) -> None:
    alice.config.chmod(0o644)
    ended = alice.type("start")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "Others can read" in ended.stderr
    assert studio.requests == []


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"url": 5}', b"\xff", b"[" * 100_000])
def test_settings_that_cannot_be_read_are_one_sentence_and_mended_by_login(
    alice: Terminal, studio: Studio, content: bytes
) -> None:
    alice.config.write_bytes(content)
    ended = alice.type("start")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert str(alice.config) in ended.stderr
    alice.good("login", "--url", studio.url, given=TOKEN)
    alice.good("start", "--repo", "alice/album")


def test_without_signing_in_nothing_is_asked_or_kept(stranger: Terminal) -> None:
    for words in (("start",), ("list",), ("sync",)):
        assert stranger.type(*words, GANTRY_REPO="alice/album").returncode == 3
    assert not stranger.journal.exists()


def test_the_environment_is_enough_and_wins(alice: Terminal, studio: Studio, stranger: Terminal) -> None:
    env = {"GANTRY_URL": studio.url, "GANTRY_TOKEN": TOKEN, "GANTRY_REPO": "alice/demo"}
    alice.config.write_text(json.dumps({"url": NOBODY, "token": "old", "repo": "x/y"}))
    key = alice.good("start", "--quiet", **env)
    assert studio.sessions[key]["repoId"] == "sha256:demo"


def test_a_stored_token_goes_to_no_other_address(alice: Terminal, studio: Studio) -> None:
    other = Studio()
    try:
        ended = alice.type("start", GANTRY_URL=other.url)
        assert ended.returncode == 3
        studio.faults.append(says(302, b"", Location=f"{other.url}/api/repos"))
        ended = alice.type("start")
        assert ended.returncode == 5
        assert other.url in ended.stderr
    finally:
        other.close()
    assert other.requests == []


def test_other_places_for_these_files_can_be_named(stranger: Terminal, studio: Studio, tmp_path: Path) -> None:
    stranger.env |= {"XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_STATE_HOME": str(tmp_path / "s")}
    stranger.good("login", "--url", studio.url, "--repo", "alice/album", given=TOKEN)
    stranger.good("start")
    assert (tmp_path / "c" / "nebulus-gantry" / "config.json").exists()
    assert stat.S_IMODE((tmp_path / "s" / "nebulus-gantry").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "s" / "nebulus-gantry" / "outbox.jsonl").stat().st_mode) == 0o600


# --- Offline


def test_what_is_typed_offline_is_kept_and_sent_once_and_in_order_by_the_next_call(
    alice: Terminal, studio: Studio
) -> None:
    before = datetime.now(UTC)
    started = offline(alice, "start", "--intent", "Strings", "--quiet").stdout.strip()
    offline(alice, "note", "take one")
    offline(alice, "note", "take two")
    said = offline(alice, "stop").stderr
    after = datetime.now(UTC)
    assert "cannot be reached" in said
    assert "is kept" in said
    assert alice.waiting == ["start", "note", "note", "stop"]
    assert stat.S_IMODE(alice.journal.stat().st_mode) == 0o600
    assert studio.requests == []

    key = alice.good("list", "--quiet")
    assert studio.asked == ["sessions", "notes", "notes", "stop"]
    session = studio.sessions[key]
    assert before <= datetime.fromisoformat(session["startedAt"]) <= datetime.fromisoformat(session["endedAt"]) <= after
    assert session["startedAt"] == started
    assert [text for _, text in studio.notes[key]] == ["take one", "take two"]

    alice.good("list")
    assert len(studio.asked) == 4
    assert alice.journal.read_text() == ""


def test_a_session_started_offline_is_named_by_its_start_before_and_after_it_is_sent(
    alice: Terminal, studio: Studio
) -> None:
    first = offline(alice, "start", "--quiet").stdout.strip()
    second = json.loads(offline(alice, "start", "--json").stdout)["session"]
    several = alice.type("note", "for either", GANTRY_URL=studio.url, http_proxy=NOBODY)
    assert several.returncode == 6
    assert first in several.stderr
    assert second in several.stderr
    assert "set aside" in several.stderr
    assert [given["fields"] for given in alice.refused] == [{"text": "for either"}]
    assert offline(alice, "stop", "--session", first, "--quiet").stdout.strip() == first
    assert offline(alice, "note", "to the second", "--quiet").stdout.strip() == second
    alice.good("sync")
    assert alice.good("note", "more", "--quiet", "--session", second) == alice.good("list", "--live", "--quiet")


def test_the_beginning_of_an_id_is_not_kept_since_it_might_mean_another_session_later(
    alice: Terminal, studio: Studio
) -> None:
    key = studio.begin(EARLIER)
    for words in (("note", "x"), ("stop",)):
        ended = alice.type(*words, "--session", key[:17], GANTRY_URL=studio.url, http_proxy=NOBODY)
        assert ended.returncode == 7
        assert "cannot be reached" in ended.stderr
        assert "not kept" in ended.stderr
    assert alice.type("note", "x", "--session", key[:17], GANTRY_TOKEN="ended").returncode == 3
    studio.faults.append(says(429, {"detail": "Slower."}, Retry_After="3600"))
    assert alice.type("note", "x", "--session", key[:17]).returncode == 7
    assert not alice.journal.exists()
    offline(alice, "note", "x", "--session", key)
    assert alice.waiting == ["note"]


def test_an_abbreviated_id_is_kept_whole_once_it_was_looked_up(alice: Terminal, studio: Studio) -> None:
    key = studio.begin(EARLIER)
    studio.faults.append(says(503, {"detail": "Down."}, "/notes"))
    ended = alice.type("note", "x", "--quiet", "--session", key[:17])
    assert (ended.returncode, ended.stdout.strip()) == (5, key)
    alice.good("sync")
    assert [text for _, text in studio.notes[key]] == ["x"]


def test_kept_items_are_for_the_session_that_was_live_when_they_were_typed(alice: Terminal, studio: Studio) -> None:
    ours = studio.begin(EARLIER)
    offline(alice, "note", "a thought")
    offline(alice, "stop")
    ended_at = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    studio.answer("POST", f"/api/repos/sha256:album/sessions/{ours}/stop", {"endedAt": ended_at})
    later = studio.begin((datetime.now(UTC) + timedelta(minutes=2)).isoformat())
    alice.good("sync")
    assert [text for _, text in studio.notes[ours]] == ["a thought"]
    assert studio.sessions[ours]["endedAt"] == ended_at
    assert studio.sessions[later]["isActive"]


def test_a_note_that_arrives_late_says_when_it_was_written(alice: Terminal, studio: Studio) -> None:
    key = studio.begin(EARLIER)
    offline(alice, "note", "a thought", "--session", key)
    entry = json.loads(alice.journal.read_text())
    entry["given"]["at"] = "2026-01-31T20:15:00.000000+00:00"
    alice.journal.write_text(json.dumps(entry) + "\n")
    alice.good("sync")
    assert [text for _, text in studio.notes[key]] == ["Written 2026-01-31 20:15 UTC: a thought"]


def test_what_is_kept_goes_only_to_the_server_it_is_for(alice: Terminal, studio: Studio) -> None:
    offline(alice, "start")
    other = Studio()
    try:
        alice.good("start", GANTRY_URL=other.url, GANTRY_TOKEN=TOKEN)
        assert len(other.sessions) == 1
    finally:
        other.close()
    assert alice.waiting == ["start"]
    alice.good("sync")
    assert len(studio.sessions) == 1


def test_what_the_server_refuses_is_set_aside_with_its_reason_and_blocks_nothing(
    alice: Terminal, studio: Studio
) -> None:
    offline(alice, "start", "--intent", "Bad")
    offline(alice, "note", "of the bad one")
    offline(alice, "start", "--repo", "alice/none")
    offline(alice, "start", "--repo", "alice/demo")
    studio.faults.append(says(422, {"detail": "Too bad."}, "/sessions"))
    ended = alice.type("sync")
    assert ended.returncode == 6
    assert "Too bad." in ended.stderr
    assert [session["repoId"] for session in studio.sessions.values()] == ["sha256:demo"]
    assert [(entry["verb"], str(entry["reason"]).split(" began")[0]) for entry in alice.refused] == [
        ("start", "Too bad."),
        ("note", "No session of alice/album"),
        ("start", "There is no repo alice/none, or it is not yours to see."),
    ]
    assert alice.refused[1]["fields"] == {"text": "of the bad one"}
    assert alice.waiting == []


def test_a_token_that_ended_keeps_everything_until_the_next_login(alice: Terminal, studio: Studio) -> None:
    offline(alice, "start")
    assert alice.type("note", "x", GANTRY_TOKEN="ended").returncode == 3
    assert alice.type("sync", GANTRY_TOKEN="ended").returncode == 3
    assert alice.waiting == ["start", "note"]
    assert alice.refused == []
    alice.good("sync")
    assert studio.asked[-2:] == ["sessions", "notes"]


# --- Answers that are none


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (says(200, b"<h1>Welcome to the hotel</h1>"), "not as Nebulus Gantry does"),
        (says(404, b"<h1>Not found</h1>"), "not as Nebulus Gantry does"),
        (says(404, {"error": "no route"}), "not as Nebulus Gantry does"),
        (says(200, [1, 2]), "not as Nebulus Gantry does"),
        (says(200, {"repos": [5], "nextCursor": None}), "not as Nebulus Gantry does"),
        (says(201, {"id": 5}, "/sessions"), "not as Nebulus Gantry does"),
        (says(407, b""), "not as Nebulus Gantry does"),
        (says(502, b"<h1>Bad gateway</h1>"), "not as Nebulus Gantry does"),
        (says(500, {"detail": "Oh."}), "out of order"),
        (says(429, {"detail": "Slower."}, Retry_After="3600"), "come back in 3600 s"),
        (says(429, {"detail": "Slower."}), "come back later"),
        (says(200, b"{}", Content_Length="5"), "cannot be reached"),
    ],
)
def test_what_is_no_verdict_keeps_what_was_typed(alice: Terminal, studio: Studio, fault: Fault, sentence: str) -> None:
    studio.faults.append(fault)
    ended = alice.type("start")
    assert (ended.returncode, ended.stderr.count("\n")) == (5, 1), ended.stderr
    assert sentence in ended.stderr
    assert alice.waiting == ["start"]
    alice.good("sync")
    assert len(studio.sessions) == 1


def test_a_short_wait_that_the_server_asks_for_is_waited(alice: Terminal, studio: Studio) -> None:
    studio.faults.append(says(429, {"detail": "Slower."}, "/sessions", Retry_After="0"))
    alice.good("start")
    assert len(studio.sessions) == 1


def test_a_wrong_certificate_is_said_and_nothing_is_lost(stranger: Terminal, studio: Studio, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Studio(tls=context)
    env = {"GANTRY_URL": server.url, "GANTRY_TOKEN": TOKEN, "GANTRY_REPO": "alice/album"}
    try:
        ended = stranger.type("start", **env)
        assert ended.returncode == 5
        assert "certificate is not trusted" in ended.stderr
        stranger.good("list", **env, SSL_CERT_FILE=str(certificate))
        assert len(server.sessions) == 1
    finally:
        server.close()
    plain = env | {"GANTRY_URL": studio.url.replace("http:", "https:")}
    assert "does not speak TLS" in stranger.type("start", **plain).stderr


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """One for 127.0.0.1 that only vouches for itself, with its key."""
    from ipaddress import IPv4Address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gantry")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / "certificate.pem"
    file.write_bytes(made.public_bytes(pem) + private)
    return file


# --- Kills, and several calls at once


@pytest.mark.parametrize("words", [("start",), ("note", "x"), ("stop",)])
def test_an_answer_that_is_lost_is_asked_for_again_and_changes_nothing(
    alice: Terminal, studio: Studio, words: tuple[str, ...]
) -> None:
    if words != ("start",):
        alice.good("start")
    studio.faults.append(loses_answer)
    assert alice.type(*words).returncode == 5
    done = json.dumps([studio.sessions, studio.notes])
    alice.good("sync")
    assert studio.asked[-2] == studio.asked[-1]
    assert json.dumps([studio.sessions, studio.notes]) == done


def test_killed_between_sending_and_knowing_it_is_sent_again_without_harm(alice: Terminal, studio: Studio) -> None:
    held = Held()
    studio.faults.append(held)
    killed = alice.begin("start")
    assert held.reached.wait(20)
    killed.kill()
    killed.communicate()
    held.let_go.set()
    assert alice.waiting == ["start"]
    alice.good("note", "x")
    [notes] = studio.notes.values()
    assert [text for _, text in notes] == ["x"]
    assert len(studio.sessions) == 1


def test_ctrl_c_while_it_sends_keeps_what_was_typed(alice: Terminal, studio: Studio) -> None:
    held = Held()
    studio.faults.append(held)
    call = alice.begin("start")
    assert held.reached.wait(20)
    call.send_signal(signal.SIGINT)
    _, said = call.communicate(timeout=20)
    held.let_go.set()
    assert (call.returncode, said) == (130, "gantry: Stopped; what you gave is kept, and goes with the next call.\n")
    assert alice.waiting == ["start"]


def test_calls_at_once_keep_their_order_and_each_learns_its_own_outcome(alice: Terminal, studio: Studio) -> None:
    key = alice.good("start", "--quiet")
    held = Held()
    studio.faults.append(held)
    calls = [alice.begin("note", "first", "--quiet")]
    assert held.reached.wait(20)
    calls += [alice.begin("note", f"note {number}", "--quiet") for number in range(5)]
    calls += [alice.begin("start", "--repo", "alice/none")]
    alice.wait_for_given(len(calls))
    held.let_go.set()
    ended = [(call.communicate(timeout=60)[0].strip(), call.returncode) for call in calls]
    assert ended == [(key, 0)] * 6 + [("", 4)]
    assert studio.asked.count("notes") == 5  # and the one that was held
    said = [text for _, text in studio.notes[key]]
    assert said[0] == "first"
    assert sorted(said) == ["first", *(f"note {number}" for number in range(5))]
    assert alice.journal.read_text() == ""


def test_calls_at_once_without_a_network_are_all_kept(alice: Terminal, studio: Studio) -> None:
    studio.begin(EARLIER)
    alice.env["http_proxy"] = NOBODY
    calls = [alice.begin("note", f"note {number}") for number in range(6)]
    for call in calls:
        call.communicate(timeout=60)
    assert [call.returncode for call in calls] == [5] * 6
    assert len(alice.waiting) == 6
    alice.good("sync", http_proxy="")
    [notes] = studio.notes.values()
    assert len(notes) == len(set(notes)) == 6


def test_a_line_that_a_kill_cut_off_spoils_no_other(alice: Terminal, studio: Studio) -> None:
    offline(alice, "start")
    first = alice.journal.read_text()
    with alice.journal.open("a", encoding="utf-8") as journal:
        journal.write(f'{{"done": 5}}\n[]\n\n{first.replace("T", " at ")}{{"given": {{"id": "12')
    offline(alice, "start", "--repo", "alice/demo")
    alice.good("sync")
    assert len(studio.sessions) == 2
    assert [entry["line"] for entry in alice.refused] == [
        '{"done": 5}',
        "[]",
        first.replace("T", " at ").strip(),
        '{"given": {"id": "12',
    ]
    assert alice.journal.read_text() == ""


def test_a_full_disk_is_said_and_what_was_kept_before_stays_whole(alice: Terminal, studio: Studio) -> None:
    offline(alice, "start")
    room = alice.journal.stat().st_size + 100

    ended = subprocess.run(
        [*LAUNCHER, "note", "x" * 1000],
        env=alice.env,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert alice.waiting == ["start"]


def test_a_reader_that_has_seen_enough_is_no_failure(alice: Terminal, studio: Studio) -> None:
    for hour in range(20):
        studio.begin(f"2026-01-01T{hour:02}:00:00+00:00", ended_at=EARLIER)
    call = alice.begin("list")
    assert call.stdout is not None
    call.stdout.close()
    assert call.stderr is not None
    assert call.stderr.read() == ""
    call.stderr.close()
    assert call.wait(20) == 141


# --- The entrance


def test_it_needs_no_installation(checkout: Checkout, studio: Studio, tmp_path: Path) -> None:
    shutil.rmtree(checkout.root / ".venv")
    env = {"GANTRY_URL": studio.url, "GANTRY_TOKEN": TOKEN, "GANTRY_REPO": "alice/album"}
    ended = checkout.run("session", "start", "--quiet", **env)
    assert (ended.returncode, ended.stdout.strip()) == (0, next(iter(studio.sessions)))
    assert checkout.run("session", "stop", "--session", NO_SUCH, **env).returncode == 4
    assert not (checkout.root / ".venv").exists()
    assert not (checkout.root / ".env").exists()
    assert "bin/gantry session" in checkout.run("--help").stdout


# --- Against the product


def test_the_product_understands_every_verb(stranger: Terminal, tmp_path: Path) -> None:
    with Product(tmp_path / "data", tabby_host=NOBODY, LOG_LEVEL="WARNING") as product:
        product.add_account()
        browser = product.sign_in()
        browser.post("/api/repos", json={"name": "Album", "visibility": "private"}).raise_for_status()
        token = browser.post("/api/auth/tokens", json={"name": "terminal"}).json()["token"]
        stranger.good("login", "--url", product.url, "--repo", "alice/album", given=token)

        key = stranger.good("start", "--quiet", "--participant", "Ada", "--intent", "Strings")
        stranger.good("note", "take two was it")
        assert stranger.good("list", "--live", "--quiet") == key
        assert stranger.good("note", "--quiet", "and three", "--session", key.removeprefix("sha256:")[:10]) == key
        session = json.loads(stranger.good("stop", "--json"))
        assert (session["sessionId"], session["isActive"], session["participants"]) == (key, False, ["Ada"])
        assert "take two was it" in session["notes"]
        assert stranger.type("note", "x", "--session", NO_SUCH).returncode == 4
        assert stranger.type("start", "--intent", "x" * 10_001).returncode == 6
        assert "intent" in str(stranger.refused[-1]["reason"])

        started = offline(stranger, "start", "--quiet").stdout.strip()
        offline(stranger, "note", "without a network")
        offline(stranger, "stop")
        stranger.good("sync")
        kept, first = json.loads(stranger.good("list", "--json"))["sessions"]
        assert (first["sessionId"], kept["startedAt"], kept["isActive"]) == (key, started, False)
        assert kept["notes"].count("without a network") == 1
        assert stranger.good("note", "--quiet", "later", "--session", started) == kept["sessionId"]

        browser.delete(f"/api/auth/tokens/{browser.get('/api/auth/tokens').json()[0]['id']}").raise_for_status()
        assert stranger.type("start").returncode == 3
        assert stranger.waiting == ["start"]
