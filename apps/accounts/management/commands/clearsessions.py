"""`manage.py clearsessions`: Django's own command; its sessions app, which carries it, is not installed here."""

from django.contrib.sessions.management.commands.clearsessions import Command

__all__ = ["Command"]
