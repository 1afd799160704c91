"""What is kept of a text, and what is looked for in a question."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from apps.memory import words
from apps.memory.words import (
    ASKED_MAX,
    INDEXED_MAX,
    STEMS_ASKED,
    WORD_MAX,
    analyse,
    ask,
    content_stems,
    fold,
    speaker_and_said,
    stems_held,
)

DAY = date(2024, 5, 3)


def said(text: str) -> list[str]:
    """The stems of a text without those of its day."""
    return analyse(text, DAY).stems.split()[3:]


def test_forms_of_a_word_are_one_stem_and_stop_words_are_left_out() -> None:
    assert said("She was painting the two paintings") == ["paint", "two", "paint"]


@pytest.mark.parametrize("text", ["I don't, can't and won't", "We're sure it isn\u2019t", "They'd've"])
def test_contractions_leave_no_pieces_behind(text: str) -> None:
    assert set(said(text)) <= {"sure"}


def test_what_someone_has_is_found_by_their_name() -> None:
    assert said("Ann's house, Ann\u2019s dog") == ["ann", "hous", "ann", "dog"]


def test_case_accents_and_width_make_no_difference() -> None:
    assert fold("CAFÉ Größe \uff57\uff49\uff44\uff45") == fold("cafe grösse wide") == "cafe grosse wide"


@pytest.mark.parametrize("text", ["东京的天气", "東京の天気", "서울날씨"])
def test_scripts_without_spaces_are_cut_into_pairs(text: str) -> None:
    assert said(text) == [text[i : i + 2] for i in range(len(text) - 1)]
    assert said(f"in {text[0]} and") == [text[0]]


def test_words_of_other_scripts_match_themselves() -> None:
    assert said("Привет, мир") == [*content_stems("привет МИР")]
    assert len(said("नमस्ते दुनिया")) == 2


def test_notes_and_languages_keep_their_signs() -> None:
    assert said("F# or F, B♭, C++ #tag") == ["fsharp", "f", "bflat", "cplusplus", "tag"]


def test_stems_hold_nothing_that_an_index_would_cut() -> None:
    assert all(stem.isalnum() for stem in said("snake_case x.y(z) a-b 'quoted' 50% <b>bold</b> \x00 e=mc²"))


def test_which_parts_of_a_text_hold_what_is_wanted() -> None:
    parts = ["He hopes\0 for C# on 3 May. ", "Nothing.", "Ögödei's HOPE, 日本語"]
    wanted = ["hope", "csharp", "may3", "ogodei", "本語", "dog"]
    assert stems_held(parts, wanted) == [{"hope", "csharp", "may3"}, set(), {"hope", "ogodei", "本語"}]


def test_the_day_is_found_as_a_question_would_say_it() -> None:
    stems = analyse("Hi", DAY).stems.split()
    for question in ("in May", "on 3 May", "on the 3rd of May", "on May 3rd, 2024", "during 2024"):
        assert set(ask(question, ()).stems) <= set(stems), question
    assert not set(ask("on 4 May", ()).stems) <= set(stems)


def test_a_number_is_no_day() -> None:
    assert "3" not in analyse("Hi", DAY).stems.split()


def test_a_text_may_name_its_speaker() -> None:
    assert speaker_and_said("Ann Lee: We moved to Bern.") == ("Ann Lee", "We moved to Bern.")
    assert analyse("Ann Lee: We moved to Bern.", DAY).voice == "ann lee"
    assert said("Ann Lee: We moved to Bern.") == ["move", "bern"]


def test_who_is_known_to_speak_says_all_of_it() -> None:
    text = "Shopping: strings and rosin."
    assert speaker_and_said(text, "Bob") == ("Bob", text)
    assert analyse(text, DAY, "Bob").voice == "bob"


def test_who_speaks_says_all_that_follows() -> None:
    assert speaker_and_said("Ann: One.\nBob: Two.") == ("Ann", "One.\nBob: Two.")


@pytest.mark.parametrize(
    "text", ["https://example.org is down", "I went to four places last year: Bern", "12:30 is fine", "Ann:", "a:b"]
)
def test_a_colon_alone_names_nobody(text: str) -> None:
    assert speaker_and_said(text) == ("", text)


@pytest.mark.parametrize("text", ["Ann: Shall we?", "Why? ", 'She asked "why?"', "为什么\uff1f", "لماذا؟"])
def test_a_text_that_ends_in_a_question_asks(text: str) -> None:
    assert analyse(text, DAY).asks


@pytest.mark.parametrize("text", ["Why? Because.", "Yes.", "", "?!"])
def test_other_texts_do_not(text: str) -> None:
    assert not analyse(text, DAY).asks


def test_speakers_whom_a_question_names_are_set_apart() -> None:
    asked = ask("Where did Zoë's sister move with Zoe?", {"zoe", "bob lee"})
    assert asked.voices == {"zoe"}
    assert asked.stems == ("sister", "move")
    assert asked.words == "Where did sister move with ?"


def test_a_part_of_a_name_names_them_but_no_stop_word_does() -> None:
    assert ask("What did Lee say?", {"zoe", "bob lee"}).voices == {"bob lee"}
    assert not ask("What did the others say?", {"the boss"}).voices
    assert ask("What did Will say?", {"will"}).voices == {"will"}


def test_who_never_spoke_is_a_word_like_any_other() -> None:
    asked = ask("Where is Zoe?", {"bob"})
    assert (asked.voices, asked.stems, asked.words) == (frozenset(), ("zoe",), "Where is Zoe?")


def test_a_name_alone_is_what_is_asked() -> None:
    asked = ask("Bob?", {"bob"})
    assert (asked.voices, asked.stems, asked.words) == ({"bob"}, ("bob",), "Bob?")


def test_each_stem_is_asked_once_in_order() -> None:
    assert ask("red shoes, blue shoes", ()).stems == ("red", "shoe", "blue")


def test_a_huge_text_is_cut_and_so_is_a_huge_word() -> None:
    assert len(said("word " * INDEXED_MAX)) == INDEXED_MAX / len("word ")
    assert [len(stem) for stem in said("x" * 10_000)] == [WORD_MAX]


def test_threads_may_stem_at_once() -> None:
    forms = [f"{root}ing{i}" for i in range(200) for root in ("paint", "walk")]
    alone = [words.stem.__wrapped__(form) for form in forms]
    with ThreadPoolExecutor(8) as pool:
        together = [list(found) for found in pool.map(lambda _: [*map(words.stem.__wrapped__, forms)], range(8))]
    assert together == [alone] * 8


def test_of_a_long_text_the_beginning_is_asked_about() -> None:
    asked = ask(" ".join(f"word{number}" for number in range(100_000)), [])
    assert asked.stems == tuple(f"word{number}" for number in range(STEMS_ASKED))
    assert len(asked.words) <= ASKED_MAX
