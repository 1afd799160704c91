"""One reply, from question to answer. A turn belongs to its conversation, not to whoever asked or watches.

    turn = begin(conversation, content=…)   one transaction, and the only place that refuses
    launch(turn)                            writes the reply in a task of its own; outlives every disconnect
    stop(conversation_id)                   ends it; what was said so far is kept
    snapshot(conversation_id)               text and seq so far, for whoever arrives late
    follow(turn)                            the turn's events until its end, for whoever asked over HTTP

Everything is published to the conversation's group (`apps.conversations.engine.events`); the sender learns of its own
message like everyone else.
"""

from apps.conversations.engine.begin import Turn, TurnInProgress, begin, edit, regenerate
from apps.conversations.engine.follow import finished, follow, snapshot
from apps.conversations.engine.recovery import delete_left_behind, recover_orphans
from apps.conversations.engine.turn import launch, shutdown, stop

__all__ = [
    "Turn",
    "TurnInProgress",
    "begin",
    "delete_left_behind",
    "edit",
    "finished",
    "follow",
    "launch",
    "recover_orphans",
    "regenerate",
    "shutdown",
    "snapshot",
    "stop",
]
