"""Ids are of what they name, the same everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest

from apps.musehub.identity import canonical_time, identity_id, is_id, repo_id, session_id

EIGHT = datetime(2025, 1, 1, 8, tzinfo=UTC)
WRITTEN = "2025-01-01T08:00:00.000000+00:00"


def digest(text: str) -> str:
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def test_a_person_is_identified_by_the_username() -> None:
    assert identity_id("alice") == digest("alice")
    assert identity_id("alice") == "sha256:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"


def test_a_repo_is_identified_by_owner_slug_domain_and_the_moment_it_was_made() -> None:
    owner = identity_id("alice")
    assert repo_id(owner, "night-songs", "music", EIGHT) == digest(f"repo\n{owner}\nnight-songs\nmusic\n{WRITTEN}")


def test_a_session_is_identified_by_repo_author_and_start() -> None:
    author = identity_id("alice")
    repo = repo_id(author, "night-songs", "music", EIGHT)
    assert session_id(repo, author, EIGHT) == digest(f"session\n{repo}\n{author}\n{WRITTEN}")


def test_the_same_moment_is_the_same_id_whatever_its_offset() -> None:
    in_tokyo = EIGHT.astimezone(timezone(timedelta(hours=9)))
    assert canonical_time(in_tokyo) == canonical_time(EIGHT) == WRITTEN


def test_a_microsecond_makes_another_id() -> None:
    author = identity_id("alice")
    repo = repo_id(author, "night-songs", "music", EIGHT)
    assert session_id(repo, author, EIGHT) != session_id(repo, author, EIGHT + timedelta(microseconds=1))


def test_a_moment_without_an_offset_has_no_id() -> None:
    with pytest.raises(ValueError, match="offset"):
        canonical_time(EIGHT.replace(tzinfo=None))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonexistent",
        digest("x")[:-1],
        digest("x") + "0",
        digest("x").upper(),
        digest("x")[7:],
        digest("x") + "\n",
        "sha256:" + "٣" * 64,
        "../" + digest("x"),
    ],
)
def test_only_a_whole_id_has_the_form_of_one(text: str) -> None:
    assert is_id(digest("x"))
    assert not is_id(text)
