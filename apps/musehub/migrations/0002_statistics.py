"""What statistics group by, stored. Its index follows by itself: PostgreSQL alters no table in the transaction that has
changed its rows."""

from datetime import UTC
from typing import Any

from django.db import migrations, models
from django.db.models.functions import TruncDate

from apps.musehub import members

_AT_ONCE = 1000


def fill(apps: Any, schema_editor: Any) -> None:
    sessions = apps.get_model("musehub", "RecordingSession").objects.using(schema_editor.connection.alias)
    sessions.update(day=TruncDate("started_at", tzinfo=UTC))
    batch = []
    for session in sessions.only("participants").iterator(_AT_ONCE):
        session.line_up = members.digest(session.participants)
        batch.append(session)
        if len(batch) == _AT_ONCE:
            sessions.bulk_update(batch, ["line_up"])
            batch.clear()
    sessions.bulk_update(batch, ["line_up"])


class Migration(migrations.Migration):
    dependencies = [("musehub", "0001_initial")]

    operations = [
        migrations.RemoveIndex("recordingsession", "sessions_summed"),
        migrations.AddField("recordingsession", "day", models.DateField(editable=False, null=True)),
        migrations.AddField(
            "recordingsession", "line_up", models.CharField(default="", editable=False, max_length=16), False
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
