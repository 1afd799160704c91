import json
import pytest
from apps.conversations.models import Conversation, Message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("running_engine")]

async def test_stream(alice, async_browser_of, scripted_model):
    from asgiref.sync import sync_to_async
    client = await sync_to_async(async_browser_of)(alice)
    made = await client.post("/api/chat/conversations")
    assert made.status_code == 200, made.content
    id = made.json()["id"]
    r = await client.post(f"/api/chat/conversations/{id}/messages", {"content": "Hi", "model": "say-3"}, content_type="application/json")
    assert r.status_code == 200
    out = b"".join([c async for c in r.streaming_content])
    print(out.decode())
    assert b"event: done" in out
    r = await client.post(f"/api/chat/conversations/{id}/messages", {"content": "Hi", "model": "say-3"}, content_type="application/json", headers={"accept": "application/json"})
    print(r.json())
    r = await client.get(f"/api/chat/conversations/{id}")
    print(r.json())
