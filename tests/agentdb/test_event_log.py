from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.agentdb.event_log import Stream, log_of_episodes, make_log, usual_stream
from lean_agentic.agentdb.records import Episode


def test_events_are_ordered_by_stream_and_time() -> None:
    log = make_log(np.array([5.0, 1.0, 3.0, 2.0]), ["b", "a", "a", "c"], ["x", "y", "x", "y"], [11, 12, 13, 14])
    assert log.names == ("a", "b", "c")
    assert log.streams.tolist() == [0, 0, 1, 1]
    assert log.times.tolist() == [3, 5, 1, 2]
    assert [log.names[kind] for kind in log.types] == ["a", "b", "a", "c"]
    assert log.records.tolist() == [13, 11, 12, 14]
    assert (log.opens.tolist(), log.closes.tolist()) == ([3, 1], [5, 2])
    assert repr(log) == "EventLog(4 events of 3 types in 2 streams)"


def test_streams_that_were_watched_all_along_share_their_span() -> None:
    log = make_log(np.array([5.0, 1.0]), ["b", "a"], ["x", "y"], watched=(0.0, 9.0))
    assert (log.opens.tolist(), log.closes.tolist()) == ([0, 0], [9, 9])


def test_an_episode_is_part_of_the_stream_of_each_entity_of_its_tenant() -> None:
    episodes = [
        Episode("", "call", entities=("Ann", "bob", "BOB"), time=1.0, id=1),
        Episode("", "mail", entities=("ann",), time=2.0, id=2),
        Episode("", "mail", entities=("ann",), time=3.0, tenant="other", id=3),
        Episode("", "", entities=("ann",), time=4.0, id=4),
        Episode("", "late", entities=("ann",), id=5),
    ]
    log = log_of_episodes(episodes)
    streams = [log.records[log.streams == stream].tolist() for stream in range(3)]
    assert sorted(streams) == [[1], [1, 2], [3]]
    assert set(log.opens) == {1.0}
    assert set(log.closes) == {3.0}


def test_sessions_end_with_their_last_event_and_everything_is_one_stream() -> None:
    episodes = [
        Episode("", "a", session=name, time=time) for name, time in (("x", 0.0), ("x", 4.0), ("y", 9.0), ("y", 10.0))
    ]
    assert usual_stream(episodes) is Stream.SESSION
    assert log_of_episodes(episodes).closes.tolist() == [4.0, 10.0]
    assert len(log_of_episodes(episodes, Stream.ALL).opens) == 1
    assert usual_stream([Episode("", "a", time=0.0)]) is Stream.ALL
    assert usual_stream([Episode("", "a", entities=("e",), session="s", time=0.0)]) is Stream.ENTITY


def test_types_may_be_named_by_the_caller() -> None:
    episodes = [Episode("Disk full", "clean", time=0.0), Episode("ok", "clean", time=1.0)]
    assert log_of_episodes(episodes, type_of=lambda each: each.context.split()[0]).names == ("Disk", "ok")


def test_no_events_are_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="time and a type"):
        log_of_episodes([Episode("only words")])
    with pytest.raises(ValueError, match="choose another stream"):
        log_of_episodes([Episode("", "a", time=0.0)], Stream.SESSION)
