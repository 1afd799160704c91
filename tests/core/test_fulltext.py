"""Ranked full-text search, on whichever database the tests run: what is found, what is shown, what is left behind."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from apps.accounts.models import User
from apps.conversations.models import Conversation, Message
from apps.core import fulltext, triggers
from apps.core.fulltext import TextIndex, postgresql, sqlite

pytestmark = pytest.mark.django_db

OWNER = "(SELECT owner_id FROM conversations_conversation WHERE id = {row}.conversation_id)"
SPOKEN = TextIndex(
    name="spoken",
    table="conversations_message",
    column="content",
    owner=OWNER,
    condition="{row}.status <> 'streaming'",
    watched=("status",),
    needs=("conversations_conversation",),
)
EXACT = TextIndex(name="exact", table="conversations_message", column="content", owner=OWNER, language="plain")
Say = Callable[..., Message]


@pytest.fixture(scope="session", autouse=True)
def indexes(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The tests' own indexes beside the product's."""
    for index in (SPOKEN, EXACT):
        index.declare()
    with django_db_blocker.unblock():
        triggers.ensure()
        yield
        for index in (SPOKEN, EXACT):
            _drop(index)
        connection.close()


def _drop(index: TextIndex) -> None:
    triggers.withdraw(index.name)
    fulltext._declared.pop(index.name)
    for definition in (sqlite.definition(index), postgresql.definition(index)):
        triggers.drop_triggers(definition, connection)
        with connection.cursor() as cursor:
            for table in definition.tables:
                cursor.execute(f"DROP TABLE IF EXISTS {table}")


@pytest.fixture
def say(alice: User) -> Say:
    """Have somebody, else alice, say something in a conversation of their own."""
    talks: dict[int, Conversation] = {}

    def said(text: str, owner: User = alice) -> Message:
        talk = talks.setdefault(owner.pk, Conversation.objects.create(owner=owner))
        return Message.objects.create(conversation=talk, role="user", content=text)

    return said


def found(owner: User, text: str, limit: int = 10, index: TextIndex = SPOKEN, **asked: int) -> list[int]:
    """Ids, best first."""
    return [hit.pk for hit in index.search(owner.pk, text, limit, **asked)]


def test_a_word_finds_its_message(alice: User, say: Say) -> None:
    wanted, _ = say("The lighthouse stands on a cliff"), say("Nothing of the kind")
    assert found(alice, "lighthouse") == [wanted.pk]


def test_nobody_finds_what_is_somebody_elses(alice: User, bob: User, say: Say) -> None:
    mine, theirs = say("our lighthouse"), say("their lighthouse", bob)
    assert found(alice, "lighthouse") == [mine.pk]
    assert found(bob, "lighthouse") == [theirs.pk]
    assert SPOKEN.newest(alice.pk, "lighthouse", 10) == [mine.pk]
    assert [hit.pk for hit in SPOKEN.rank(bob.pk, ["lighthouse"], 10)] == [theirs.pk]


def test_words_are_stemmed_and_capitals_and_accents_do_not_count(alice: User, say: Say) -> None:
    run, cafe = say("She was Running home"), say("Un café à Paris")
    assert found(alice, "run") == found(alice, "RUNS") == [run.pk]
    assert found(alice, "cafe") == found(alice, "CAFÉ") == [cafe.pk]


def test_a_plain_index_takes_words_as_they_are(alice: User, say: Say) -> None:
    run = say("running home")
    assert found(alice, "running", index=EXACT) == [run.pk]
    assert found(alice, "runs", index=EXACT) == []


def test_the_last_word_may_be_unfinished_and_no_other(alice: User, say: Say) -> None:
    message = say("a lighthouse at midnight")
    assert found(alice, "lighth") == [message.pk]
    assert found(alice, "lighthouse midn") == [message.pk]
    assert found(alice, "lighth zebra") == []
    assert found(alice, "lighth midnight zebra", fewest=0) == []


def test_a_stemmed_last_word_does_not_open_to_other_words(alice: User, say: Say) -> None:
    say("the rung of a ladder at runtime")
    assert found(alice, "running") == []


def test_a_phrase_is_found_as_it_stands(alice: User, say: Say) -> None:
    wanted, _ = say("the red door opens"), say("a door that was red")
    assert found(alice, '"red door"', fewest=0) == [wanted.pk]
    assert set(found(alice, "red door")) == {wanted.pk, _.pk}


def test_rows_with_all_words_come_before_those_with_any(alice: User, say: Say) -> None:
    any_of, all_of = say("violin violin violin violin"), say("a violin, and much else of which a cello was one")
    hits = SPOKEN.search(alice.pk, "violin cello", 10)
    assert [hit.pk for hit in hits] == [all_of.pk, any_of.pk]
    assert hits[0].score > 1 > hits[1].score > 0
    assert found(alice, "violin cello", fewest=1) == [all_of.pk]


def test_what_says_more_of_it_ranks_higher(alice: User, say: Say) -> None:
    much, little = say("cello and cello"), say("a cello among a great many other words that are not at all about it")
    assert found(alice, "cello") == [much.pk, little.pk]


def test_stop_words_are_left_out_unless_there_is_nothing_else(alice: User, say: Say) -> None:
    message = say("who is the captain")
    assert found(alice, "the captain of it", fewest=0) == [message.pk]
    assert found(alice, "the") == found(alice, "who is the") == [message.pk]


def test_only_the_newest_are_ranked(alice: User, say: Say) -> None:
    messages = [say(f"cello {number}") for number in range(6)]
    assert set(found(alice, "cello", among=3)) == {message.pk for message in messages[3:]}
    assert SPOKEN.newest(alice.pk, "cellos", 2) == [messages[5].pk, messages[4].pk]
    assert len(SPOKEN.newest(alice.pk, "cello", 4)) == 4
    assert len(SPOKEN.newest(alice.pk, "cello", 100)) == 6
    assert SPOKEN.newest(alice.pk, "absent", 100) == []


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            '"',
            '""',
            "'",
            "*",
            "NEAR(a b)",
            "-",
            "a:b",
            "content:x",
            "^a",
            "(",
            "a AND",
            "\x00",
            "\\",
            "%s",
            "{}",
        ),
        *("'; DROP TABLE x", "a" * 1_000_000, "ab " * 333_333, '"' * 9_999, "\ud800", "½ ﷺ ﬁ", "न्ही", "\u0301", "中文"),
        *("😀", "x & | ! <->", "\u0149"),
    ],
    ids=range(29),
)
def test_any_text_is_a_query(alice: User, say: Say, text: str) -> None:
    say("a message")
    found(alice, text)
    SPOKEN.newest(alice.pk, text, 10)
    SPOKEN.rank(alice.pk, [text], 10)
    SPOKEN.snippets(text, ["a message"])


def test_no_mixture_of_characters_is_refused(alice: User, say: Say) -> None:
    say("a message")
    dice = random.Random(7)
    for _ in range(300):
        ranges = dice.choices([range(1, 0x250), range(1, 0xD800), range(0xE000, 0x110000)], k=dice.randrange(1, 12))
        text = "".join(chr(dice.choice(each)) for each in ranges)
        say(text)
        found(alice, text)
        SPOKEN.snippets(text, [text])


def test_punctuation_parts_words(alice: User, say: Say) -> None:
    message = say("see https://docs.example.org/well-known_path?x=1 or mail ann@example.org")
    for word in ("docs", "example", "example.org", "known", "path", "ann@example.org", "well-known"):
        assert found(alice, word, fewest=0) == [message.pk], word


def test_a_text_of_any_length_is_taken(alice: User, say: Say) -> None:
    words = " ".join(f"w{number:x}" for number in range(150_000))
    message = say(f"zebra {words}")
    assert found(alice, "zebra") == [message.pk]


# --- What is indexed, and when


def _stream(talk: Conversation) -> Message:
    return Message.objects.create(conversation=talk, role="assistant", status="streaming")


def test_a_reply_is_found_once_it_is_finished(alice: User) -> None:
    talk = Conversation.objects.create(owner=alice)
    reply = _stream(talk)
    Message.objects.checkpoint({reply.pk: ("the light", 1)})
    assert found(alice, "light") == []
    Message.objects.checkpoint({reply.pk: ("the lighthouse", 2)})
    reply.finish(Message.Status.COMPLETE, content="the lighthouse keeper")
    assert found(alice, "keeper") == [reply.pk]


@pytest.mark.skipif("connection.vendor != 'sqlite'")
def test_a_checkpoint_writes_nothing_into_the_index(alice: User) -> None:
    reply = _stream(Conversation.objects.create(owner=alice))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM spoken_data")
        before = cursor.fetchone()
        changes = cursor.connection.total_changes
        Message.objects.checkpoint({reply.pk: ("the lighthouse", 1)})
        # The plain index of these tests has no condition, so it writes; the other one must not.
        cursor.execute("SELECT count(*) FROM spoken_data")
        assert cursor.fetchone() == before
        cursor.execute("SELECT count(*) FROM spoken_rows WHERE id = %s", [reply.pk])
        assert cursor.fetchone() == (0,)
        assert cursor.connection.total_changes > changes


def test_a_changed_text_is_found_by_its_new_words_alone(alice: User, say: Say) -> None:
    message = say("a violin")
    Message.objects.filter(pk=message.pk).update(content="a cello")
    assert found(alice, "violin") == []
    assert found(alice, "cello") == [message.pk]
    message.refresh_from_db()
    message.save()
    assert found(alice, "cello") == [message.pk]


def test_a_deleted_message_is_found_no_more_by_whatever_door(alice: User, say: Say) -> None:
    one = say("first cello")
    say("second cello")
    one.delete()
    assert len(found(alice, "cello")) == 1
    Conversation.objects.all().delete()
    assert found(alice, "cello") == []
    say_again = Message.objects.create(
        conversation=Conversation.objects.create(owner=alice), role="user", content="third cello"
    )
    assert found(alice, "cello") == [say_again.pk]
    User.objects.filter(pk=alice.pk).delete()
    assert found(alice, "cello") == []


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_was_never_indexed(alice: User, say: Say) -> None:
    say("a violin")
    with transaction.atomic():
        say("a cello")
        transaction.set_rollback(True)
    assert found(alice, "cello") == []
    assert len(found(alice, "violin")) == 1


def test_an_index_made_anew_holds_what_was_there(alice: User, say: Say) -> None:
    message = say("a violin")
    _stream(message.conversation)
    name = next(name for name in triggers._present(connection) if name.startswith("spoken_insert_"))
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}" if connection.vendor == "sqlite" else f"DROP FUNCTION {name} CASCADE")
    unseen = say("a second violin")
    assert found(alice, "violin") == [message.pk]
    assert triggers.ensure() == ["spoken"]
    assert set(found(alice, "violin")) == {message.pk, unseen.pk}


# --- What is shown


def test_a_snippet_is_escaped_and_marks_its_hits(alice: User) -> None:
    text = "A <b>bold</b> cello & two cellos\nin a \x02row\x03"
    assert SPOKEN.snippets("CELLO", [text, "nothing <here>"]) == [
        "A &lt;b&gt;bold&lt;/b&gt; <mark>cello</mark> &amp; two <mark>cellos</mark> in a row",
        "nothing &lt;here&gt;",
    ]


def test_a_snippet_shows_the_best_place_of_a_long_text() -> None:
    filler = "word " * 400
    text = f"{filler} one cello alone {filler} a cello with a violin and a cello {filler}"
    (snippet,) = SPOKEN.snippets("cello violin", [text])
    assert snippet.count("<mark>") == 3
    assert snippet.startswith("…")
    assert snippet.endswith("…")
    assert 150 <= len(snippet.replace("<mark>", "").replace("</mark>", "")) <= 210


@pytest.mark.parametrize("text", ["", "x" * 5_000, "cello" * 1_000, "cello " * 20_000, "é" * 300 + " cello"])
def test_a_snippet_of_any_text_is_short(text: str) -> None:
    (snippet,) = SPOKEN.snippets("cello", [text])
    assert len(snippet.replace("<mark>", "").replace("</mark>", "")) <= 410


def test_a_phrase_is_marked_as_one() -> None:
    assert SPOKEN.snippets('"red door"', ["a red door, a red car"]) == ["a <mark>red door</mark>, a red car"]


# --- Forgetting


def _everything_stored() -> bytes:
    """All bytes of the database: its file and its log."""
    name = connection.settings_dict["NAME"]
    return b"".join(Path(f"{name}{end}").read_bytes() for end in ("", "-wal") if Path(f"{name}{end}").exists())


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL's vacuum does it")
@pytest.mark.django_db(transaction=True)
def test_a_deleted_text_leaves_nothing_behind(alice: User, say: Say) -> None:
    for number in range(300):
        say(f"quite ordinary {number} words about zymurgy")
    canary = say("the xylocanary sang")
    assert b"xylocanari" in _everything_stored()  # its stem, in the index
    canary.delete()
    assert b"xylocanari" in _everything_stored()
    while fulltext.purge():
        pass
    assert b"xylocanar" not in _everything_stored()
    assert len(found(alice, "zymurgy", limit=1_000)) == 300
    assert not fulltext.purge()


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL's vacuum does it")
@pytest.mark.django_db(transaction=True)
def test_what_is_entered_late_leaves_nothing_to_purge(alice: User, say: Say) -> None:
    before = _deleted("spoken")
    reply = _stream(Conversation.objects.create(owner=alice))
    reply.finish(Message.Status.COMPLETE, content="the lighthouse keeper")
    assert _deleted("spoken") == before
    Message.objects.filter(pk=reply.pk).update(content="the harbour master")
    assert _deleted("spoken") == before + 1
    reply.delete()
    assert _deleted("spoken") == before + 2


def _deleted(index: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT deleted FROM {index}_purge")
        return int(cursor.fetchone()[0])


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL's vacuum does it")
@pytest.mark.django_db(transaction=True)
def test_a_purge_that_is_interrupted_is_taken_up_again(alice: User, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fulltext, "PURGE_SECONDS", 0.0)
    monkeypatch.setattr(fulltext.sqlite, "_STEP_SECONDS", 0.0)
    monkeypatch.setattr(fulltext.sqlite, "_STEP_PAGES", 1)
    for number in range(300):
        say(" ".join(f"word{number}x{each}" for each in range(40)))
    canary = say("the xylocanary sang")
    canary.delete()
    assert fulltext.purge()
    say("another xylocanary").delete()
    steps = 0
    while fulltext.purge():
        steps += 1
    assert steps > 3
    assert b"xylocanar" not in _everything_stored()


@pytest.mark.skipif("connection.vendor != 'sqlite'")
@pytest.mark.django_db(transaction=True)
def test_a_locked_database_fails_the_write_as_a_whole(alice: User, say: Say) -> None:
    talk = say("a violin").conversation
    with sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(OperationalError, match="locked"):
            Message.objects.create(conversation=talk, role="user", content="a cello")
        other.execute("ROLLBACK")
    other.close()
    connection.close()
    assert found(alice, "cello") == []
    assert len(found(alice, "violin")) == 1


@pytest.mark.skipif("connection.vendor != 'sqlite'")
@pytest.mark.django_db(transaction=True)
def test_a_full_disk_fails_the_write_as_a_whole(alice: User, say: Say) -> None:
    talk = say("a violin").conversation
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # pages that are free would do
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0]}")
    with pytest.raises(OperationalError, match="full"):
        Message.objects.create(conversation=talk, role="user", content="a cello " * 50_000)
    connection.close()
    assert found(alice, "cello") == []
    assert len(found(alice, "violin")) == 1
