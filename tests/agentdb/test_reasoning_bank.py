"""The bank in a real store: what goes in, what comes out, and that nothing is lost or done twice."""

import threading
from dataclasses import replace

import pytest

from lean_agentic.agentdb.contrast import MiningSettings
from lean_agentic.agentdb.embedding import FunctionEmbedding
from lean_agentic.agentdb.errors import UnknownRecordError
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.foreign_records import ForeignRecordError
from lean_agentic.agentdb.judges import JudgeError, Judgement, RuleJudge
from lean_agentic.agentdb.learned_judge import LearnedJudge
from lean_agentic.agentdb.reasoning_bank import ReasoningBank
from lean_agentic.agentdb.records import Episode, Pattern, Step, Trajectory, Verdict
from lean_agentic.agentdb.store import Store
from lean_agentic.jit_runtime import events
from tests.agentdb.made_trajectories import made, planted

LETTERS = FunctionEmbedding(
    "letters", 26, lambda texts: [[1e-3 + t.lower().count(c) for c in "abcdefghijklmnopqrstuvwxyz"] for t in texts]
)
TASK = "made.task"


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "memory.db") as store:
        yield store


def fresh(trajectories):
    """Without ids, as they come from outside."""
    return [replace(trajectory, id=0) for trajectory in trajectories]


def patterns_in(bank):
    return {
        record.id: record
        for record in bank.store.find(Filter(tenant=bank.tenant, archived=None))
        if isinstance(record, Pattern)
    }


def test_a_trajectory_is_tracked_and_judged(store):
    bank = ReasoningBank(store, judge=RuleJudge(lambda trajectory: 0.9 if trajectory.steps else None, "has steps"))
    first, second = bank.track_all([made("respond"), made()])
    assert bank.judge(first) == Judgement(Verdict.SUCCESS, 0.9, "has steps")
    kept = store.get([first])[0]
    assert (kept.verdict, kept.confidence) == (Verdict.SUCCESS, 0.9)
    assert kept.metadata == {"judged by": "RuleJudge", "reason": "has steps"}
    assert bank.judge(second).abstained
    assert store.get([second])[0].metadata == {}


@pytest.mark.parametrize(
    ("by", "verdict"), [(True, "success"), (False, "failure"), ("failure", "failure"), (Verdict.SUCCESS, "success")]
)
def test_a_verdict_can_be_given(store, by, verdict):
    bank = ReasoningBank(store)
    id = bank.track(made("respond"))
    assert bank.judge(id, by).verdict == verdict
    assert (store.get([id])[0].verdict, store.get([id])[0].metadata["judged by"]) == (verdict, "caller")


def test_judging_needs_a_trajectory_and_a_verdict(store):
    bank = ReasoningBank(store)
    with pytest.raises(JudgeError, match="no judge"):
        bank.judge(bank.track(made("respond")))
    (episode,) = store.add([Episode("x")])
    (foreign,) = store.add([made("respond", tenant="other")])
    for id in (episode, foreign, 999):
        with pytest.raises(UnknownRecordError):
            bank.judge(id, True)


def test_a_judge_sees_the_other_trials(store):
    class Curious:
        def judge(self, trajectory, trials=()):
            self.seen = [trial.id for trial in trials]
            return Judgement(Verdict.UNKNOWN, 0.5)

    bank, judge = ReasoningBank(store), Curious()
    ids = bank.track_all([made("a", group="g"), made("b", group="g"), made("c", group="h"), made("d"), made("e")])
    bank.judge(ids[0], judge)
    assert judge.seen == [ids[1]]
    bank.judge(ids[3], judge)
    assert judge.seen == []


def test_it_takes_the_place_of_a_list_and_of_a_callback(store):
    bank = ReasoningBank(store)
    events.record(bank, "promotion", "module.f", state={"calls": 50}, action="compile", outcome="tier 2", cost=3.0)
    bank.append({"task_type": "routing.request", "steps": [], "verdict": "failure"})
    kept = bank.trajectories()
    assert [each.task_type for each in kept] == ["jit.promotion", "routing.request"]
    assert kept[0].steps[0] == Step({"calls": 50}, "compile", "tier 2", 3.0)
    with pytest.raises(ForeignRecordError):
        bank.append(7)


def test_patterns_are_distilled_found_and_explained(store):
    bank = ReasoningBank(store)
    bank.track_all(fresh(planted(40, 4, seed=0, lift=0.6)))
    report = bank.distil()
    hits = bank.patterns(TASK, {}, k=1)
    assert report.added
    assert hits[0].pattern.title == "Take update_item"
    assert hits[0].pattern.id in report.added
    assert "of comparable ones that did not" in hits[0].explanation
    assert set(hits[0].pattern.trajectories) <= {each.id for each in bank.trajectories()}
    assert bank.patterns("other", {}) == []
    with pytest.raises(ValueError, match="at least 1"):
        bank.patterns(TASK, {}, k=0)


def test_distilling_again_changes_nothing(store):
    bank = ReasoningBank(store, LETTERS)
    bank.track_all(fresh(planted(40, 4, seed=0, lift=0.6)))
    bank.distil()
    before, change = patterns_in(bank), store.last_change()
    again = bank.distil()
    assert not again.news
    assert again.task_types[0].unchanged == len(before)
    assert patterns_in(bank) == before
    assert store.last_change() == change


def test_use_is_counted_and_kept_through_distillation(store):
    bank = ReasoningBank(store, clock=lambda: 123.0)
    bank.track_all(fresh(planted(40, 4, seed=0, lift=0.6)))
    bank.distil()
    (hit,) = bank.patterns(TASK, {}, k=1)
    bank.patterns(TASK, {}, k=1, count_use=False)
    bank.track_all(fresh(planted(40, 4, seed=1, lift=0.6)))
    report = bank.distil()
    used = patterns_in(bank)[hit.pattern.id]
    assert hit.pattern.id in report.changed
    assert (used.access_count, used.last_access) == (1, 123.0)
    assert used.support > hit.pattern.support


def test_retired_patterns_are_kept_and_not_recommended(store):
    bank = ReasoningBank(store)
    bank.track_all(fresh(planted(20, 4, seed=1, lift=0.7)))
    bank.distil()
    (hit,) = bank.patterns(TASK, {}, k=1)
    turned = [replace(each, group=f"later {each.group}") for each in fresh(planted(60, 4, seed=2, lift=-0.7))]
    bank.track_all(turned)
    report = bank.distil(TASK)
    assert hit.pattern.id in report.retired
    assert patterns_in(bank)[hit.pattern.id].retired
    assert hit.pattern.id not in [each.pattern.id for each in bank.patterns(TASK, {}, k=99)]
    assert bank.stats().task_types[0].retired == len(report.retired)


def test_conditions_decide_which_patterns_fit(store):
    bank = ReasoningBank(store)
    steps = {True: ("compile", "end"), False: ("end",)}
    for at in range(60):
        big, act = at % 2 == 0, at % 4 < 2
        state = {"loop": {"trips": 500 if big else 3}}
        good = big if act else at % 3 == 0
        bank.track(
            Trajectory(
                "jit.made",
                tuple(Step(state, name) for name in steps[act]),
                verdict=Verdict.SUCCESS if good else Verdict.FAILURE,
            )
        )
    bank.distil()
    met = bank.patterns("jit.made", {"loop": {"trips": 900}}, k=1)[0]
    assert met.pattern.conditions == {"loop.trips": {"at least": 500}}
    assert met.met == ("loop.trips is at least 500",)
    assert met.pattern.id not in [hit.pattern.id for hit in bank.patterns("jit.made", {"loop": {"trips": 4}}, k=99)]
    assert bank.patterns("jit.made", "some text", k=1)[0].similarity is None


def test_with_an_embedding_likeness_to_the_tasks_behind_a_pattern_counts(tmp_path):
    with Store(tmp_path / "memory.db", dimensions=26, embedding="letters") as store:
        bank = ReasoningBank(store, LETTERS)
        kinds = {"aaaa": "update_item", "zzzz": "send_parcel"}
        for text, action in kinds.items():
            for at in range(20):
                actions = [action] if at % 2 else ["respond"]
                bank.track(made(*actions, verdict=bool(at % 2), task=text))
        bank.distil()
        for text, action in kinds.items():
            first = next(
                hit for hit in bank.patterns(TASK, text, k=9) if len(hit.pattern.actions) == 1 and not hit.pattern.avoid
            )
            assert first.pattern.actions == (action,)
            assert first.similarity == pytest.approx(1, abs=1e-3)
            assert bank.patterns(TASK, {"task": text}, k=1)[0].score == bank.patterns(TASK, text, k=1)[0].score


def test_tenants_do_not_see_each_other(store):
    ours, theirs = ReasoningBank(store, tenant="a"), ReasoningBank(store, tenant="b")
    ours.track_all(fresh(planted(40, 4, seed=0, lift=0.6)))
    assert ours.distil().added
    assert theirs.distil().task_types == ()
    assert theirs.patterns(TASK, {}) == []
    assert theirs.trajectories() == []
    assert theirs.stats().trajectories == 0


def test_a_forgotten_trajectory_no_longer_counts(store):
    bank = ReasoningBank(store)
    bank.track_all(fresh(planted(40, 4, seed=0, lift=0.6)))
    bank.distil()
    (hit,) = bank.patterns(TASK, {}, k=1)
    gone = hit.pattern.trajectories[:3]
    store.forget(gone)
    bank.distil()
    after = patterns_in(bank)[hit.pattern.id]
    assert after.trajectories == hit.pattern.trajectories[3:]
    assert after.support == hit.pattern.support - 3
    store.forget(Filter(kinds=("trajectory",)))
    assert patterns_in(bank) == {}


def test_a_judge_is_fitted_on_what_others_judged(store):
    bank = ReasoningBank(store)
    ids = bank.track_all(fresh(planted(30, 3, seed=1, lift=0.8)))
    judge = bank.fit_judge(TASK, abstain_between=(0.4, 0.6))
    assert isinstance(judge, LearnedJudge)
    new = bank.track(made("search_items", "update_item"))
    bank.judge(new, judge)
    assert store.get([new])[0].metadata["judged by"] == "LearnedJudge"
    assert len(bank.fit_judge(TASK).model.labels) == len(ids)


def test_trials_of_a_task_are_contrasted(store):
    bank = ReasoningBank(store)
    ids = bank.track_all(
        [made("get_user", "update_item", verdict=True, group="g"), made("update_item", verdict=False, group="g")]
    )
    found = bank.contrast(TASK, "g")
    assert (found.successes, found.failures) == ((ids[0],), (ids[1],))
    with pytest.raises(JudgeError, match="of 0 tasks"):
        bank.contrast(TASK, "unheard of")


def test_two_banks_that_distil_at_once_do_not_double_patterns(tmp_path):
    with Store(tmp_path / "memory.db") as first:
        ReasoningBank(first).track_all(fresh(planted(40, 4, seed=0, lift=0.6)))
        reports, barrier = [], threading.Barrier(3)

        def distil():
            with Store(tmp_path / "memory.db") as store:
                barrier.wait()
                reports.append(ReasoningBank(store).distil())

        threads = [threading.Thread(target=distil) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        titles = [pattern.title for pattern in patterns_in(ReasoningBank(first)).values()]
        assert len(titles) == len(set(titles))
        assert sum(len(report.added) for report in reports) == len(titles)


def test_settings_reach_the_mining(store):
    bank = ReasoningBank(store, settings=MiningSettings(false_discoveries=1e-12))
    bank.track_all(fresh(planted(20, 4, seed=0, lift=0.6)))
    assert not bank.distil().added
