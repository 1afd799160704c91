"""Routes of the chat API, below /api/chat/."""

from django.urls import path

from apps.conversations import api

urlpatterns = [
    path("conversations", api.Conversations.as_view()),
    path("conversations/<int:pk>", api.ConversationDetail.as_view()),
    path("conversations/<int:pk>/messages", api.Messages.as_view()),
    path("conversations/<int:pk>/events", api.Events.as_view()),
    path("conversations/<int:pk>/stop", api.Stop.as_view()),
    path("conversations/<int:pk>/head", api.Head.as_view()),
    path("search", api.Search.as_view()),
    path("messages/<int:pk>", api.MessageDetail.as_view()),
    path("messages/<int:pk>/regenerate", api.Regenerate.as_view()),
]
