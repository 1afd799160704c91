"""Routes under `/api/auth/`."""

from __future__ import annotations

from django.urls import path

from apps.accounts import api

urlpatterns = [
    path("login", api.LoginView.as_view()),
    path("logout", api.LogoutView.as_view()),
    path("me", api.MeView.as_view()),
    path("change-password", api.PasswordView.as_view()),
    path("sessions", api.SessionsView.as_view()),
    path("sessions/<int:pk>", api.SessionView.as_view()),
    path("tokens", api.TokensView.as_view()),
    path("tokens/<int:pk>", api.TokenView.as_view()),
]
