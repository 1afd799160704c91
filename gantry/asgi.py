"""What an ASGI server imports: `daphne gantry.asgi:application`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gantry.settings")

from gantry import lifespan
from gantry.routing import application

lifespan.start()

__all__ = ["application"]
