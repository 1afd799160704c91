"""The sockets of conversations."""

from django.urls import path

from apps.conversations.consumers import ConversationConsumer, PersonalConsumer

websocket_urlpatterns = [
    path("ws/conversations/<int:conversation_id>/", ConversationConsumer.as_asgi()),
    path("ws/me/", PersonalConsumer.as_asgi()),
]
