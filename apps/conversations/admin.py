"""Conversations and messages for operators: to look after, not to rewrite."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from apps.conversations.engine.events import conversation_group, conversation_updated, personal_group
from apps.conversations.models import Conversation, Message
from apps.core.realtime import announce


@admin.register(Conversation)
class ConversationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Find, archive or delete a conversation."""

    list_display = ["title", "owner", "message_count", "model", "pinned", "archived", "temporary", "updated_at"]
    list_filter = ["archived", "pinned", "temporary", "memory"]
    list_select_related = ["owner"]
    search_fields = ["title", "owner__email"]
    date_hierarchy = "updated_at"
    fields = ["owner", "title", "model", "pinned", "archived", "memory", "temporary", "created_at", "updated_at"]
    readonly_fields = ["owner", "temporary", "created_at", "updated_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        """With the number of messages in each."""
        conversations: QuerySet[Conversation] = super().get_queryset(request)
        return conversations.annotate(messages_written=Count("messages"))

    @admin.display(description="messages", ordering="messages_written")
    def message_count(self, conversation: Conversation) -> int:
        """How many messages it holds, on all branches."""
        return int(conversation.messages_written)  # type: ignore[attr-defined]  # annotated in get_queryset

    def save_model(self, request: HttpRequest, obj: Conversation, form: ModelForm[Conversation], change: bool) -> None:
        """Write what was changed and nothing else, and tell whoever has it open."""
        obj.change({name: form.cleaned_data[name] for name in form.changed_data})
        event = conversation_updated(obj)
        announce(conversation_group(obj.pk), event)
        announce(personal_group(obj.owner_id), event)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A conversation begins on a page or by the API."""
        return False


@admin.register(Message)
class MessageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Read what was said and how each reply ended. Nothing here is changed: messages are what people said."""

    list_display = ["id", "conversation", "role", "status", "model", "error_code", "generation_time_ms", "created_at"]
    list_filter = ["role", "status", "error_code"]
    list_select_related = ["conversation"]
    search_fields = ["content", "conversation__title"]
    date_hierarchy = "created_at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Messages come from conversations."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Message | None = None) -> bool:
        """Messages are read-only."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Message | None = None) -> bool:
        """Messages go with their conversation or its owner, never by themselves: a branch would lose its middle."""
        match = request.resolver_match
        return match is None or not (match.url_name or "").startswith("conversations_message_")
