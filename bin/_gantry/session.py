"""`bin/gantry session`: recording sessions from a terminal or a script, on whatever server one is signed in to.

Nothing is installed for it: it speaks HTTP, no more. Results go to standard output, all else to standard error; the
exit statuses are those of outcomes.py. A start, a stop or a note is put in the outbox with the time at which it was
typed, before anything is sent; so it is kept when there is no network, and goes with the next call. Only where a
session is named by the beginning of its id is the server asked first, which one that is.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import uuid
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import credentials
import typed
from credentials import Credentials
from delivery import deliver, whole_id
from outbox import JSON, Item, Outbox, Outcome
from outcomes import KEPT, Misused, NotSignedIn, Unreachable
from printed import lines, say
from refusals import Refusal
from server import Server


def run(arguments: list[str]) -> int:
    """Carry out what was typed; returns the exit status."""
    verbs = {"login": _login, "start": _start, "stop": _stop, "note": _note, "list": _list, "sync": _sync}
    asked = typed.parser().parse_args(arguments)
    try:
        status = verbs[asked.verb](asked)
        sys.stdout.flush()
    except Refusal as refusal:
        say(refusal)
        return refusal.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as fault:
        raise Refusal(f"{fault.strerror or fault}: {fault.filename or credentials.state_folder()}.") from fault
    return status


def _login(asked: argparse.Namespace) -> int:
    before = _known_before()
    url = asked.url or before.url
    if not url:
        raise Misused("Which server? bin/gantry session login --url https://… names it.")
    signed_in = Credentials(url, _read_token(asked.token_file), asked.repo or before.repo)
    server = Server(signed_in.url, signed_in.token)
    name = server.whoami()
    if asked.repo:
        server.repo_id(asked.repo)  # raises NotFound now, not when something is to be recorded
    file = credentials.store(signed_in)
    if signed_in.is_exposed:
        say(f"{url} has no TLS: whoever listens on the way reads the token.")
    say(f"Signed in to {url} as {name}; stored in {file}.")
    return 0


def _start(asked: argparse.Namespace) -> int:
    told: JSON = {"participants": asked.participant, "intent": asked.intent}
    told |= {"location": asked.location, "notes": asked.notes}
    return _give("start", asked, {name: value for name, value in told.items() if value is not None}, asked.at)


def _stop(asked: argparse.Namespace) -> int:
    return _give("stop", asked, {}, asked.at, asked.session)


def _note(asked: argparse.Namespace) -> int:
    text = _read_input() if asked.text == "-" else asked.text
    if not text.strip():
        raise Misused("The note is empty.")
    return _give("note", asked, {"text": text}, session=asked.session)


def _list(asked: argparse.Namespace) -> int:
    who = credentials.require()
    name = _repo_name(asked, who)
    outbox = Outbox(credentials.state_folder())
    with outbox.present():
        if hindrance := _send_waiting(outbox, who):
            say(f"{hindrance} {len(outbox.pending(who.url))} kept here could not be sent.")
    server = Server(who.url, who.token)
    filters = {"live": "true"} if asked.live else {}
    sessions = list(islice(server.sessions(server.repo_id(name), **filters), asked.limit))
    if asked.json:
        print(json.dumps({"sessions": sessions}))
    elif sessions:
        print(lines(sessions, ids_only=asked.quiet))
    return 0


def _sync(asked: argparse.Namespace) -> int:
    who = credentials.require()
    outbox = Outbox(credentials.state_folder())
    with outbox.present():
        waiting = outbox.pending(who.url)
        hindrance = _send_waiting(outbox, who)
        became = outbox.outcomes(waiting)
    if hindrance:
        say(f"{hindrance} {became.count(None)} kept here could not be sent.")
        return _kept_because(hindrance)
    return max((outcome.status for outcome in became if outcome), default=0)


def _give(verb: str, asked: argparse.Namespace, told: JSON, at: str | None = None, session: str | None = None) -> int:
    """Keep it, send it with all that was kept before, and tell what became of it."""
    now = typed.canonical(datetime.now(UTC))
    who = credentials.require()
    repo = _repo_name(asked, who)
    if session and typed.is_abbreviated(session):
        session = _whole_id(who, repo, session)
    outbox = Outbox(credentials.state_folder())
    item = Item(uuid.uuid4().hex, who.url, repo, verb, at or now, session, told)
    with outbox.present():
        item = outbox.keep(item)
        try:
            hindrance = _send_waiting(outbox, who, item)
        except KeyboardInterrupt:
            say("Stopped; what you gave is kept, and goes with the next call.")
            return 128 + signal.SIGINT
        [outcome] = outbox.outcomes([item])
    if outcome is None:
        say(f"{hindrance} What you gave is kept, and goes with the next call.")
        _print_kept(asked, item)
        return _kept_because(hindrance)
    if outcome.session is None:
        say(f"{outcome.reason} What you gave is set aside in {outbox.refused_file}.")
        return outcome.status
    print(json.dumps(outcome.session) if asked.json else lines([outcome.session], ids_only=asked.quiet))
    return 0


def _whole_id(who: Credentials, repo: str, beginning: str) -> str:
    """Looked up before anything is kept: later another session could be the only one whose id begins so."""
    try:
        return whole_id(Server(who.url, who.token), repo, beginning)
    except (Unreachable, NotSignedIn) as hindrance:
        kind = NotSignedIn if isinstance(hindrance, NotSignedIn) else Unreachable
        raise kind(f"{hindrance} What you gave is not kept: that takes the whole id, or the start.") from hindrance


def _kept_because(hindrance: Refusal | None) -> int:
    return hindrance.status if isinstance(hindrance, NotSignedIn) else KEPT


def _print_kept(asked: argparse.Namespace, item: Item) -> None:
    """What later calls can name the session by: its id, or the time it starts at."""
    session = item.at if item.verb == "start" else item.session
    if asked.json:
        print(json.dumps({"kept": True, "clientId": item.id, "session": session}))
    elif asked.quiet and session:
        print(session)


def _send_waiting(outbox: Outbox, who: Credentials, fresh: Item | None = None) -> Refusal | None:
    """Send all that waits, and tell what became of what was kept before; returns why something waits still."""
    earlier = [item for item in outbox.pending(who.url) if item != fresh]
    try:
        deliver(outbox, Server(who.url, who.token), fresh)
    except (Unreachable, NotSignedIn) as hindrance:
        return hindrance
    finally:
        for item, outcome in zip(earlier, outbox.outcomes(earlier), strict=True):
            _tell(outbox, item, outcome)
    return None


def _tell(outbox: Outbox, item: Item, outcome: Outcome | None) -> None:
    what = f"the {item.verb} of {item.at} for {item.repo}"
    if outcome and outcome.session:
        say(f"Sent what was kept: {what}.")
    elif outcome:
        say(f"What was kept is refused, {what}: {outcome.reason} It is set aside in {outbox.refused_file}.")


def _known_before() -> Credentials:
    """Signing in is the remedy when what is stored cannot be used."""
    try:
        return credentials.load()
    except Refusal:
        return Credentials()


def _read_token(file: Path | None) -> str:
    if file is not None:
        text = credentials.read_private(file)
    elif sys.stdin.isatty():
        import getpass

        text = getpass.getpass("API token (it is not shown): ")
    else:
        text = _read_input()
    if not (token := credentials.clean_token(text)):
        raise Misused("No token was given: make one in the settings of your account, under API tokens.")
    return token


def _read_input() -> str:
    """Standard input, which is UTF-8 whatever the locale."""
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as fault:
        raise Misused("Standard input is no text in UTF-8.") from fault


def _repo_name(asked: argparse.Namespace, who: Credentials) -> str:
    name = str(asked.repo or who.repo)
    if not name:
        raise Misused("Which repo? Name it with --repo owner/slug, or in GANTRY_REPO.")
    return typed.repo(name)
