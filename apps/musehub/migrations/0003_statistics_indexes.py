"""What statistics group by, always there and indexed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("musehub", "0002_statistics")]

    operations = [
        migrations.AlterField("recordingsession", "day", models.DateField(editable=False)),
        migrations.AddIndex(
            "recordingsession",
            models.Index(fields=["repo", "day", "duration", "commit_count", "is_active"], name="sessions_by_day"),
        ),
        migrations.AddIndex("recordingsession", models.Index(fields=["repo", "line_up"], name="sessions_by_line_up")),
    ]
