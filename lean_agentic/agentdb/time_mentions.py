"""Dates that a query names, and how close records are to them.

`in May 2023`, `on 7 May`, `May 7th, 2023`, `2023-05-07`, `in 2022`, `yesterday`, `last week`: English, Gregorian, UTC.
A month or day without a year means every year.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

DAY = 86400.0
HALF_DAYS = 5.0
"""Days beside a date that halve its closeness: what happened is often told some days later."""
_FIRST = datetime(3, 1, 1, tzinfo=UTC).timestamp()
_LAST = datetime(9998, 1, 1, tzinfo=UTC).timestamp()
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_NAMES = {name: at for at, month in enumerate(_MONTHS, 1) for name in (month, month[:3])} | {"sept": 9}
_DAY = r"(?:(?P<day{0}>[0-3]?\d)(?:st|nd|rd|th)?)"
_DATE = re.compile(
    rf"(?:\b{_DAY.format(1)}\s+(?:of\s+)?)?\b(?P<month>{'|'.join(sorted(_NAMES, key=len, reverse=True))})\b\.?"
    rf"(?:\s+{_DAY.format(2)}\b(?!\d))?(?:\s*,?\s*(?:of\s+|in\s+)?(?P<year>[12]\d{{3}})\b)?",
    re.IGNORECASE,
)
_ISO = re.compile(r"\b(?P<year>[12]\d{3})-(?P<month>[01]\d)(?:-(?P<day>[0-3]\d))?\b")
_YEAR = re.compile(r"(?<![\w./-])(?P<year>(?:19|20)\d{2})\b(?![./-]?\d)")
_RELATIVE = re.compile(r"\b(?:(?P<name>today|yesterday)|(?P<which>this|last)\s+(?P<unit>week|month|year))\b", re.I)
_AMBIGUOUS = {"may", "mar", "march", "dec", "sept", "sep", "jan", "jun", "oct", "nov", "apr", "feb", "aug", "jul"}
"""Words, names and shortenings that are a month only beside a day or year, or as a capitalised full name."""


@dataclass(frozen=True)
class TimeMention:
    """A stretch of the calendar that a query names."""

    text: str
    """As the query names it."""
    year: int | None = None
    """None: every year."""
    month: int | None = None
    day: int | None = None
    stretch: tuple[float, float] | None = None
    """Unix seconds from and to, where the query names it by its distance from now."""

    def stretches(self, years: Iterable[int]) -> Iterator[tuple[float, float]]:
        """(from, to) in Unix seconds; one for each of the years where it may mean any."""
        if self.stretch is not None:
            yield self.stretch
            return
        for year in years if self.year is None else (self.year,):
            yield _stretch(year, self.month, self.day)


def time_mentions(query: str, now: float) -> list[TimeMention]:
    """The dates that a query names, in its order.

    `now` in Unix seconds is what `yesterday` counts from; such distances are left out beside a date proper.
    """
    found: list[tuple[int, int, TimeMention]] = []
    for pattern, read in ((_ISO, _read_iso), (_DATE, _read_date), (_RELATIVE, _read_relative), (_YEAR, _read_year)):
        for match in pattern.finditer(query):
            if any(match.start() < end and start < match.end() for start, end, _ in found):
                continue
            if (mention := read(match, now)) is not None:
                found.append((match.start(), match.end(), mention))
    ordered = [mention for _, _, mention in sorted(found, key=lambda each: each[0])]
    # "last week, as told on 6 November 2023" counts from that date, not from now.
    return [mention for mention in ordered if mention.stretch is None] or ordered


def closeness(mentions: Sequence[TimeMention], times: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """How close each of (n,) times in Unix seconds is to the closest date: 1 within it, halved every HALF_DAYS days."""
    moments = np.asarray(times, np.float64)
    close = np.zeros(len(moments))
    if not mentions or not len(moments):
        return close
    for mention in mentions:
        for start, end in mention.stretches(_years(moments)):
            gap = np.maximum(np.maximum(start - moments, moments - end), 0)
            close = np.maximum(close, 2 ** (-gap / (HALF_DAYS * DAY)))
    return close


def _years(moments: npt.NDArray[np.float64]) -> list[int]:
    """The years of times in Unix seconds, and those beside them, as far as the calendar goes."""
    seconds = np.clip(moments, _FIRST, _LAST).astype("datetime64[s]")
    years = np.unique(seconds.astype("datetime64[Y]").astype(np.int64)) + 1970
    return [int(year) for year in np.unique((years[:, None] + [-1, 0, 1]).clip(2, 9998))]


def _read_iso(match: re.Match[str], now: float) -> TimeMention | None:
    return _checked(match[0], match["year"], int(match["month"]), match["day"])


def _read_date(match: re.Match[str], now: float) -> TimeMention | None:
    name, day = match["month"], match["day1"] or match["day2"]
    alone = day is None and match["year"] is None
    if alone and (name.lower() in _AMBIGUOUS) and not (len(name) > 2 and name.istitle() and name.lower() in _MONTHS):
        return None
    # "May I ..." and "March on" at the beginning are no months.
    if alone and name in ("May", "March") and match.start() == 0:
        return None
    return _checked(match[0].strip(), match["year"], _NAMES[name.lower()], day)


def _read_year(match: re.Match[str], now: float) -> TimeMention | None:
    return TimeMention(match[0], int(match["year"]))


def _read_relative(match: re.Match[str], now: float) -> TimeMention | None:
    if not _FIRST <= now < _LAST:
        return None
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if match["name"]:
        start = today - timedelta(days=match["name"].lower() == "yesterday")
        end = start + timedelta(days=1)
    else:
        start, end = _span(today, match["unit"].lower(), match["which"].lower() == "last")
    return TimeMention(match[0], stretch=(start.timestamp(), end.timestamp()))


def _span(today: datetime, unit: str, last: bool) -> tuple[datetime, datetime]:
    """This or the last week (from Monday), month or year."""
    if unit == "week":
        start = today - timedelta(days=today.weekday() + 7 * last)
        return start, start + timedelta(days=7)
    if unit == "year":
        start = today.replace(year=today.year - last, month=1, day=1)
        return start, start.replace(year=start.year + 1)
    start = today.replace(day=1)
    if last:
        start = (start - timedelta(days=1)).replace(day=1)
    return start, start + timedelta(days=monthrange(start.year, start.month)[1])


def _checked(text: str, year: str | None, month: int, day: str | None) -> TimeMention | None:
    """None for a month or day that no calendar has."""
    if not 1 <= month <= 12 or (day is not None and not 1 <= int(day) <= 31):
        return None
    return TimeMention(text, int(year) if year else None, month, int(day) if day else None)


def _stretch(year: int, month: int | None, day: int | None) -> tuple[float, float]:
    if month is None:
        return datetime(year, 1, 1, tzinfo=UTC).timestamp(), datetime(year + 1, 1, 1, tzinfo=UTC).timestamp()
    days = monthrange(year, month)[1]
    # 29 February in other years is the day after the 28th.
    start = datetime(year, month, 1, tzinfo=UTC) + timedelta(days=min(day or 1, days + 1) - 1)
    return start.timestamp(), (start + timedelta(days=1 if day else days)).timestamp()
