"""Dates in queries, and closeness to them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.time_mentions import DAY, HALF_DAYS, TimeMention, closeness, time_mentions

NOW = datetime(2024, 3, 13, 15, 30, tzinfo=UTC).timestamp()  # a Wednesday


def at(*date: int) -> float:
    return datetime(*date, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What happened in May 2023?", (2023, 5, None)),
        ("on 7 May 2023", (2023, 5, 7)),
        ("on May 7th, 2023", (2023, 5, 7)),
        ("the 1st of February, 2023", (2023, 2, 1)),
        ("On 2023-05-07 we met", (2023, 5, 7)),
        ("in 2023-05", (2023, 5, None)),
        ("since 1999", (1999, None, None)),
        ("around Aug 15th", (None, 8, 15)),
        ("What did she do in June?", (None, 6, None)),
        ("in december 2021", (2021, 12, None)),
    ],
)
def test_dates_are_found(query: str, expected: tuple[int | None, ...]) -> None:
    [mention] = time_mentions(query, NOW)
    assert (mention.year, mention.month, mention.day) == expected
    assert mention.text in query


@pytest.mark.parametrize(
    "query",
    [
        "May I ask?",
        "you may go",
        "march on",
        "He sat with jan",
        "room 12345",
        "2023-13-40",
        "the secondary school",
        "",
        "1.5",
    ],
)
def test_what_only_looks_like_a_date_is_none(query: str) -> None:
    assert time_mentions(query, NOW) == []


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("today", at(2024, 3, 13), at(2024, 3, 14)),
        ("Yesterday", at(2024, 3, 12), at(2024, 3, 13)),
        ("this week", at(2024, 3, 11), at(2024, 3, 18)),
        ("last week", at(2024, 3, 4), at(2024, 3, 11)),
        ("this month", at(2024, 3, 1), at(2024, 4, 1)),
        ("last month", at(2024, 2, 1), at(2024, 3, 1)),
        ("last year", at(2023, 1, 1), at(2024, 1, 1)),
    ],
)
def test_distances_count_from_now(words: str, start: float, end: float) -> None:
    [mention] = time_mentions(f"What did I do {words}?", NOW)
    assert list(mention.stretches([])) == [(start, end)]


def test_a_distance_beside_a_date_is_left_out() -> None:
    mentions = time_mentions("What went wrong last week, as told on November 6, 2023?", NOW)
    assert [mention.text for mention in mentions] == ["November 6, 2023"]


def test_several_dates_come_in_their_order() -> None:
    mentions = time_mentions("Between August 11 and August 15 2023, or in 2021?", NOW)
    assert [(each.year, each.month, each.day) for each in mentions] == [
        (None, 8, 11),
        (2023, 8, 15),
        (2021, None, None),
    ]


def test_closeness_is_1_within_and_halves_beside() -> None:
    may = [TimeMention("May 2023", 2023, 5)]
    times = [
        at(2023, 5, 1),
        at(2023, 5, 31, 23),
        at(2023, 5, 1) - HALF_DAYS * DAY,
        at(2023, 6, 1) + 2 * HALF_DAYS * DAY,
    ]
    np.testing.assert_allclose(closeness(may, times), [1, 1, 0.5, 0.25])
    assert closeness([], times).tolist() == [0, 0, 0, 0]
    assert closeness(may, []).tolist() == []


def test_a_month_without_a_year_is_any_year() -> None:
    close = closeness([TimeMention("June", month=6)], [at(2020, 6, 3), at(2024, 6, 30), at(2022, 1, 1)])
    assert close[:2].tolist() == [1, 1]
    assert close[2] < 1e-6


def test_the_29th_of_february_of_other_years_is_the_1st_of_march() -> None:
    leap = [TimeMention("29 February", month=2, day=29)]
    np.testing.assert_allclose(closeness(leap, [at(2024, 2, 29, 12), at(2023, 3, 1, 12)]), [1, 1])


def test_times_beyond_the_calendar_are_close_to_nothing() -> None:
    june = TimeMention("June", month=6)
    assert closeness([june], [1e15, -1e15, at(2024, 6, 3)]).tolist() == [0, 0, 1]
    assert time_mentions("yesterday", 1e15) == []


@given(query=st.text(max_size=40), now=st.floats(0, 4e9))
def test_any_text_can_be_read(query: str, now: float) -> None:
    for mention in time_mentions(query, now):
        assert all(start < end for start, end in mention.stretches(range(2020, 2024)))


@given(
    times=st.lists(st.floats(0, 4e9), min_size=1, max_size=5),
    year=st.none() | st.integers(1971, 2090),
    month=st.none() | st.integers(1, 12),
)
def test_closeness_is_what_the_nearest_stretch_gives(times: list[float], year: int | None, month: int | None) -> None:
    if year is None and month is None:
        return
    mention = TimeMention("", year, month)
    stretches = list(mention.stretches(range(1969, 2099)))
    for time, close in zip(times, closeness([mention], times), strict=True):
        gap = min(max(start - time, time - end, 0) for start, end in stretches)
        assert close == pytest.approx(2 ** (-gap / (HALF_DAYS * DAY)), rel=1e-9)
