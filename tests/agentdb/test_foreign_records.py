"""Records of other parts as trajectories; the JIT's own among them."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from lean_agentic.agentdb.foreign_records import ForeignRecordError, as_trajectory
from lean_agentic.agentdb.records import Step, Verdict
from lean_agentic.jit_runtime import events
from tests.agentdb.made_trajectories import made


def test_a_trajectory_of_ours_is_taken_as_it_is():
    trajectory = made("respond", verdict=True, tenant="a")
    assert as_trajectory(trajectory) is trajectory
    assert as_trajectory(trajectory, "b").tenant == "b"


def test_what_the_jit_emits_is_taken_whole():
    emitted = []
    events.record(
        emitted, "osr", "module.loop", state={"trips": 900}, action="enter", outcome="entered", cost=1.5, latency=2.5
    )
    events.record(emitted, "osr", "module.loop", state={}, action="enter", outcome="no room", success=False)
    first, second = map(as_trajectory, emitted)
    assert (first.task_type, first.verdict, first.time) == ("jit.osr", Verdict.SUCCESS, emitted[0].time)
    assert first.steps == (Step({"trips": 900}, "enter", "entered", 1.5, 2.5),)
    assert first.metadata == {"function": "module.loop"}
    assert first.task == "jit.osr module.loop"
    assert first.provenance.source == "lean_agentic.jit_runtime.events"
    assert second.verdict is Verdict.FAILURE


def test_fields_we_know_keep_their_place_and_others_become_metadata():
    @dataclass
    class Request:
        task_type: str = "routing.request"
        steps: tuple = ()
        verdict: Verdict = Verdict.UNKNOWN
        group: str = "r1"
        improvement: float = 0.5
        lane: str = "fast"
        handle: object = field(default_factory=object)
        metadata: dict = field(default_factory=lambda: {"a": 1})

    found = as_trajectory(Request(), "t")
    assert (found.group, found.improvement, found.tenant) == ("r1", 0.5, "t")
    assert found.metadata == {"a": 1, "lane": "fast"}


def test_mappings_and_plain_objects_will_do():
    given = {"task_type": "t", "steps": [{"state": {}, "action": "go"}], "verdict": "failure", "task": "go there"}
    for record in (given, SimpleNamespace(**given)):
        found = as_trajectory(record)
        assert (found.task, found.verdict, found.steps) == ("go there", Verdict.FAILURE, (Step({}, "go"),))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (7, "has no task_type, steps, verdict"),
        ({"task_type": "t", "steps": []}, "has no verdict"),
        ({"task_type": "t", "steps": [], "verdict": "maybe"}, "'maybe' is no verdict"),
        ({"task_type": "t", "steps": [{"state": {}}], "verdict": "success"}, "is no step"),
        ({"task_type": "t", "steps": [{"state": 3, "action": "a"}], "verdict": "success"}, "is no step"),
        (
            {"task_type": "t", "steps": [{"state": {}, "action": "a", "cost": "much"}], "verdict": "success"},
            "is no step",
        ),
    ],
)
def test_anything_else_is_refused_with_what_it_lacks(record, message):
    with pytest.raises(ForeignRecordError, match=message):
        as_trajectory(record)
