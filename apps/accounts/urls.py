"""The pages of accounts."""

from __future__ import annotations

from django.urls import path

from apps.accounts import views

urlpatterns = [
    path("login", views.login_page, name="login"),
    path("logout", views.logout_page, name="logout"),
    path("setup", views.setup_page, name="setup"),
    path("settings", views.settings_page, name="settings"),
    path("settings/name", views.rename, name="rename"),
    path("settings/password", views.change_password, name="change-password"),
    path("settings/sessions/others/end", views.end_other_sessions, name="end-other-sessions"),
    path("settings/sessions/<int:pk>/end", views.end_session, name="end-session"),
    path("settings/tokens", views.make_token, name="make-token"),
    path("settings/tokens/<int:pk>/delete", views.delete_token, name="delete-token"),
]
