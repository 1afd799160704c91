"""The web process: `python -m gantry.serve --host 127.0.0.1 --port 8000`. `daphne gantry.asgi:application` does too.

Against plain daphne it brings the database up to date first, in the same process since importing Django twice would
double the start, runs on uvloop, and lets the process hold as many sockets as the system allows.

Exit status 78 (EX_CONFIG): it cannot serve until a person mends something; the last line on stderr says what.

The event loop has to be in place before `daphne.server` is imported, which makes one as it is imported, and which
`daphne` among the installed apps imports as Django is set up.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
from typing import NoReturn

from gantry import allocator

_REFUSED = 78
_OPEN_FILES = 65_536
# Python's own five milliseconds are what a request would wait for a thread that keeps house, each time it has read
# from the database.
_SWITCH_SECONDS = 0.001


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m gantry.serve", description="Serve HTTP and WebSocket.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    asked = parser.parse_args()
    # What is written here is for this account's eyes, also in a folder that was there before.
    os.umask(0o077)
    allocator.tune()
    sys.setswitchinterval(_SWITCH_SECONDS)
    _allow_many_sockets()
    _use_uvloop()
    _set_up_django()
    _update_database()
    _serve(asked.host, asked.port)


def _allow_many_sockets() -> None:
    """Each chat under way holds two; 1,024, a shell's usual limit, would be 500 people."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _use_uvloop() -> None:
    import uvloop
    from twisted.internet import asyncioreactor

    asyncioreactor.install(uvloop.new_event_loop())  # type: ignore[no-untyped-call]


def _set_up_django() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gantry.settings")
    django.setup()


def _update_database() -> None:
    """Apply the migrations that are missing, and make what Django does not know of; where nothing is missing it costs
    a few hundredths of a second."""
    from django.core.management import call_command
    from django.db import OperationalError, connection
    from django.db.migrations.exceptions import MigrationSchemaMissing
    from django.db.migrations.executor import MigrationExecutor

    from apps.core import triggers

    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", verbosity=0, interactive=False)
        triggers.ensure()
    except (OperationalError, MigrationSchemaMissing) as fault:
        _refuse(f"The database cannot be used: {str(fault).strip()}. Check DATABASE_URL and DATA_DIR, and the disk.")
    finally:
        connection.close()


def _serve(host: str, port: int) -> None:
    from daphne.endpoints import build_endpoint_description_strings
    from daphne.server import Server

    from gantry.asgi import application

    server = Server(
        application,
        endpoints=build_endpoint_description_strings(host=host, port=port),
        server_name="",
        application_close_timeout=10,
        verbosity=0,
    )
    server.run()
    if not server.listening_addresses:
        _refuse(f"Nothing can listen on port {port} of {host}: it is in use, or not this machine's.")


def _refuse(sentence: str) -> NoReturn:
    sys.stderr.write(f"gantry: {sentence}\n")
    sys.exit(_REFUSED)


if __name__ == "__main__":
    main()
