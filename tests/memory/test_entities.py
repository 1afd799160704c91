"""What the rules find in a text, and what they must not take for a name."""

from __future__ import annotations

import random
import time

import pytest

from apps.memory.entities import MAX_ENTITIES, extract_entities
from apps.memory.facts import extract_facts, read_text
from apps.memory.names import NAME_MAX


def found(text: str) -> dict[str, str]:
    return {entity.name: entity.kind for entity in extract_entities(text)}


def said(text: str, speaker: str = "Alice") -> list[str]:
    facts = extract_facts(text, speaker=speaker)
    return [f"{fact.subject.name} {fact.predicate} {fact.object.name}" for fact in facts]


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        ("My sister Anna lives in Lisbon.", {"Anna": "person", "Lisbon": "place"}),
        ("Yesterday Peter and I met Mark.", {"Peter": "person", "Mark": "person"}),
        ("My friend Oluwaseun Adeyemi is here.", {"Oluwaseun Adeyemi": "person"}),
        ("Dr. Smith called.", {"Dr Smith": "person"}),
        ("J. S. Bach and Ludwig van Beethoven", {"J. S. Bach": "person", "Ludwig van Beethoven": "person"}),
        ("I just moved to Vila Nova de Gaia from Berlin.", {"Vila Nova de Gaia": "place", "Berlin": "place"}),
        ("We play at Blue Room on Park Lane.", {"Blue Room": "place", "Park Lane": "place"}),
        ("I work at Blue Note Records in New York.", {"Blue Note Records": "organisation", "New York": "place"}),
        ("She studied at the University of Tokyo.", {"University of Tokyo": "organisation"}),
        ("I play in a band called Night Owls.", {"Night Owls": "organisation"}),
        ("I play in a band called Moss & Iron.", {"Moss & Iron": "organisation"}),
        ("Our band Moss & Iron rehearses on Fridays.", {"Moss & Iron": "organisation", "Fridays": "date"}),
        ("Moss & Iron played in Lisbon.", {"Moss & Iron": "organisation", "Lisbon": "place"}),
        ("I work at Moss & Iron & Oak.", {"Moss & Iron & Oak": "organisation"}),
        ("I work at H & M.", {"H & M": "organisation"}),
        ("We signed with Moss & Iron Records.", {"Moss & Iron Records": "organisation"}),
        ("A duo called Simon & Garfunkel", {"Simon & Garfunkel": "organisation"}),
        ("We met at the Rose & Crown Inn.", {"Rose & Crown Inn": "place"}),
        ("Write to anna.k+x@mail.example.org!", {"anna.k+x@mail.example.org": "email"}),
        (
            "See https://example.org/a_(b), or www.example.com.",
            {"https://example.org/a_(b)": "link", "www.example.com": "link"},
        ),
        ("[the page](https://example.org/x)", {"https://example.org/x": "link"}),
        ("Jordan told me that I should live in Jordan.", {"Jordan": "person"}),
        ("It was nice in Nice, and I live in Bath.", {"Bath": "place"}),
        ("Two guitars and a Stratocaster", {"guitar": "music", "Stratocaster": "music"}),
        ("In C minor at 120 bpm, in 7/8 time.", {"C minor": "music", "120 bpm": "music", "7/8 time": "music"}),
        ("I mix bebop in Ableton Live.", {"bebop": "music", "Ableton Live": "music"}),
        ("I play bass.", {"bass": "music"}),
    ],
)
def test_what_is_found(text: str, entities: dict[str, str]) -> None:
    assert found(text) == entities


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        ("I work for Anna & Ben.", {"Anna": "person", "Ben": "person"}),
        ("Anna Berg & Ben Moss moved to Porto.", {"Anna Berg": "person", "Ben Moss": "person", "Porto": "place"}),
        ("Yesterday Rose & Mark played.", {"Mark": "person"}),
        ("Anna & Dr. Smith called.", {"Anna": "person", "Dr Smith": "person"}),
        ("J. Moss & K. Iron wrote it.", {"J. Moss": "person", "K. Iron": "person"}),
        ("Anna & Oluwaseun played.", {"Anna": "person", "Oluwaseun": "person"}),
        ("I met Oluwaseun & Chidi.", {"Oluwaseun": "person"}),
        ("I live in Lisbon & Porto.", {"Lisbon": "place", "Porto": "place"}),
        ("We visited Sintra & Cascais.", {"Sintra": "place"}),
        ("I work for Google & Moss.", {"Google": "organisation"}),
        (
            "I work at Blue Note Records & Abbey Road Studios.",
            {"Blue Note Records": "organisation", "Abbey Road Studios": "organisation"},
        ),
        ("We play Piano & String Quartet.", {"piano": "music", "String Quartet": "organisation"}),
        ("I love Salt & Pepper, and Rhythm & Timing.", {}),
        ("I work at Moss &", {"Moss": "organisation"}),
    ],
)
def test_an_ampersand_does_not_make_one_of_what_are_two(text: str, entities: dict[str, str]) -> None:
    assert found(text) == entities


@pytest.mark.parametrize(
    "text",
    ["12 March 2026", "March 12th, 2026", "12th of March 2026", "2026-03-12", "12.03.2026", "on Mar 12 2026"],
)
def test_a_day_is_one_entity_however_it_is_written(text: str) -> None:
    assert found(text) == {"12 March 2026": "date"}


def test_other_dates() -> None:
    assert found("We rehearse on Fridays, every Monday, since 1985, and in May 2027, on 3 May.") == {
        "Fridays": "date",
        "Mondays": "date",
        "1985": "date",
        "May 2027": "date",
        "3 May": "date",
    }


@pytest.mark.parametrize(
    "text",
    [
        "March is cold. May I ask? Will you come? Hope you are well. Mark my words.",
        "Here's a plan: Practice daily. Music is my life. Machine Learning is fun.",
        "# Practice Tips For Beginners With Anna\n\n**Warm Up Anna:** slowly",
        "```python\nAnna = 'Lisbon'\n```\nand `Anna.live('Lisbon')`",
        "    Anna = Lisbon()",
        "I speak English and Portuguese. See you on Monday, in Spring, at Christmas.",
        "THIS IS GREAT. LOL. The API returns JSON over HTTP.",
        "The bass swam up the river. The conductor checked our tickets.",
        "It costs 99.99.2026 and 45 March, on 2026-13-45.",
        "This is Great and I Am Happy",
        "Someone said hello@ and @example and http:// and www.",
        "",
        "\0\0 \ud800",
    ],
)
def test_what_is_no_name(text: str) -> None:
    assert found(text) == {}


def test_other_scripts_do_not_hinder() -> None:
    text = "我住在里斯本。 Я живу здесь. أعيش في لشبونة Anna lives in Porto. 👩‍👩‍👧"
    assert found(text)["Porto"] == "place"


def test_a_message_has_only_so_many_entities_and_none_too_long_to_store() -> None:
    many = " ".join(f"x{number}@example.org" for number in range(500))
    assert len(extract_entities(many)) == MAX_ENTITIES
    assert all(len(entity.name) <= NAME_MAX for entity in extract_entities("https://example.org/" + "a" * 350))


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (
            "My sister Anna lives in Lisbon and plays the cello.",
            ["Anna is sister of Alice", "Anna lives in Lisbon", "Anna plays cello"],
        ),
        ("My brother is called Tom.", ["Tom is brother of Alice"]),
        ("My wife's name is Maria. She's from Brazil.", ["Maria is wife of Alice", "Maria is from Brazil"]),
        ("Anna, my sister, plays the viola.", ["Anna is sister of Alice", "Anna plays viola"]),
        ("Peter is my bandmate.", ["Peter is bandmate of Alice"]),
        ("Anna's brother Tom plays drums.", ["Tom is brother of Anna", "Tom plays drums"]),
        ("I'm from Porto but I live in Berlin.", ["Alice is from Porto", "Alice lives in Berlin"]),
        ("I work at Blue Note Records.", ["Alice works at Blue Note Records"]),
        ("I play in a band called Moss & Iron.", ["Alice plays in Moss & Iron"]),
        ("Anna works for Moss & Iron in Porto.", ["Anna works at Moss & Iron"]),
        ("Anna & Ben live in Lisbon.", ["Anna lives in Lisbon", "Ben lives in Lisbon"]),
        (
            "Anna plays the cello, the piano and guitar.",
            ["Anna plays cello", "Anna plays piano", "Anna plays guitar"],
        ),
        ("I was born in Kraków.", ["Alice was born in Kraków"]),
        ("Tom was born on 3 May 1990.", ["Tom was born on 3 May 1990"]),
        ("I love jazz and I really like Lisbon.", ["Alice loves jazz", "Alice likes Lisbon"]),
        ("Anna's email is anna@example.org.", ["Anna has e-mail anna@example.org"]),
        ("You can email me at al@example.org", ["Alice has e-mail al@example.org"]),
        (
            "We rehearse on Fridays at Blue Room.",
            ["Alice rehearses on Fridays", "Alice rehearses at Blue Room"],
        ),
        ("I've got a Fender Stratocaster.", ["Alice owns Fender Stratocaster"]),
        ("I'm a drummer.", ["Alice is a drummer"]),
        ("My name is Alice Cooper.", ["Alice is called Alice Cooper"]),
    ],
)
def test_what_is_said(text: str, facts: list[str]) -> None:
    assert sorted(said(text)) == sorted(facts)


@pytest.mark.parametrize(
    "text",
    [
        "Do you think Anna plays the cello?",
        "If I lived in Paris I would play the cello.",
        "I don't live in Rome, and Anna never plays the cello.",
        "# Anna plays the cello",
        "Anna and the cello in Lisbon.",
        "Alice is called Alice.",
    ],
)
def test_what_says_nothing(text: str) -> None:
    assert said(text) == []


def test_she_is_the_one_person_spoken_of_and_nobody_where_there_are_two() -> None:
    assert said("Tom lives in Berlin. My friend Ingrid is from Oslo and she loves jazz.") == [
        "Tom lives in Berlin",
        "Ingrid is friend of Alice",
        "Ingrid is from Oslo",
        "Ingrid loves jazz",
    ]
    assert "Tom loves jazz" not in said("I met Tom and Anna. He loves jazz.")


def test_i_is_the_speaker_and_for_the_assistant_nobody() -> None:
    assert said("I live in Lisbon.", speaker="Bob") == ["Bob lives in Lisbon"]
    assert said("I live in Lisbon. Anna lives in Porto.", speaker="") == ["Anna lives in Porto"]
    reading = read_text("I live in Lisbon.", speaker="Bob")
    assert {entity.name for entity in reading.entities} == {"Bob", "Lisbon"}
    assert {entity.name for entity in read_text("Lisbon is nice.", speaker="Bob").entities} == {"Lisbon"}


HOSTILE = [
    *("a", "A ", "Anna ", "a@", "http://", "A.b", "University of ", "'", "x' ", "`", "<a", "1.", "in In ", "**a", "\0"),
    *(
        "A. ",
        "\u00e9\u0301",
        "Zz van ",
        "bass ",
        "1 2 ",
        "a-",
        "x\n",
        "A b c. ",
        "Zz & ",
        "Anna & Zz ",
        "a.b@c.",
        "Anna and ",
        "my ",
        "(((",
        "|",
    ),
    *("Anna , my a a a a ", "I work as a a a a ", "cello, cello and ", "we meet a a a on Fridays ", "March 12, "),
]


@pytest.mark.parametrize("part", HOSTILE)
def test_a_megabyte_made_to_be_slow_is_read_in_time(part: str) -> None:
    text = (part * (1_000_000 // len(part)))[:1_000_000]
    begun = time.process_time()
    read_text(text, speaker="Alice")
    assert time.process_time() - begun < 3


def test_no_text_whatever_raises() -> None:
    dice = random.Random(7)
    words = [
        "Anna",
        "my",
        "sister",
        "'s",
        "is",
        ",",
        ".",
        "?",
        "in",
        "Lisbon",
        "plays",
        "cello",
        "March",
        "12",
        "#",
        "\n",
    ]
    words += [
        "**",
        "`",
        "C",
        "minor",
        "/",
        "7",
        "8",
        "time",
        "bpm",
        "Dr.",
        "J.",
        "of",
        "van",
        "(",
        "x@y.org",
        "<",
        ">",
        "and",
    ]
    for _ in range(2000):
        read_text(" ".join(dice.choices(words, k=dice.randint(1, 30))), speaker="Alice")
        read_text("".join(dice.choices(words, k=dice.randint(1, 30))), speaker="Alice")
