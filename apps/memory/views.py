"""Memory's pages: what is remembered of a person, the graph of it, and how to correct and forget it.

All of it works without scripts. With them a search narrows the list in place, and forgetting one memory waits some
seconds, in which it can be undone, before the server is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from apps.accounts.models import User
from apps.core.errors import InvalidInput, NotFound
from apps.core.pages import as_id, reader_time_zone
from apps.memory import drawing, graph, listing, recall
from apps.memory.errors import NameTaken
from apps.memory.forms import ConversationForm, EntityFilterForm, MergeForm, RenameForm, SearchForm, SwitchForm
from apps.memory.listing import FactPlace
from apps.memory.models import Entity, MemorySetting, Recollection
from apps.memory.names import is_storable
from apps.memory.origins import origins
from apps.memory.outbox import outbox

MEMORIES_A_PAGE = 40
ENTITIES_A_PAGE = 100
FACTS_A_PAGE = 100
MENTIONS_SHOWN = 20
CHOICES_TO_MERGE = 500
HOPS = range(1, 5)


class PageRequest(HttpRequest):
    """A request that reached a page: somebody is signed in."""

    user: User
    htmx: HtmxDetails


View = Callable[..., HttpResponse]


def page(*methods: str) -> Callable[[View], View]:
    """For whoever is signed in, in their own time zone, and kept by no cache; others are sent to sign in."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, **place: int) -> HttpResponse:
            if not request.user.is_authenticated:
                return _sign_in(cast("PageRequest", request))
            try:
                with timezone.override(reader_time_zone(request)):
                    return view(request, **place)
            except NotFound:  # gone since it was read
                raise Http404 from None

        return require_http_methods(methods)(never_cache(guarded))

    return guard


def _sign_in(request: PageRequest) -> HttpResponse:
    """And back from there; not to what a form was sent to, which takes no GET."""
    if request.htmx:
        shown = request.htmx.current_url_abs_path or reverse("memory")
        return HttpResponseClientRedirect(redirect_to_login(shown)["Location"])
    return redirect_to_login(request.get_full_path() if request.method == "GET" else reverse("memory"))


reading = page("GET", "HEAD")
doing = page("POST")


# --- What is remembered


@reading
def memory(request: PageRequest) -> HttpResponse:
    """The newest memories, or those that fit a search; of the list alone where the page asks for it."""
    if request.htmx:
        return render(request, "memory/_found.html", _found(request))
    mine = Recollection.objects.visible_to(request.user)
    context = {
        **_found(request),
        "is_enabled": MemorySetting.is_enabled_for(request.user.pk),
        "remembered": mine.count(),
        "waiting": mine.waiting().count(),
        "fault": outbox().fault,
    }
    return render(request, "memory/memory.html", context)


def _found(request: PageRequest) -> dict[str, object]:
    form = SearchForm(request.GET)
    text = form.cleaned_data["q"] if form.is_valid() else ""
    conversation_id, before = _number(request, "conversation"), _number(request, "before")
    if text:
        part = listing.matching(request.user, text, limit=MEMORIES_A_PAGE)
    else:
        part = listing.newest(request.user, limit=MEMORIES_A_PAGE, before=before, conversation_id=conversation_id)
    here = {"conversation": conversation_id} if conversation_id else {}
    return {
        "form": form,
        "text": text,
        "conversation_id": conversation_id,
        "is_continued": before is not None,
        "is_cut": bool(text) and part.total == MEMORIES_A_PAGE,
        "part": part,
        "more": f"?{urlencode({**here, 'before': part.next})}" if part.next else None,
    }


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return as_id(text) if text else None


@doing
def forget(request: PageRequest, recollection_id: int) -> HttpResponse:
    """Forget one memory."""
    recall.forget_one(get_object_or_404(Recollection.objects.visible_to(request.user), pk=recollection_id))
    return _done(request, "Forgotten.")


@doing
def forget_conversation(request: PageRequest) -> HttpResponse:
    """Forget what was said in one conversation; the conversation itself stays."""
    form = ConversationForm(request.POST)
    if not form.is_valid():
        raise Http404
    count = listing.forget_conversation(request.user, form.cleaned_data["conversation"])
    if not count:
        raise Http404
    return _done(request, f"Forgotten: {count}. The conversation itself is still there.")


@doing
def forget_all(request: PageRequest) -> HttpResponse:
    """Forget everything; the conversations themselves stay."""
    count = recall.forget_all(request.user.pk)
    return _done(request, f"Everything is forgotten: {count}. Your conversations are still there.")


@doing
def switch(request: PageRequest) -> HttpResponse:
    """Memory on or off for this person."""
    form = SwitchForm(request.POST)
    if not form.is_valid():
        raise Http404
    is_enabled = form.cleaned_data["enabled"]
    MemorySetting.switch(request.user.pk, enabled=is_enabled)
    return _done(request, "Memory is on." if is_enabled else "Memory is off. What is remembered already stays.")


def _done(request: HttpRequest, sentence: str, to: str = "memory", **place: int) -> HttpResponse:
    """Back to a page that says what was done. It says nothing of what was remembered: a browser keeps the sentence."""
    messages.success(request, sentence)
    return HttpResponseRedirect(reverse(to, kwargs=place))


# --- The graph


@reading
def graph_page(request: PageRequest) -> HttpResponse:
    """The entities most spoken of and the facts between them, drawn."""
    whole = graph.whole(request.user)
    drawn = drawing.draw(whole, lambda pk: reverse("memory-entity", args=[pk]))
    return render(request, "memory/graph.html", {"whole": whole, "drawing": drawn, "legend": drawing.legend()})


@reading
def entities(request: PageRequest) -> HttpResponse:
    """All entities and all facts, as tables."""
    form = EntityFilterForm(request.GET)
    wanted = {"text": form.cleaned_data["q"], "kind": form.cleaned_data["kind"]} if form.is_valid() else {}
    after = request.GET.get("after", "")
    place = after if is_storable(after) else ""
    found = listing.entities(request.user, **wanted, limit=ENTITIES_A_PAGE, after=place)
    facts = listing.facts(request.user, **wanted, limit=FACTS_A_PAGE, before=_fact_place(request))
    query = form.query()
    context = {
        "form": form,
        "is_filtered": bool(query),
        "entities": found,
        "facts": facts,
        "more_entities": f"?{urlencode({**query, 'after': found.next})}" if found.next else None,
        "more_facts": f"?{urlencode({**query, 'before': facts.next})}" if facts.next else None,
    }
    return render(request, "memory/entities.html", context)


def _fact_place(request: HttpRequest) -> FactPlace | None:
    text = request.GET.get("before", "")
    recollection, _, relation = text.partition("-")
    return FactPlace(as_id(recollection), as_id(relation)) if text else None


@reading
def entity(request: PageRequest, entity_id: int) -> HttpResponse:
    """Somebody or something: the facts, who told them and where, and what is around it."""
    return _entity_page(request, _entity(request, entity_id))


def _entity(request: PageRequest, entity_id: int) -> Entity:
    return get_object_or_404(Entity.objects.visible_to(request.user), pk=entity_id)


def _entity_page(request: PageRequest, shown: Entity, status: int = 200, **forms_shown: object) -> HttpResponse:
    hops = _hops(request)
    facts = graph.facts_of(request.user.pk, shown.pk)
    known = origins({fact.source for fact in facts})
    mentioning = Recollection.objects.visible_to(request.user).filter(mentions__entity=shown).distinct()
    others = Entity.objects.visible_to(request.user).exclude(pk=shown.pk).by_mentions()
    context: dict[str, object] = {
        "entity": shown,
        "names": shown.mentions.exclude(name=shown.name).order_by("name").values_list("name", flat=True).distinct(),
        "facts": [(fact, known.get(fact.source)) for fact in facts],
        "hops": hops,
        "hops_to_choose": HOPS,
        "related": _related(request.user, shown, hops),
        "mentions": listing.described(list(mentioning.newest_first()[:MENTIONS_SHOWN])),
        "mention_count": mentioning.count(),
        "others": others[:CHOICES_TO_MERGE],
        "rename_form": RenameForm(initial={"name": shown.name}),
        "merge_form": MergeForm(shown),
    }
    return render(request, "memory/entity.html", context | forms_shown, status=status)


def _hops(request: HttpRequest) -> int:
    hops = _number(request, "hops") or HOPS[0]
    if hops not in HOPS:
        raise Http404
    return hops


def _related(user: User, shown: Entity, hops: int) -> list[dict[str, object]]:
    """What is around an entity, the nearest first."""
    around = graph.related(user.pk, shown.pk, hops)
    others = [{"id": node, **about} for node, about in around.nodes(data=True) if node != shown.pk]
    return sorted(others, key=lambda other: (other["hop"], other["name"]))


@doing
def rename(request: PageRequest, entity_id: int) -> HttpResponse:
    """Call it something else; when something else is called that, the page offers to merge the two."""
    shown = _entity(request, entity_id)
    form = RenameForm(request.POST)
    if not form.is_valid():
        return _entity_page(request, shown, 422, rename_form=form)
    try:
        graph.rename(shown, form.cleaned_data["name"])
    except NameTaken as refusal:
        other = Entity.objects.visible_to(request.user).filter(pk=refusal.entity_id).first()
        form.add_error("name", refusal.detail)
        return _entity_page(request, shown, refusal.status, rename_form=form, same_name=other)
    except InvalidInput as refusal:
        form.add_error("name", refusal.errors["name"])
        return _entity_page(request, shown, refusal.status, rename_form=form)
    return _done(request, "The name is changed.", "memory-entity", entity_id=shown.pk)


@doing
def merge(request: PageRequest, entity_id: int) -> HttpResponse:
    """It is the same as another one, which stays."""
    shown = _entity(request, entity_id)
    form = MergeForm(shown, request.POST)
    if not form.is_valid():
        return _entity_page(request, shown, 422, merge_form=form)
    into: Entity = form.cleaned_data["into"]
    graph.merge(shown, into)
    return _done(request, "The two are one now.", "memory-entity", entity_id=into.pk)


@doing
def delete_entity(request: PageRequest, entity_id: int) -> HttpResponse:
    """Delete it with what is known of it; what was said stays remembered."""
    graph.delete(_entity(request, entity_id))
    return _done(request, "Deleted, with what was known of it.", "memory-graph")
