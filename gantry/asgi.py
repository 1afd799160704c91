"""What an ASGI server imports: `daphne gantry.asgi:application`."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gantry.settings")
django.setup()

from gantry import front, lifespan  # noqa: E402
from gantry.routing import application  # noqa: E402

front.guard()
lifespan.start()

__all__ = ["application"]
