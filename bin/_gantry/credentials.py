"""Where the command line is signed in: an address, a token, and the repo that is meant when none is named.

They lie in `config.json` in the user's config folder, readable by its owner only; a file that others can read is not
used. GANTRY_URL, GANTRY_TOKEN and GANTRY_REPO win. A stored token goes to the address it was stored with, never to
another one that the environment names.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from outcomes import Misused, NotSignedIn
from refusals import Refusal

_FOLDER = "nebulus-gantry"
_LOCAL = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Credentials:
    """What is known of them; an empty string is what is not."""

    url: str = ""
    token: str = ""
    repo: str = ""

    @property
    def is_exposed(self) -> bool:
        """Whether the token travels over a network in the clear."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and parts.hostname not in _LOCAL


def load() -> Credentials:
    """Stored ones, under those of the environment."""
    stored = _stored()
    url = clean_url(os.environ["GANTRY_URL"]) if os.environ.get("GANTRY_URL") else stored.url
    token = clean_token(os.environ.get("GANTRY_TOKEN", "")) or (stored.token if url == stored.url else "")
    return Credentials(url, token, os.environ.get("GANTRY_REPO") or stored.repo)


def require() -> Credentials:
    """The same; raises NotSignedIn unless they can be used."""
    found = load()
    if not found.url:
        raise NotSignedIn("Not signed in anywhere: bin/gantry session login --url https://… is the way in.")
    if not found.token:
        raise NotSignedIn(f"There is no token for {found.url}: bin/gantry session login --url {found.url} stores one.")
    return found


def store(credentials: Credentials) -> Path:
    """Write them for their owner's eyes only, from the first byte on, whole or not at all; returns the file."""
    import tempfile

    file = config_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    written, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(written, "w", encoding="utf-8") as stream:
            json.dump(asdict(credentials), stream, indent=2)
            stream.write("\n")
        Path(draft).replace(file)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise
    return file


def config_file() -> Path:
    """Where they are stored."""
    return _home("XDG_CONFIG_HOME", ".config") / "config.json"


def state_folder() -> Path:
    """Where what could not be sent yet is kept."""
    return _home("XDG_STATE_HOME", ".local/state")


def clean_url(url: str) -> str:
    """The address without a slash at its end; raises Misused when it is none."""
    url = url.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        usable = parts.port != 0 and host and parts.scheme in ("http", "https") and url.isascii() and url.isprintable()
    except ValueError:
        usable = False
    if not usable or " " in url or parts.query or parts.fragment or "@" in parts.netloc:
        raise Misused(f"{url!r} is no address of a server; one looks like https://gantry.example.org.")
    return url


def clean_token(token: str) -> str:
    """The token without the white space around it; raises Misused when it cannot be one."""
    token = token.strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise Misused("That is no API token: one is a single word of plain letters, digits and signs.")
    return token


def read_private(file: Path) -> str:
    """The text of a file with a secret in it; raises Refusal when others can read it too."""
    with file.open(encoding="utf-8") as stream:
        if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
            raise Refusal(f"Others can read {file}, so the token in it is not used: chmod 600 '{file}' keeps them out.")
        try:
            return stream.read()
        except UnicodeDecodeError as fault:
            raise Refusal(f"{file} is not a text file.") from fault


def _stored() -> Credentials:
    file = config_file()
    try:
        values = json.loads(read_private(file))
    except FileNotFoundError:
        return Credentials()
    except (ValueError, RecursionError) as fault:
        raise _broken(file) from fault
    known = Credentials.__dataclass_fields__
    if not isinstance(values, dict) or not all(isinstance(values.get(name, ""), str) for name in known):
        raise _broken(file)
    found = Credentials(**{name: values[name] for name in known if name in values})
    return Credentials(clean_url(found.url) if found.url else "", clean_token(found.token), found.repo)


def _broken(file: Path) -> Refusal:
    return Refusal(f"{file} cannot be understood: bin/gantry session login --url https://… writes it anew.")


def _home(variable: str, usual: str) -> Path:
    """The specification of these folders wants relative values ignored."""
    if (base := Path(os.environ.get(variable, ""))).is_absolute():
        return base / _FOLDER
    try:
        return Path.home() / usual / _FOLDER
    except RuntimeError as fault:
        raise Refusal(f"There is no home folder here: set {variable}.") from fault
