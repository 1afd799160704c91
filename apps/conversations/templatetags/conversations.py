"""How a message is put on a page: its Markdown, its time, its place among siblings, and what to say when it failed."""

from __future__ import annotations

from collections.abc import Sized
from datetime import datetime
from typing import NamedTuple

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from apps.conversations.models import Message
from apps.core.markdown import render

register = template.Library()


class Words(NamedTuple):
    """What happened, and what the reader can do about it."""

    what: str
    remedy: str


_ASK_AGAIN = "Try again; if it happens again, look into the log of the model server."
FAILURES = {
    "llm_unreachable": Words("The model server cannot be reached.", "Check that it is running, then try again."),
    "llm_not_configured": Words(
        "No model server is configured.", "Set TABBY_HOST in .env to its address and restart Nebulus Gantry."
    ),
    "llm_unauthorized": Words("The model server refused the key.", "Check LLM_API_KEY in .env."),
    "llm_model_not_found": Words("The model server does not know this model.", "Choose another one below."),
    "llm_busy": Words("The model server is busy.", "Wait a moment, then try again."),
    "llm_rejected": Words("The model server did not accept the request.", "The details say why."),
    "llm_server_error": Words("The model server failed.", _ASK_AGAIN),
    "llm_silent": Words("The model server fell silent.", _ASK_AGAIN),
    "llm_too_slow": Words("The answer took too long.", "Ask for less, or choose a faster model."),
    "llm_cut": Words("The connection to the model server broke before the end.", "Try again."),
    "llm_line_too_long": Words("The model server sent something unreadable.", "Check what TABBY_HOST points to."),
    "llm_too_long": Words("The answer was ended because it is very long.", "Ask for less, or for one part at a time."),
    "llm_embedding_unusable": Words("What the model server embeds cannot be used.", "Check EMBEDDING_MODEL in .env."),
    "crashed": Words("Nebulus Gantry went down before the answer was complete.", "What had arrived was kept."),
    "shutdown": Words("Nebulus Gantry was stopped before the answer was complete.", "What had arrived was kept."),
    "internal": Words("Something broke in Nebulus Gantry itself.", "Its log says what."),
}
OTHER_FAILURE = Words("The answer could not be completed.", "Try again.")


@register.filter
def markdown(text: str) -> SafeString:
    """The text as HTML; `render` promises that it is safe."""
    return mark_safe(render(text))  # noqa: S308


@register.simple_tag
def failure(message: Message) -> Words:
    """Plain words for the message's error code."""
    return FAILURES.get(message.error_code, OTHER_FAILURE)


@register.simple_tag
def place(message: Message) -> str:
    """Which of its siblings a message is: `2/3`; empty for one without an id yet."""
    if message.pk not in message.siblings:
        return ""
    return f"{message.siblings.index(message.pk) + 1}/{len(message.siblings)}"


@register.simple_tag
def memories(sources: Sized) -> str:
    """How many memories a reply was told of, as `static/js/message.js` says it."""
    return f"{len(sources)} {'memory' if len(sources) == 1 else 'memories'}"


@register.simple_tag
def speaker(message: Message) -> str:
    """Who said it, to its reader."""
    return "You" if message.role == Message.Role.USER else "Assistant"


@register.simple_tag
def message_url(message: Message) -> str:
    """The conversation's page, opened at the message."""
    page = reverse("conversation", args=[message.conversation_id])
    return f"{page}?at={message.pk}#message-{message.pk}"


@register.simple_tag
def moment(at: datetime) -> SafeString:
    """A `<time>` in relative words, which the page then keeps up to date and gives the reader's own time zone."""
    exact = at.astimezone(timezone.get_current_timezone())
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', at.isoformat(), f"{exact:%d %b %Y, %H:%M %Z}", ago(at)
    )


def ago(at: datetime) -> str:
    """How long ago, in the words that `static/js/time.js` uses."""
    minutes = int((timezone.now() - at).total_seconds()) // 60
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    if minutes < 24 * 60:
        return f"{minutes // 60} h ago"
    return f"{at.astimezone(timezone.get_current_timezone()):%d %b %Y}"
