"""Which recollections answer a question, and which questions nothing answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pytest

from apps.memory.ranking import CLOSE, RELATED, Candidate, Query, Term, rank, rank_fitting, shortlist
from apps.memory.words import analyse, ask

DAY = date(2024, 5, 3)
TALK = (
    "Ann: Good morning!",
    "Bob: We bought a red canoe.",
    "Ann: My sister moved to Lisbon.",
    "Bob: How far did you get with the quilt?",
    "Ann: The edges are left, then it is finished.",
    "Bob: Dinner is at eight.",
)


def talk(*texts: str, thread: str = "a", first: int = 1) -> list[Candidate]:
    """Each text as a row; its id is its number, its position too."""
    kept = [analyse(text, DAY) for text in texts]
    return [
        Candidate(first + place, thread, first + place, each.voice, each.stems, each.asks, b"")
        for place, each in enumerate(kept)
    ]


def query(
    question: str,
    rows: list[Candidate],
    related: Mapping[str, Mapping[str, float]] | None = None,
    vector: tuple[float, ...] | None = None,
) -> Query:
    """The question, asked of someone who has these rows and no others."""
    asked = ask(question, {row.voice for row in rows})
    frequency = {stem: sum(stem in row.stems.split() for row in rows) for stem in asked.stems}
    terms = [Term(stem, (related or {}).get(stem, {}), frequency[stem]) for stem in asked.stems]
    return Query(terms, None if vector is None else np.array(vector, dtype=np.float32), asked.voices, len(rows))


def found(question: str, rows: list[Candidate], **details: Mapping[str, Mapping[str, float]]) -> list[int]:
    """The ids, the best first."""
    return [each.id for each in rank(query(question, rows, **details), rows, 10)]


def with_vectors(rows: list[Candidate], *vectors: tuple[float, ...]) -> list[Candidate]:
    """The rows, each with its vector."""
    packed = [np.array(vector, dtype="<f2").tobytes() for vector in vectors]
    return [row._replace(vector=vector) for row, vector in zip(rows, packed, strict=True)]


@pytest.mark.parametrize(("question", "first"), [("the red canoes", 2), ("Who moved to Lisbon?", 3), ("dinner", 6)])
def test_who_says_the_words_comes_first(question: str, first: int) -> None:
    assert found(question, talk(*TALK))[0] == first


def test_an_answer_is_found_by_the_words_of_its_question() -> None:
    assert found("the quilt", talk(*TALK))[:2] == [5, 4]


@pytest.mark.parametrize("question", ["capital of Peru", "xqzv blorp", "日本", "How are you?", "", "?"])
def test_what_nobody_spoke_of_recalls_nothing(question: str) -> None:
    assert found(question, talk(*TALK)) == []


def test_one_common_word_of_many_is_not_enough() -> None:
    rows = talk(*[f"Ann: we work on thing{i}" for i in range(600)])
    assert found("How does photosynthesis work in chloroplasts?", rows) == []
    assert found("What about thing7?", rows)[0] == 8


def test_nothing_remembered_is_nothing_recalled() -> None:
    assert found("the canoe", []) == []


def fitting(
    question: str, rows: list[Candidate], limit: int = 10, **details: Mapping[str, Mapping[str, float]]
) -> list[int]:
    """The ids of those that fit by themselves, the best first."""
    return [each.id for each in rank_fitting(query(question, rows, **details), rows, limit)]


def test_what_fits_by_itself_holds_a_word_whatever_stands_beside_it() -> None:
    rows = talk(*TALK)
    assert found("the quilt", rows)[:2] == [5, 4]
    assert fitting("the quilt", rows) == [4]
    assert fitting("the quilt", rows, limit=1) == [4]
    assert fitting("quilt, dinner, peru, xqzv, blorp, frotz and zither", rows) == [6, 4]
    assert fitting("capital of Peru", rows) == fitting("", rows) == fitting("quilt", []) == []


def test_a_word_that_is_taken_for_another_fits_and_one_that_is_hardly_related_does_not() -> None:
    rows = talk("Ann: The dog sleeps.", "Ann: The puppy sleeps.", "Ann: The fur coat sleeps.")
    assert fitting("dog", rows, related={"dog": {"puppi": 0.5, "fur": 0.02}}) == [1, 2]


def test_what_is_close_in_meaning_fits_and_its_neighbours_do_not() -> None:
    near = (CLOSE + 0.01, (1 - (CLOSE + 0.01) ** 2) ** 0.5)
    rows = with_vectors(talk("Ann: We moved.", "Ann: Good night.", "Ann: Well."), (0, 1), near, (0, -1))
    asked = query("relocation", rows, vector=(1, 0))
    assert [each.id for each in rank_fitting(asked, rows, 10)] == [2]
    against = query("moved", rows, vector=(0, -1))
    assert [(each.id, each.score >= 0) for each in rank_fitting(against, rows, 10)][-1] == (1, True)


def test_a_single_recollection_is_recalled() -> None:
    rows = talk("My dog is called Biscuit.")
    assert found("What is my dog's name?", rows) == [1]
    assert found("What is the capital of Peru?", rows) == []


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    rows = talk("Ann: a zither", *["Ann: music"] * 30)
    apart = [row._replace(position=100 * row.position) for row in rows]
    assert found("zither music", apart)[0] == 1


def test_neighbours_of_another_thread_lend_nothing() -> None:
    near, far = talk("Bob: quilt", "Ann: edges"), talk("Bob: quilt", "Ann: edges")
    far = [far[0], far[1]._replace(thread="b")]
    assert found("quilt", near) == [1, 2]
    assert found("quilt", far) == [1]


def test_neighbours_lend_the_less_the_farther_away() -> None:
    rows = talk("Ann: quilt", *["Ann: so"] * 8)
    ranked = rank(query("quilt", rows), rows, 10)
    assert [each.id for each in ranked] == [1, 2, 3, 4]
    gap = [rows[0], rows[1]._replace(position=4)]
    assert rank(query("quilt", gap), gap, 2)[1].score < ranked[1].score


def test_what_is_told_comes_before_what_is_asked() -> None:
    rows = talk("Ann: a quilt?", "Ann: a quilt.")
    apart = [rows[0], rows[1]._replace(thread="b")]
    assert found("quilt", apart) == [2, 1]


def test_a_short_text_that_says_it_comes_before_a_long_one() -> None:
    rows = talk("Ann: quilt", "Ann: quilt " + "and lots of other words besides " * 20)
    apart = [rows[0], rows[1]._replace(thread="b")]
    assert found("quilt", apart)[0] == 1


def test_whom_the_question_names_answers_it() -> None:
    rows = talk("Ann: The quilt is done.", "Bob: The quilt is done.")
    apart = [rows[0], rows[1]._replace(thread="b")]
    assert found("Ann's quilt", apart)[0] == 1
    assert found("Bob's quilt", apart)[0] == 2


def test_a_question_that_names_a_speaker_is_about_what_was_said() -> None:
    rows = [row._replace(thread=str(row.id)) for row in talk("Bob: The quilt is done.", "Ann: Fine.")]
    named, unnamed = (rank(query(question, rows), rows, 1)[0] for question in ("Ann's quilt", "the quilt"))
    assert named.id == unnamed.id == 1
    assert named.score > unnamed.score


def test_a_relative_of_the_word_counts_less_than_the_word() -> None:
    rows = talk("Ann: The dog sleeps.", "Ann: The puppy sleeps.", "Ann: The stone sleeps.")
    apart = [row._replace(thread=str(row.id)) for row in rows]
    assert found("dog", apart) == [1]
    assert found("dog", apart, related={"dog": {"puppi": 0.5}}) == [1, 2]


def test_a_word_is_as_common_as_its_relatives() -> None:
    rows = talk("Ann: a zither", *["Ann: a puppy"] * 30)
    apart = [row._replace(thread=str(row.id)) for row in rows]
    assert found("zither dog", apart, related={"dog": {"puppi": 0.9}})[0] == 1


def test_a_word_said_again_counts_again() -> None:
    rows = talk("Ann: quilt quilt tea", "Ann: quilt tea tea")
    assert found("quilt", [row._replace(thread=str(row.id)) for row in rows]) == [1, 2]


def test_the_day_it_was_said_tells_apart_what_was_said_twice() -> None:
    rows = [*talk("Ann: We went hiking."), *talk("Ann: We went hiking.", thread="b", first=9)]
    other = analyse("Ann: We went hiking.", date(2023, 8, 13))
    rows[0] = rows[0]._replace(stems=other.stems)
    assert found("hiking in August 2023", rows)[0] == 1
    assert found("hiking on May 3rd", rows)[0] == 9


def test_of_equals_the_last_comes_first() -> None:
    rows = [row._replace(thread=str(row.id)) for row in talk(*["Ann: quilt"] * 4)]
    assert found("quilt", rows) == [4, 3, 2, 1]


def test_order_and_repetition_of_candidates_change_nothing() -> None:
    rows = talk(*TALK)
    asked = query("the red canoe", rows)
    assert rank(asked, [*reversed(rows), rows[1]], 10) == rank(asked, rows, 10)


def test_scores_fall_from_at_most_one_and_stop_at_the_limit() -> None:
    rows = talk(*["Ann: quilt " * 50] * 20)
    scores = [each.score for each in rank(query("Ann's quilt", rows), rows, 5)]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert all(RELATED < score <= 1 for score in scores)


def test_meaning_finds_what_no_word_does() -> None:
    rows = with_vectors(talk("Ann: We moved.", "Ann: Good night."), (1, 0), (0, 1))
    apart = [rows[0], rows[1]._replace(thread="b")]
    asked = query("relocation", apart, vector=(1, 0))
    assert [each.id for each in rank(asked, apart, 10)] == [1]


def test_among_its_like_a_row_means_no_more() -> None:
    rows = with_vectors(talk("Ann: Done.", "Ann: Fine.", "Ann: Well."), (0.8, 0.6), (0.8, 0.6), (0.8, 0.6))
    asked = query("relocation", rows, vector=(1, 0))
    scores = [each.score for each in rank(asked, rows, 10)]
    assert scores == pytest.approx([rank(asked, rows[:1], 1)[0].score] * 3)


def test_an_embedder_may_find_everything_somewhat_alike() -> None:
    rows = with_vectors(talk("Ann: We moved."), (0.8, 0.6))
    asked = query("Peru?", rows, vector=(1, 0))
    assert rank(asked, rows, 10)
    assert not rank(Query(asked.terms, asked.vector, asked.voices, asked.total, unrelated=0.8), rows, 10)


def test_rows_without_a_vector_like_the_questions_are_ranked_by_words() -> None:
    rows = talk("Ann: quilt", "Ann: quilt", "Ann: quilt")
    rows = [rows[0], rows[1]._replace(thread="b", vector=b"\x00\x3c"), rows[2]._replace(thread="c", vector=b"")]
    rows[0] = rows[0]._replace(vector=np.array((1, 0), dtype="<f2").tobytes())
    asked = query("quilt", rows, vector=(1, 0))
    assert [each.id for each in rank(asked, rows, 10)] == [1, 3, 2]


def test_the_shortlist_holds_the_most_and_the_rarest_words() -> None:
    terms = [Term("common", {}, 900), Term("rare", {}, 2), Term("unsaid", {}, 0)]
    asked = Query(terms, None, frozenset(), 1_000)
    holders = {"common": [9, 8, 7, 1], "rare": [5, 1]}
    assert shortlist(asked, holders, 10) == [1, 5, 9, 8, 7]
    assert shortlist(asked, holders, 2) == [1, 5]
    assert shortlist(Query([], None, frozenset(), 0), {}, 2) == []
    alike = Query([Term("one", {}, 1), Term("other", {}, 1)], None, frozenset(), 9)
    assert shortlist(alike, {"one": [3], "other": [7]}, 2) == [7, 3]


def test_a_count_that_ran_ahead_of_the_total_does_no_harm() -> None:
    terms = [Term("stale", {}, 1_000_000), Term("rare", {}, 2)]
    assert shortlist(Query(terms, None, frozenset(), 600), {"stale": [1], "rare": [5, 1]}, 2)[0] == 1
