"""What is open on a credential hears within one sweep that the credential ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.accounts import leases
from apps.accounts.authentication import Credential, credential_from_headers
from apps.accounts.leases import Lease, open_lease, sweep
from apps.accounts.models import ApiToken, Session, User

pytestmark = pytest.mark.django_db

Hold = Callable[[User], list[str]]


@pytest.fixture
def opened() -> Iterator[list[Lease]]:
    """The leases of a test, closed at its end."""
    held: list[Lease] = []
    yield held
    for lease in held:
        lease.close()


@pytest.fixture
def hold_session(browser_of, opened: list[Lease]) -> Hold:
    """Opens something in a new session of the user's; what is returned fills when it ends."""

    def hold(user: User) -> list[str]:
        cookie = f"session_token={browser_of(user).cookies['session_token'].value}"
        return _hold(credential_from_headers({"cookie": cookie}), opened)

    return hold


@pytest.fixture
def hold_token(opened: list[Lease]) -> Hold:
    """The same with a new API token."""

    def hold(user: User) -> list[str]:
        _, plaintext = ApiToken.objects.issue(user, "socket")
        return _hold(credential_from_headers({"authorization": f"Bearer {plaintext}"}), opened)

    return hold


def _hold(credential: Credential | None, opened: list[Lease]) -> list[str]:
    assert credential
    heard: list[str] = []
    opened.append(open_lease(credential, heard.append))
    return heard


def test_nothing_is_heard_while_nothing_changes(alice: User, hold_session: Hold, hold_token: Hold) -> None:
    heard = [hold_session(alice), hold_token(alice)]
    alice.rename("Alice B.")
    sweep()
    assert heard == [[], []]


@pytest.mark.parametrize(
    "door",
    [
        lambda user: user.change_password("another one"),
        lambda user: user.disable(),
        lambda user: user.delete(),
        lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
        lambda user: User.objects.filter(pk=user.pk).delete(),
    ],
    ids=["password", "disabled", "deleted", "updated", "deleted-in-bulk"],
)
def test_everything_of_a_user_ends_and_nothing_of_others(
    alice: User, bob: User, hold_session: Hold, hold_token: Hold, door: Callable[[User], object]
) -> None:
    alices = [hold_session(alice), hold_token(alice)]
    bobs = [hold_session(bob), hold_token(bob)]
    door(alice)
    sweep()
    assert alices == [["ended"], ["ended"]]
    assert bobs == [[], []]


def test_another_role_is_heard_as_a_change(alice: User, bob: User, hold_session: Hold, hold_token: Hold) -> None:
    heard = [hold_session(alice), hold_token(alice), hold_session(bob)]
    alice.set_role("admin")
    sweep()
    assert heard == [["changed"], ["changed"], []]


def test_the_session_that_changed_the_password_hears_a_change_and_the_others_their_end(
    alice: User, hold_session: Hold
) -> None:
    here, there = hold_session(alice), hold_session(alice)
    alice.change_password("another one", keep_session=alice.sessions.order_by("pk")[0].pk)
    sweep()
    assert (here, there) == (["changed"], ["ended"])


def test_a_session_signed_out_ends_only_what_it_opened(alice: User, hold_session: Hold, hold_token: Hold) -> None:
    first, second, token = hold_session(alice), hold_session(alice), hold_token(alice)
    alice.sessions.order_by("pk")[0].delete()
    sweep()
    assert (first, second, token) == (["ended"], [], [])


def test_a_deleted_token_ends_only_what_it_opened(alice: User, hold_session: Hold, hold_token: Hold) -> None:
    session, first, second = hold_session(alice), hold_token(alice), hold_token(alice)
    alice.api_tokens.order_by("pk")[0].delete()
    sweep()
    assert (session, first, second) == ([], ["ended"], [])


def test_what_expires_ends(alice: User, hold_session: Hold, hold_token: Hold) -> None:
    heard = [hold_session(alice), hold_token(alice)]
    Session.objects.update(expires_at=timezone.now())
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    sweep()
    assert heard == [["ended"], ["ended"]]


def test_a_change_between_reading_the_credential_and_opening_is_heard(alice: User, opened: list[Lease]) -> None:
    _, plaintext = ApiToken.objects.issue(alice, "socket")
    credential = credential_from_headers({"authorization": f"Bearer {plaintext}"})
    alice.set_role("admin")
    heard = _hold(credential, opened)
    sweep()
    assert heard == ["changed"]


def test_an_end_is_heard_once_and_never_after_closing(alice: User, hold_session: Hold, opened: list[Lease]) -> None:
    heard, closed = hold_session(alice), hold_session(alice)
    opened[1].close()
    alice.disable()
    sweep()
    sweep()
    assert heard == ["ended"]
    assert closed == []


def test_a_sweep_asks_three_times_whatever_is_open_and_not_at_all_when_nothing_is(
    alice: User, bob: User, hold_session: Hold, hold_token: Hold, django_assert_num_queries
) -> None:
    with django_assert_num_queries(0):
        sweep()
    for user in (alice, bob):
        for _ in range(5):
            hold_session(user)
            hold_token(user)
    with django_assert_num_queries(3):
        sweep()


def test_a_holder_whose_loop_is_gone_does_not_keep_others_from_hearing(alice: User, opened: list[Lease]) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    opened.append(open_lease(Credential(alice), lambda _: loop.call_soon_threadsafe(print) and None))
    others = [_hold(Credential(alice), opened) for _ in range(5)]
    alice.disable()
    sweep()
    assert others == [["ended"]] * 5


def test_a_stream_on_a_loop_hears_what_another_thread_did(alice: User) -> None:
    @async_to_sync
    async def stream() -> None:
        with leases.held(Credential(alice)) as ended:
            assert not ended.is_set()
            await sync_to_async(alice.disable)()
            await sync_to_async(sweep)()
            async with asyncio.timeout(1):
                await ended.wait()

    stream()


@pytest.mark.django_db(transaction=True)
def test_a_sweeping_thread_hears_what_a_request_did(alice: User, hold_session: Hold, browser_of) -> None:
    there = hold_session(alice)
    here: Client = browser_of(alice)
    (other,) = [row["id"] for row in here.get("/api/auth/sessions").json() if not row["current"]]
    here.delete(f"/api/auth/sessions/{other}")

    def sweep_elsewhere() -> None:
        sweep()
        connection.close()

    thread = threading.Thread(target=sweep_elsewhere)
    thread.start()
    thread.join()
    assert there == ["ended"]
