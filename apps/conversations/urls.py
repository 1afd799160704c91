"""The chat's pages, and the parts of them that are fetched on their own."""

from django.urls import path

from apps.conversations import views

urlpatterns = [
    path("", views.new_chat, name="new-chat"),
    path("c/<int:conversation_id>", views.conversation, name="conversation"),
    path("c/<int:conversation_id>/messages", views.messages, name="messages"),
    path("c/<int:conversation_id>/messages/<int:message_id>", views.message, name="message"),
    path("c/<int:conversation_id>/messages/<int:message_id>/sources", views.sources, name="sources"),
    path("search", views.search, name="search"),
    path("conversations", views.conversations, name="conversations"),
]
