"""The ASGI application: http to Django; websocket through origin check to each app's sockets."""

from __future__ import annotations

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

http = get_asgi_application()

# Apps are ready from here on.
from apps.accounts.sockets import NowhereConsumer  # noqa: E402
from apps.conversations.routing import websocket_urlpatterns  # noqa: E402
from apps.core.realtime import socket_path  # noqa: E402
from apps.core.requests import BodyLimit, OriginCheck  # noqa: E402
from gantry.lifespan import lifespan  # noqa: E402

sockets = URLRouter([*websocket_urlpatterns, socket_path("<path:anywhere>", NowhereConsumer)])

application = ProtocolTypeRouter({"http": BodyLimit(http), "websocket": OriginCheck(sockets), "lifespan": lifespan})
