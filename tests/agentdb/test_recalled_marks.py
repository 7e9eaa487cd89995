"""Recalled text that comes back is noticed: as it is, copied, in part, by another process; and news is not."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.errors import RecalledTextError
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.recalled_marks import (
    LEAST_WORDS,
    WEEK,
    RecalledMarks,
    RecalledPolicy,
    RecalledText,
    marked,
)
from lean_agentic.agentdb.records import Episode, Fact, Pattern, Provenance, Record, Trajectory
from lean_agentic.agentdb.store import Store

NOW = 1_700_000_000.0
TEXT = "Ann prefers the window seat on all morning trains to Zurich, and coffee without sugar."
NEWS = "Bo asked to cancel the hotel in Lisbon because his meeting was moved to the autumn."


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "memory.db") as store:
        yield store


@pytest.fixture
def recalled(store: Store) -> Episode:
    """An episode that was recalled just now."""
    [record_id] = store.add([Episode(TEXT, time=1.0)])
    [record] = store.get([record_id])
    RecalledMarks(store).note([record], NOW)
    assert isinstance(record, Episode)
    return marked(record)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.upper(),
        f"  {TEXT.replace(' ', chr(10))}!!",
        "From memory: " + TEXT,
        TEXT[: len(TEXT) // 2 + 8],
        TEXT + " " + TEXT,
    ],
)
def test_repeated_text_is_refused(store: Store, recalled: Episode, text: str) -> None:
    with pytest.raises(RecalledTextError, match=rf"recalled from the records \[{recalled.id}\]"):
        RecalledMarks(store).check([Episode(NEWS), Episode(text)], NOW + 5)
    with pytest.raises(RecalledTextError):
        RecalledMarks(store).check([Fact(text)], NOW + 5)


@pytest.mark.parametrize(
    "record",
    [
        Episode(NEWS),
        Episode(f"{NEWS} {TEXT}"),
        Episode(TEXT, tenant="other"),
        Trajectory("trains", (), task=TEXT),
        Pattern("trains", "seats", TEXT, ()),
        Episode("Ann prefers the window"),
    ],
)
def test_news_and_trials_of_a_task_are_stored(store: Store, recalled: Episode, record: Record) -> None:
    assert RecalledMarks(store).check([record], NOW + 5) == [record]


def test_marked_strings_are_noticed_without_fingerprints(store: Store) -> None:
    record = marked(Episode("Yes, the usual.", id=7))
    assert isinstance(record.context, RecalledText)
    with pytest.raises(RecalledTextError, match="100% of the words"):
        RecalledMarks(store).check([Episode(record.context)], NOW)
    # Something new was done about it.
    done = Episode(record.context, action="Booked the window seat to Zurich")
    assert RecalledMarks(store).check([done], NOW) == [done]


def test_a_marked_string_is_a_string_that_knows_its_record() -> None:
    text = RecalledText("kiwi", 7)
    assert text == "kiwi"
    assert hash(text) == hash("kiwi")
    for again in (copy.copy(text), copy.deepcopy(text), pickle.loads(pickle.dumps(text))):
        assert (type(again), again, again.record_id) == (RecalledText, "kiwi", 7)
    assert type(text + "") is str


def test_marking_keeps_the_record() -> None:
    records: list[Record] = [
        Episode("a", "b", "c", id=1),
        Fact("a", id=2),
        Trajectory("t", (), task="a", id=3),
        Pattern("t", "a", "b", ("x",), id=4),
    ]
    for record in records:
        again = marked(record)  # type: ignore[type-var]
        assert again == record
        assert any(isinstance(value, RecalledText) for value in vars(again).values())


def test_linked_text_names_its_originals_and_goes_with_them(store: Store, recalled: Episode) -> None:
    marks = RecalledMarks(store, RecalledPolicy.LINK)
    mine = Episode(f"As said: {TEXT}", provenance=Provenance("agent"))
    [linked] = marks.check([mine], NOW)
    assert linked.provenance == Provenance("agent", "recalled", (recalled.id,))
    [record_id] = store.add([linked])
    assert store.forget([recalled.id]) == 2
    assert store.ids(Filter(ids=[record_id])).tolist() == []


def test_an_original_that_is_gone_cannot_be_named(store: Store) -> None:
    lost = Episode(RecalledText("from another memory, long ago", 99))
    assert RecalledMarks(store, "link").check([lost], NOW)[0].provenance.records == ()


def test_allowed_text_is_stored_as_it_is(store: Store, recalled: Episode) -> None:
    assert RecalledMarks(store, "allow").check([recalled], NOW) == [recalled]


def test_marks_fade_and_are_renewed(store: Store, recalled: Episode) -> None:
    marks = RecalledMarks(store)
    assert marks.repetition(Episode(TEXT), NOW + WEEK).share == 1
    assert marks.repetition(Episode(TEXT), NOW + WEEK + 1).share == 0
    marks.note([recalled], NOW + WEEK)
    assert marks.repetition(Episode(TEXT), NOW + WEEK + 1).originals == (recalled.id,)
    marks.note([recalled], NOW)  # a recall that was slow to be noted
    assert marks.repetition(Episode(TEXT), NOW + 2 * WEEK).share == 1


def test_marks_go_with_the_record_and_its_text(store: Store, recalled: Episode) -> None:
    def rows() -> tuple[int, int]:
        with store.read() as connection:
            tables = ("recalls", "recalled_shingles")
            found = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
        return found[0], found[1]

    assert rows()[0] == 1
    assert rows()[1] > 5
    store.update(Episode(NEWS, id=recalled.id))
    assert rows() == (0, 0)
    RecalledMarks(store).note(store.get([recalled.id]), NOW)
    store.forget([recalled.id])
    assert rows() == (0, 0)
    RecalledMarks(store).note([recalled], NOW)  # forgotten between recall and note
    assert rows() == (0, 0)


def test_old_marks_are_dropped_when_new_ones_come(store: Store, recalled: Episode) -> None:
    [new] = store.add([Episode(NEWS)])
    RecalledMarks(store).note(store.get([new]), NOW + 2 * WEEK)
    with store.read() as connection:
        assert connection.execute("SELECT record_id FROM recalls").fetchall() == [(new,)]


def test_another_process_sees_the_marks(store: Store, recalled: Episode) -> None:
    program = (
        "import sys; from lean_agentic.agentdb.store import Store; from lean_agentic.agentdb.records import Episode\n"
        "from lean_agentic.agentdb.recalled_marks import RecalledMarks\n"
        "path, text, now = sys.argv[1:]\n"
        "with Store(path) as store: print(RecalledMarks(store).repetition(Episode(text), float(now)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(store.path), TEXT, str(NOW)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"Repetition(share=1.0, originals=({recalled.id},))"


@settings(max_examples=25, deadline=None)
@given(
    words=st.lists(st.sampled_from([f"w{at}" for at in range(40)]), max_size=30),
    other=st.lists(st.sampled_from([f"w{at}" for at in range(40)]), min_size=LEAST_WORDS, max_size=30),
)
def test_the_share_is_that_of_words_in_common_runs(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], other: list[str]
) -> None:
    with Store(tmp_path_factory.mktemp("memory") / "memory.db") as store:
        ids = store.add([Episode(" ".join(other))])
        marks = RecalledMarks(store)
        marks.note(store.get(ids), NOW)
        runs = [other[at : at + 5] for at in range(len(other) - 4)]
        covered = {at + step for at in range(len(words) - 4) if words[at : at + 5] in runs for step in range(5)}
        expected = len(covered) / len(words) if len(words) >= LEAST_WORDS else 0
        assert marks.repetition(Episode(" ".join(words)), NOW).share == pytest.approx(expected)


@pytest.mark.parametrize(("share", "keep"), [(0.0, 1.0), (1.1, 1.0), (0.5, 0.0)])
def test_impossible_settings_are_refused(store: Store, share: float, keep: float) -> None:
    with pytest.raises(ValueError, match="share must be above 0"):
        RecalledMarks(store, share=share, keep=keep)
