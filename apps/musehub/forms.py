"""The forms of the studio's pages. Lists are written one to a line; times are read in the reader's own zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.musehub.models import (
    CLIENT_ID_LENGTH,
    LOCATION_LENGTH,
    NAME_LENGTH,
    NOTES_LENGTH,
    RecordingSessionQuerySet,
)
from apps.musehub.serializers import (
    COMMIT_LENGTH,
    COMMITS,
    DESCRIPTION_LENGTH,
    INTENT_LENGTH,
    PARTICIPANT_LENGTH,
    PARTICIPANTS,
    TAG_LENGTH,
    TAGS,
    YEARS,
)

_YEARS_ALLOWED = f"A year from {YEARS[0]} to {YEARS[-1]}."


class _Field(forms.BoundField):
    """A field on a page; one that nobody has filled in always looks the same, and is drawn once."""

    def as_field_group(self) -> SafeString:
        """Label, control, help and errors."""
        if self.errors or self.value():
            return super().as_field_group()
        drawn = _blank_fields.get((type(self.form), self.name))
        if drawn is None:
            drawn = _blank_fields[type(self.form), self.name] = super().as_field_group()
        return drawn


_blank_fields: dict[tuple[type[forms.BaseForm], str], SafeString] = {}


class _Form(forms.Form):
    """A form of ours: labels without colons, ids that do not meet those of another form on the page."""

    bound_field_class = _Field
    prefix_of_ids = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        kwargs.setdefault("auto_id", f"{self.prefix_of_ids}%s")
        super().__init__(*args, **kwargs)


class Lines(forms.CharField):
    """A list of short texts, one to a line; empty lines do not count."""

    def __init__(self, *, most: int, longest: int, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.Textarea(attrs={"class": "short", "rows": 3}))
        super().__init__(required=False, **kwargs)
        self.most, self.longest = most, longest

    def prepare_value(self, value: Any) -> Any:
        """The list as it is edited."""
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        """The list; raises ValidationError when it or one of its lines is too long."""
        lines = [line.strip() for line in super().clean(value).splitlines()]
        found = [line for line in lines if line]
        if len(found) > self.most:
            raise ValidationError(f"At most {self.most} lines.")
        if any(len(line) > self.longest for line in found):
            raise ValidationError(f"At most {self.longest} characters a line.")
        return found


class _Text(forms.CharField):
    """Text of many lines; a browser sends CRLF for each of its ends."""

    def to_python(self, value: Any) -> str:
        """With the line ends that it is stored with."""
        return (super().to_python(value) or "").replace("\r\n", "\n")


class Moment(forms.DateTimeField):
    """A day and time in the reader's zone, within the years that sessions may have."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M:%S", attrs={"type": "datetime-local", "step": 1})
        super().__init__(widget=widget, **kwargs)

    def clean(self, value: Any) -> datetime | None:
        """The moment; raises ValidationError outside those years."""
        moment: datetime | None = super().clean(value)
        if moment is not None and not (moment.year in YEARS and moment.astimezone(UTC).year in YEARS):
            raise ValidationError(_YEARS_ALLOWED)
        return moment


class Day(forms.DateField):
    """A whole day within the years that sessions may have."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
        super().__init__(required=False, widget=widget, **kwargs)

    def clean(self, value: Any) -> date | None:
        """The day, if one was given; raises ValidationError outside those years."""
        day: date | None = super().clean(value)
        if day is not None and day.year not in YEARS:
            raise ValidationError(_YEARS_ALLOWED)
        return day


class RepoForm(_Form):
    """Make or change a repo."""

    prefix_of_ids = "repo-"

    name = forms.CharField(label="Name", max_length=NAME_LENGTH)
    description = forms.CharField(
        label="What it is for",
        max_length=DESCRIPTION_LENGTH,
        required=False,
        widget=forms.Textarea(attrs={"class": "short", "rows": 2}),
    )
    tags = forms.CharField(label="Tags", required=False, help_text="With commas between them.")
    visibility = forms.ChoiceField(
        label="Who may read it",
        choices=[("private", "Only its members"), ("public", "Anyone")],
        initial="private",
        help_text="Writing is for you and the collaborators you name.",
    )

    def clean_tags(self) -> list[str]:
        """The tags, each once, in their order."""
        tags = (tag.strip() for tag in self.cleaned_data["tags"].split(","))
        found = list(dict.fromkeys(tag for tag in tags if tag))
        if len(found) > TAGS or any(len(tag) > TAG_LENGTH for tag in found):
            raise ValidationError(f"At most {TAGS} tags of at most {TAG_LENGTH} characters.")
        return found


class _About(_Form):
    """What a session is about, who is there and where."""

    intent = forms.CharField(label="What it is about", max_length=INTENT_LENGTH, required=False)
    participants = Lines(
        label="Who is there", most=PARTICIPANTS, longest=PARTICIPANT_LENGTH, help_text="One name a line, in order."
    )
    location = forms.CharField(label="Where", max_length=LOCATION_LENGTH, required=False)


class StartForm(_About):
    """Start a session now; in the popover that it opens in, the first field has the focus."""

    prefix_of_ids = "start-"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["intent"].widget.attrs["autofocus"] = True


class LogForm(_About):
    """Write down a session that is already over."""

    prefix_of_ids = "log-"

    started_at = Moment(label="Began")
    ended_at = Moment(label="Ended")
    notes = _Text(
        label="Notes",
        max_length=NOTES_LENGTH,
        required=False,
        widget=forms.Textarea(attrs={"class": "short", "rows": 3}),
        help_text="Markdown.",
    )
    field_order = ("started_at", "ended_at", "intent", "participants", "location", "notes")

    def clean_started_at(self) -> datetime:
        """When it began; raises ValidationError where that is still to come."""
        return _past(self.cleaned_data["started_at"])

    def clean_ended_at(self) -> datetime:
        """When it ended; raises ValidationError where that is still to come, or before it began."""
        ended_at = _past(self.cleaned_data["ended_at"])
        started_at = self.cleaned_data.get("started_at")
        if started_at is not None and ended_at < started_at:
            raise ValidationError("The end is before the beginning.")
        return ended_at


def _past(moment: datetime) -> datetime:
    # Of a form alone: what a program tells is kept as told, since a recorder's clock may be wrong.
    if moment > timezone.now():
        raise ValidationError("This time is in the future.")
    return moment


class DetailsForm(_About):
    """Change what is known of a session."""

    prefix_of_ids = "details-"

    commits = Lines(label="Commits", most=COMMITS, longest=COMMIT_LENGTH, help_text="One a line.")
    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    field_order = ("intent", "participants", "location", "commits")


class NotesForm(_Form):
    """Edit the notes; `version` says which ones were read."""

    prefix_of_ids = "notes-"

    notes = _Text(
        label="Notes",
        max_length=NOTES_LENGTH,
        required=False,
        strip=False,
        widget=forms.Textarea,
        help_text="Markdown.",
    )
    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class AppendForm(_Form):
    """Add a dated note; `client_id` makes sending it twice harmless."""

    prefix_of_ids = "append-"

    text = _Text(
        label="Add a note", max_length=NOTES_LENGTH, widget=forms.Textarea(attrs={"class": "short", "rows": 2})
    )
    client_id = forms.CharField(max_length=CLIENT_ID_LENGTH, widget=forms.HiddenInput)


class EndForm(_Form):
    """When a session really ended."""

    prefix_of_ids = "end-"

    ended_at = Moment(label="It ended")


class CollaboratorForm(_Form):
    """Somebody who may write."""

    prefix_of_ids = "collaborator-"

    username = forms.CharField(label="Username", max_length=40, widget=forms.TextInput(attrs={"autocomplete": "off"}))


class FilterForm(_Form):
    """Which of a repo's sessions are shown. Days are whole days in the reader's zone."""

    prefix_of_ids = "filter-"

    q = forms.CharField(label="Text", max_length=200, required=False, widget=forms.TextInput(attrs={"type": "search"}))
    state = forms.ChoiceField(
        label="State", choices=[("", "All"), ("live", "Live"), ("ended", "Ended")], required=False
    )
    participant = forms.CharField(label="With", max_length=PARTICIPANT_LENGTH, required=False)
    location = forms.CharField(label="Where", max_length=LOCATION_LENGTH, required=False)
    since = Day(label="From")
    until = Day(label="To")

    def query(self) -> dict[str, str]:
        """What was filled in, as an address says it."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}

    def narrow(self, sessions: RecordingSessionQuerySet) -> RecordingSessionQuerySet:
        """Those that the filters let through; the form is valid."""
        wanted = self.cleaned_data
        if wanted["state"]:
            sessions = sessions.live() if wanted["state"] == "live" else sessions.ended()
        if wanted["q"]:
            sessions = sessions.search(wanted["q"])
        if wanted["participant"]:
            sessions = sessions.with_participant(wanted["participant"])
        if wanted["location"]:
            sessions = sessions.at(wanted["location"])
        until = wanted["until"] and wanted["until"] + timedelta(days=1)
        return sessions.between(_start_of(wanted["since"]), _start_of(until))


def _start_of(day: date | None) -> datetime | None:
    return None if day is None else timezone.make_aware(datetime.combine(day, time.min))
