"""`manage.py serve_model`: the bundled model server by itself, such as beside `manage.py runserver`."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.llm import local


class Command(BaseCommand):
    help = "Serve the bundled model on 127.0.0.1 until Ctrl-C; needs no database."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        """`--port`."""
        parser.add_argument(
            "--port", type=int, default=0, help="the port to listen on; 0, the default, takes a free one"
        )

    def handle(self, *, port: int, **_: object) -> None:
        """Serve, saying where."""
        try:
            local.serve(port, self._announce)
        except local.BundledModelMissing as missing:
            raise CommandError(str(missing)) from missing

    def _announce(self, address: str) -> None:
        self.stdout.write(f"{local.NAME} is at {address}")
        self.stdout.flush()
