"""The sockets of conversations."""

from apps.conversations.consumers import ConversationConsumer, PersonalConsumer
from apps.core.realtime import socket_path

websocket_urlpatterns = [
    socket_path("ws/conversations/<int:conversation_id>/", ConversationConsumer),
    socket_path("ws/me/", PersonalConsumer),
]
