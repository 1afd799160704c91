"""Routes of MuseHub's API, below /api/."""

from django.urls import path

from apps.musehub import api

urlpatterns = [
    path("repos", api.Repos.as_view()),
    path("repos/<str:repo_id>", api.RepoDetail.as_view()),
    path("repos/<str:repo_id>/collaborators", api.CollaboratorList.as_view()),
    path("repos/<str:repo_id>/collaborators/<int:user_id>", api.CollaboratorDetail.as_view()),
    path("repos/<str:repo_id>/sessions", api.Sessions.as_view()),
    path("repos/<str:repo_id>/sessions/<str:session_id>", api.SessionDetail.as_view()),
    path("repos/<str:repo_id>/sessions/<str:session_id>/notes", api.SessionNotes.as_view()),
    path("repos/<str:repo_id>/sessions/<str:session_id>/stop", api.SessionStop.as_view()),
    path("repos/<str:repo_id>/activity", api.RepoActivity.as_view()),
]
