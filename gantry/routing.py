"""The ASGI application: http to Django; websocket through origin check to each app's sockets."""

from __future__ import annotations

from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import re_path

from apps.accounts.sockets import NowhereConsumer
from apps.conversations import routing as conversations
from apps.core.handler import Handler
from apps.core.requests import BodyLimit, HeadWithoutBody, OriginCheck
from apps.musehub import routing as musehub
from gantry.lifespan import lifespan

http = Handler()
# `<path:…>` would match neither the empty path nor one with a line break.
nowhere: Any = re_path("", NowhereConsumer.as_asgi())  # type: ignore[arg-type]  # django's types know views alone
sockets = URLRouter([*conversations.websocket_urlpatterns, *musehub.websocket_urlpatterns, nowhere])

application = ProtocolTypeRouter(
    {"http": HeadWithoutBody(BodyLimit(http)), "websocket": OriginCheck(sockets), "lifespan": lifespan}
)
