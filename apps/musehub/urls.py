"""The studio's pages, what their forms send to, and its files and feeds."""

from __future__ import annotations

from django.urls import path

from apps.musehub import views

_REPO = "studio/<slug:owner>/<slug:slug>"
_SESSION = f"{_REPO}/<str:session_id>"

urlpatterns = [
    path("studio", views.studio, name="studio"),
    path("studio/feed/<str:secret>.ics", views.feed, name="studio-feed"),
    path(_REPO, views.repo, name="studio-repo"),
    path(f"{_REPO}/settings", views.repo_settings, name="studio-settings"),
    path(f"{_REPO}/delete", views.delete_repo, name="studio-delete"),
    path(f"{_REPO}/collaborators", views.add_collaborator, name="studio-add-collaborator"),
    path(f"{_REPO}/collaborators/<int:user_id>/remove", views.remove_collaborator, name="studio-remove-collaborator"),
    path(f"{_REPO}/feed", views.make_feed, name="studio-make-feed"),
    path(f"{_REPO}/feed/revoke", views.revoke_feed, name="studio-revoke-feed"),
    path(f"{_REPO}/start", views.start, name="studio-start"),
    path(f"{_REPO}/log", views.log, name="studio-log"),
    path(f"{_REPO}/export.csv", views.export_csv, name="studio-export-csv"),
    path(f"{_REPO}/export.json", views.export_json, name="studio-export-json"),
    path(f"{_REPO}/export.ics", views.export_calendar, name="studio-export-ics"),
    path(_SESSION, views.session, name="studio-session"),
    path(f"{_SESSION}/stop", views.stop, name="studio-stop"),
    path(f"{_SESSION}/end", views.mend_end, name="studio-end"),
    path(f"{_SESSION}/notes", views.save_notes, name="studio-notes"),
    path(f"{_SESSION}/append", views.append_note, name="studio-append"),
    path(f"{_SESSION}/details", views.save_details, name="studio-details"),
]
