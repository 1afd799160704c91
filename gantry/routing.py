"""The ASGI application: http to Django; websocket through origin check to each app's sockets."""

from __future__ import annotations

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

from apps.accounts.sockets import NowhereConsumer
from apps.conversations.routing import websocket_urlpatterns
from apps.core.realtime import socket_path
from apps.core.requests import BodyLimit, OriginCheck
from gantry.lifespan import lifespan

http = get_asgi_application()
sockets = URLRouter([*websocket_urlpatterns, socket_path("<path:anywhere>", NowhereConsumer)])

application = ProtocolTypeRouter({"http": BodyLimit(http), "websocket": OriginCheck(sockets), "lifespan": lifespan})
