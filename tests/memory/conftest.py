"""Memory with its vectors in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.accounts.models import User
from apps.core import vectors
from apps.memory import outbox as work_to_do
from apps.memory.models import Recollection
from apps.memory.outbox import Outbox
from apps.memory.recall import remember

SAID_AT = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)

Remember = Callable[..., Recollection]


@pytest.fixture
def say(alice: User) -> Remember:
    """Remember a sentence, alice's unless it says whose."""
    numbers = count(1)

    def remembered(text: str, *, user: User = alice, thread: str = "conversation:1", **values: str) -> Recollection:
        source = values.pop("source", f"message:{next(numbers)}")
        speaker = values.pop("speaker", user.display_name)
        remember(user.pk, text=text, source=source, thread=thread, said_at=SAID_AT, speaker=speaker)
        return Recollection.objects.get(owner=user, source=source)

    return remembered


@pytest.fixture
def vector_folder(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """Where this process keeps its vectors meanwhile."""
    settings.DATA_DIR = tmp_path
    vectors.close()
    yield tmp_path / "vectors"
    vectors.close()


@pytest.fixture
def outbox(vector_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """One that does not rest."""
    monkeypatch.setattr(work_to_do, "FORGET_REST", 0)
    return Outbox()


def work(outbox: Outbox) -> None:
    """Do all that is due."""
    while outbox.work():
        pass
