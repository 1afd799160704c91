"""The forms of memory's pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from apps.memory.models import Entity
from apps.memory.names import NAME_MAX

QUERY_MAX = 200


class _Form(forms.Form):
    """A form of ours: labels without colons, ids that do not meet those of another form."""

    prefix_of_ids = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        kwargs.setdefault("auto_id", f"{self.prefix_of_ids}%s")
        super().__init__(*args, **kwargs)


def _search(label: str) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=QUERY_MAX, required=False, widget=forms.TextInput(attrs={"type": "search"})
    )


class SearchForm(_Form):
    """Which memories are shown."""

    prefix_of_ids = "search-"

    q = _search("Search what is remembered")


class EntityFilterForm(_Form):
    """Which entities and facts are in the table."""

    prefix_of_ids = "filter-"

    q = _search("Name or fact")
    kind = forms.ChoiceField(label="Kind", choices=[("", "All"), *Entity.Kind.choices], required=False)

    def query(self) -> dict[str, str]:
        """What was filled in, as an address says it."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}


class SwitchForm(_Form):
    """Memory on or off."""

    enabled = forms.TypedChoiceField(
        choices=[("on", "On"), ("off", "Off")], coerce=lambda value: value == "on", widget=forms.HiddenInput
    )


class ConversationForm(_Form):
    """Which conversation is to be forgotten."""

    conversation = forms.IntegerField(min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput)


class RenameForm(_Form):
    """What an entity is called."""

    prefix_of_ids = "rename-"

    name = forms.CharField(label="Name", max_length=NAME_MAX, widget=forms.TextInput(attrs={"autocomplete": "off"}))


class MergeForm(_Form):
    """Which entity this one really is, by any of its names."""

    prefix_of_ids = "merge-"

    into = forms.CharField(
        label="It is the same as",
        max_length=NAME_MAX,
        help_text="That one stays, and takes over all that is known of this one.",
        widget=forms.TextInput(attrs={"list": "others", "autocomplete": "off"}),
    )

    def __init__(self, entity: Entity, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._entity = entity

    def clean_into(self) -> Entity:
        """The entity that has this name."""
        name: str = self.cleaned_data["into"]
        found = next(iter(Entity.objects.called(self._entity.owner_id, [name]).values()), None)
        if found is None:
            raise ValidationError("Nothing that you spoke of is called that.")
        if found.pk == self._entity.pk:
            raise ValidationError("That is this one itself.")
        return found
