"""Which process writes a reply, and what becomes of replies whose process is gone.

While it writes, a process reports in the database every second. One that stopped reporting (a crash, a kill, a pulled
plug) leaves replies behind that nobody will end; any process that notices ends them as `interrupted`, their text kept.
"""

from __future__ import annotations

import logging
from functools import cache
from uuid import uuid4

from apps.conversations.engine.events import conversation_group, terminal
from apps.conversations.models import Boot, Message, attach_siblings
from apps.core.realtime import announce

log = logging.getLogger(__name__)

ORPHAN_CODE = "crashed"
ORPHAN_DETAIL = "[Error: The server went down while this was being written. What had arrived is kept.]"


@cache
def this_boot() -> Boot:
    """This process; its row appears with the first beat."""
    return Boot(pk=uuid4().hex)


def recover(reply: Message) -> bool:
    """End one such reply and tell whoever watches; False when somebody else was quicker."""
    if not reply.interrupt(ORPHAN_CODE, ORPHAN_DETAIL):
        return False
    log.warning("reply=%d conversation=%d interrupted: its process is gone", reply.pk, reply.conversation_id)
    attach_siblings([reply])
    announce(conversation_group(reply.conversation_id), terminal(reply))
    return True
