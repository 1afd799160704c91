"""What people have said, remembered as the product does it, and what is known from it."""

from __future__ import annotations

from apps.accounts.models import User
from apps.conversations.engine.memories import remember_question, source_of
from apps.conversations.models import Conversation
from apps.memory import graph
from apps.memory.models import Entity, Recollection, Relation


def talk(user: User, title: str = "Rehearsal") -> Conversation:
    """A conversation to say something in."""
    return Conversation.objects.create(owner=user, title=title)


def say(user: User, text: str, conversation: Conversation | None = None) -> Recollection:
    """They say it, and it is remembered."""
    within = conversation or talk(user)
    message = within.ask(text, parent_id=within.head_id)
    within.head = message
    within.save(update_fields=["head"])
    remember_question(within, message)
    return Recollection.objects.get(owner=user, source=source_of(message.pk))


def message_id(recollection: Recollection) -> int:
    """Of the message that said it."""
    return int(recollection.source.partition(":")[2])


def conversation_id(recollection: Recollection) -> int:
    """Of the conversation in which it was said."""
    return int(recollection.thread.partition(":")[2])


def know(recollection: Recollection, subject: str, predicate: str, about: str, kind: str = "music") -> Relation:
    """A fact that was read from it."""
    return graph.add_fact(recollection, subject, predicate, about, object_kind=kind)


def entity(user: User, name: str) -> Entity:
    """The one that is called so."""
    return Entity.objects.visible_to(user).get(name=name)
