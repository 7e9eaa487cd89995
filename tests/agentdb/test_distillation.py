"""Distillation: patterns to do and to avoid, merged, retired, revived; run again it changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.contrast import MiningSettings
from lean_agentic.agentdb.distillation import distil_patterns
from lean_agentic.agentdb.judges import JudgeError
from lean_agentic.agentdb.pattern_records import move_of
from lean_agentic.agentdb.records import Pattern
from tests.agentdb.made_trajectories import FEW, any_trajectory, made, planted


def stored(distilled, known=()):
    """Patterns as a store would hold them afterwards."""
    changed = {pattern.id: pattern for pattern in distilled.changed}
    kept = [changed.get(pattern.id, pattern) for pattern in known]
    first = max((pattern.id for pattern in kept), default=1000) + 1
    return [*kept, *(replace(pattern, id=first + at) for at, pattern in enumerate(distilled.added))]


def shifted(trajectories, start):
    return [replace(each, id=start + at, group=f"{each.group} from {start}") for at, each in enumerate(trajectories)]


def test_successes_teach_what_to_do_and_failures_what_to_avoid():
    (do, *_) = distil_patterns(planted(40, 4, seed=0, lift=0.6)).added
    assert (do.title, do.actions, do.avoid, do.retired) == ("Take update_item", ("update_item",), False, False)
    assert do.success_rate > do.base_rate + 0.3
    assert do.success_low > do.base_rate
    (avoid, *_) = distil_patterns(planted(40, 4, seed=0, lift=-0.6)).added
    assert (avoid.title, avoid.avoid) == ("Do not take update_item", True)
    assert avoid.success_high < avoid.base_rate


def test_nothing_comes_of_nothing():
    assert not distil_patterns([]).news
    assert not distil_patterns([made("respond") for _ in range(20)]).news


@FEW
@given(st.lists(any_trajectory(), min_size=6, max_size=16), st.randoms())
def test_it_is_idempotent_and_order_does_not_matter(trajectories, random):
    chosen = MiningSettings(false_discoveries=1.0, least_support=1)
    numbered = [replace(each, id=at + 1) for at, each in enumerate(trajectories)]
    first = distil_patterns(numbered, (), chosen)
    assert first == distil_patterns(random.sample(numbered, len(numbered)), (), chosen)
    known = stored(first)
    again = distil_patterns(numbered, known, chosen)
    assert not again.news, (first, again)
    assert again.unchanged == len(known)


@FEW
@given(st.lists(any_trajectory(), min_size=12, max_size=24), st.integers(4, 10))
def test_it_is_idempotent_after_more_evidence_too(trajectories, half):
    chosen = MiningSettings(false_discoveries=1.0, least_support=1)
    numbered = [replace(each, id=at + 1) for at, each in enumerate(trajectories)]
    known = stored(distil_patterns(numbered[:half], (), chosen))
    known = stored(distil_patterns(numbered, known, chosen), known)
    assert not distil_patterns(numbered, known, chosen).news


def test_a_pattern_is_retired_when_evidence_turns_and_comes_back_with_it():
    good = planted(20, 4, seed=1, lift=0.7)
    known = stored(distil_patterns(good))
    assert not known[0].retired
    turned = [*good, *shifted(planted(60, 4, seed=2, lift=-0.7), 1000)]
    second = distil_patterns(turned, known)
    assert known[0].id in second.retired
    assert [pattern.avoid for pattern in second.added if pattern.actions == ("update_item",)] == [True]
    after = stored(second, known)
    kept = next(pattern for pattern in after if pattern.id == known[0].id)
    assert kept.retired
    assert kept.support > known[0].support
    assert not distil_patterns(turned, after).news
    third = distil_patterns([*turned, *shifted(planted(150, 4, seed=3, lift=0.7), 5000)], after)
    assert known[0].id in third.revived


def test_weak_evidence_does_not_retire_what_still_points_its_way():
    trajectories = planted(40, 4, seed=4, lift=0.6)
    known = stored(distil_patterns(trajectories))
    strict = MiningSettings(false_discoveries=1e-12)
    assert not distil_patterns(trajectories, (), strict).added
    again = distil_patterns(trajectories, known, strict)
    assert not again.retired


def test_a_pattern_whose_trajectories_are_gone_is_retired():
    known = stored(distil_patterns(planted(40, 4, seed=5, lift=0.6)))
    left = [made("search_items", "respond", verdict=True, id=9), made("respond", verdict=False, id=10)]
    found = distil_patterns(left, known)
    assert set(found.retired) == {pattern.id for pattern in known}
    assert all(pattern.support == 0 and pattern.trajectories == () for pattern in found.changed)


def test_discoveries_with_nearly_the_same_followers_are_told_once():
    trajectories = []
    for at, each in enumerate(planted(40, 4, seed=6, lift=0.6)):
        # `send_parcel` goes with `update_item` nearly always.
        doubled = any(step.action == "update_item" for step in each.steps) and at % 20
        trajectories.append(replace(each, steps=(*each.steps, *made(*["send_parcel"] * bool(doubled)).steps)))
    found = distil_patterns(trajectories)
    about = [pattern for pattern in found.added if {"update_item", "send_parcel"} & set(pattern.actions)]
    assert found.merged > 0
    assert len([pattern for pattern in about if not pattern.avoid and len(pattern.actions) == 1]) == 1
    told = {title for pattern in about for title in [pattern.title, *pattern.metadata.get("also", [])]}
    assert {"Take update_item", "Take send_parcel"} <= told


def test_patterns_of_similar_words_and_followers_are_one():
    trajectories = planted(40, 4, seed=0, lift=0.6)
    plain = distil_patterns(trajectories)
    everything_alike = distil_patterns(trajectories, similarity=lambda texts: np.ones((len(texts), len(texts))))
    nothing_alike = distil_patterns(trajectories, similarity=lambda texts: np.eye(len(texts)))
    assert nothing_alike == plain
    assert len(everything_alike.added) <= len(plain.added)
    assert everything_alike.merged >= plain.merged


def test_a_lane_may_rephrase_new_patterns_and_must_keep_the_names():
    trajectories = planted(40, 4, seed=0, lift=0.6)
    known = stored(distil_patterns(trajectories, rephrase=lambda prompt: f"Please: {prompt.splitlines()[-1]}"))
    assert known[0].content.startswith("Please: Take update_item.")
    assert not distil_patterns(trajectories, known, rephrase=lambda prompt: "never asked again").news
    with pytest.raises(JudgeError, match="lacks update_item"):
        distil_patterns(trajectories, rephrase=lambda prompt: "Do well.")


def test_patterns_that_somebody_wrote_are_left_alone():
    written = Pattern("made.task", "Be kind", "Always.", ("respond",), id=77)
    found = distil_patterns(planted(40, 4, seed=0, lift=0.6), [written])
    assert written.id not in [pattern.id for pattern in found.changed]
    assert found.added
    assert move_of(written) is None


def test_one_task_type_and_tenant_at_a_time():
    with pytest.raises(JudgeError, match="one task type and one tenant"):
        distil_patterns([made("respond"), made("respond", task_type="other")])
    with pytest.raises(JudgeError, match="one task type and one tenant"):
        distil_patterns([made("respond"), made("respond", tenant="other")])
