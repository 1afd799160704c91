"""The sockets of the studio."""

from apps.core.realtime import socket_path
from apps.musehub.consumers import StudioConsumer

websocket_urlpatterns = [socket_path("ws/studio/<str:repo_id>/", StudioConsumer)]
