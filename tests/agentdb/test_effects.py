from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from lean_agentic.agentdb.effect_estimate import Method, Refusal, UnidentifiedEffectError
from lean_agentic.agentdb.effect_table import EffectTable
from lean_agentic.agentdb.effects import effect_of, effects_of_all
from lean_agentic.agentdb.errors import NotIdentifiedError


def categories(n: int, effect: float, seed: int) -> EffectTable:
    """Two categories move both the action and a binary outcome."""
    rng = np.random.default_rng(seed)
    kind, late = rng.integers(0, 3, n), rng.random(n) < 0.4
    acted = rng.random(n) < expit(0.9 * (kind - 1) + 0.6 * late - 0.3)
    chance = 0.1 + 0.2 * kind + 0.15 * late + effect * acted
    frame = pd.DataFrame({"kind": kind.astype(str), "late": late, "acted": acted})
    return EffectTable(frame.assign(won=(rng.random(n) < chance).astype(float)), ("kind", "late"))


def numbers(n: int, effect: float, seed: int) -> EffectTable:
    """Numbers move both the action and a binary outcome; one of them only the outcome."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    acted = rng.random(n) < expit(x[:, 0] + 0.5 * x[:, 1])
    chance = 0.1 + 0.7 * expit(1.2 * x[:, 0] + 0.5 * x[:, 2]) + effect * acted
    frame = pd.DataFrame(x, columns=["size", "age", "noise"]).assign(acted=acted)
    return EffectTable(frame.assign(won=(rng.random(n) < chance).astype(float)), ("size", "age", "noise"))


def hours(n: int, effect: float, seed: int) -> EffectTable:
    """The hour of the day moves both the action and a number."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.random(n)) * 10 * 86_400
    day = np.cos(2 * np.pi * time / 86_400)
    acted = rng.random(n) < expit(1.2 * day)
    won = 2 * day + time / 864_000 + 5 * effect * acted + rng.normal(size=n)
    return EffectTable(pd.DataFrame({"time": time, "acted": acted, "won": won}), time="time")


@pytest.mark.parametrize(
    ("world", "method", "n", "scale", "repeats"),
    [
        (categories, Method.STRATIFIED, 300, 1, 400),
        (numbers, Method.AIPW, 300, 1, 120),
        (hours, Method.AIPW, 300, 5, 150),
    ],
)
@pytest.mark.parametrize("effect", [0.0, 0.15])
def test_intervals_cover_and_null_effects_are_seldom_flagged(
    world: object, method: Method, n: int, scale: float, repeats: int, effect: float
) -> None:
    covered, flagged, naive = [], [], []
    for seed in range(repeats):
        found = effect_of(world(n, effect, seed), "acted", "won")  # type: ignore[operator]
        assert found.method is method
        covered.append(found.low <= scale * effect <= found.high)
        flagged.append(found.p_value <= 0.05)
        naive.append(found.naive.low <= scale * effect <= found.naive.high)
    slack = 2 * np.sqrt(0.05 * 0.95 / repeats)
    assert 0.95 - slack <= np.mean(covered) <= 0.95 + slack
    assert np.mean(naive) < 0.6
    assert np.mean(flagged) <= 0.05 + slack if effect == 0 else np.mean(flagged) > 0.2


def grouped(effect: float = 0.0, tasks: int = 40, seed: int = 0) -> EffectTable:
    rng = np.random.default_rng(seed)
    ease = rng.normal(size=tasks) * 1.5
    task = np.repeat(np.arange(tasks), 4)
    acted = rng.random(len(task)) < expit(ease)[task]
    won = rng.random(len(task)) < 0.05 + 0.75 * expit(1.5 * ease)[task] + effect * acted
    frame = pd.DataFrame({"task": task, "acted": acted, "won": won.astype(float), "id": 100 + task})
    return EffectTable(frame, group="task")


def test_trials_of_one_task_are_compared_with_each_other() -> None:
    found = effect_of(grouped(tasks=80), "acted", "won")
    assert found.method is Method.WITHIN_GROUPS
    assert found.naive.low > 0
    assert found.low < 0 < found.high
    assert found.n + found.overlap.left_out == 320
    assert found.clusters == found.evidence["informative groups"]
    assert "same 'task'" in found.assumptions[0]


def test_a_tool_that_follows_the_task_is_not_given_the_naive_uplift() -> None:
    """As in tau-bench: some tasks call for handing over, and are easy; few trials of one task differ."""
    rows = []
    for task in range(25):
        called_for = task < 7
        for trial in range(4):
            acted = called_for or (task < 16 and trial == 0)
            rows.append({"task": task, "acted": acted, "won": float(called_for or (task + trial) % 3 == 0)})
            if called_for and trial == 3:
                rows[-1]["acted"] = task % 2 == 0
    found = effect_of(EffectTable(pd.DataFrame(rows), group="task"), "acted", "won")
    assert found.naive.low > 0.2
    assert found.high < found.naive.value
    assert found.low < 0 < found.high


def refusal(table: EffectTable, **options: object) -> UnidentifiedEffectError:
    with pytest.raises(UnidentifiedEffectError) as caught:
        effect_of(table, "acted", "won", **options)  # type: ignore[arg-type]
    assert isinstance(caught.value, NotIdentifiedError)
    return caught.value


def test_what_the_data_cannot_tell_is_refused_with_the_reason() -> None:
    frame = categories(200, 0.1, 0).rows
    assert refusal(EffectTable(frame)).refusal is Refusal.NOTHING_TO_ADJUST
    assert refusal(EffectTable(frame.assign(acted=True), ("kind",))).refusal is Refusal.ONE_ARM
    assert refusal(EffectTable(frame.assign(won=1.0), ("kind",))).refusal is Refusal.CONSTANT_OUTCOME
    assert refusal(EffectTable(frame.head(12), ("kind",))).refusal is Refusal.TOO_FEW
    determined = EffectTable(frame.assign(acted=frame["kind"] == "2"), ("kind",))
    assert refusal(determined, method=Method.STRATIFIED).refusal is Refusal.NO_OVERLAP
    assert refusal(determined).refusal is Refusal.NO_OVERLAP
    whole_tasks = grouped().rows
    whole_tasks["acted"] = whole_tasks["task"] % 2 == 0
    error = refusal(EffectTable(whole_tasks, group="task"))
    assert error.refusal is Refusal.NO_OVERLAP
    assert error.naive is not None
    noisy = pd.DataFrame({"acted": [1, 0] * 6, "won": [1, 1, 0, 0, 1, 0, 0, 1, 1, 1, 0, 0], "kind": "a"})
    assert refusal(EffectTable(noisy, ("kind",)), method=Method.RANDOMISED).refusal is Refusal.TOO_UNSURE


def test_a_separating_number_is_refused() -> None:
    x = np.linspace(-1, 1, 300)
    frame = pd.DataFrame({"x": x, "acted": x > 0, "won": np.random.default_rng(0).normal(size=300)})
    assert refusal(EffectTable(frame, ("x",))).refusal is Refusal.NO_OVERLAP


def test_a_randomised_action_needs_no_covariates() -> None:
    rng = np.random.default_rng(0)
    acted = rng.random(400) < 0.5
    frame = pd.DataFrame({"acted": acted, "won": (rng.random(400) < 0.3 + 0.3 * acted).astype(float)})
    found = effect_of(EffectTable(frame), "acted", "won", method=Method.RANDOMISED)
    assert found.low < 0.3 < found.high
    assert (found.uplift, found.low, found.high) == (found.naive.value, found.naive.low, found.naive.high)


def test_clusters_widen_the_interval() -> None:
    frame = numbers(300, 0.1, 1).rows
    copies = pd.concat([frame.assign(user=np.arange(300))] * 4)
    free = effect_of(EffectTable(copies, ("size", "age")), "acted", "won")
    clustered = effect_of(EffectTable(copies, ("size", "age"), cluster="user"), "acted", "won")
    assert clustered.clusters == 300
    assert clustered.standard_error > 1.6 * free.standard_error


def test_a_seed_gives_the_same_answer_and_levels_are_checked() -> None:
    table = numbers(200, 0.1, 2)
    assert effect_of(table, "acted", "won", seed=3) == effect_of(table, "acted", "won", seed=3)
    narrow, wide = (effect_of(table, "acted", "won", level=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high
    with pytest.raises(ValueError, match="got 95"):
        effect_of(table, "acted", "won", level=95)


def test_records_behind_an_estimate_are_named() -> None:
    table = grouped()
    found = effect_of(EffectTable(table.rows, group="task", records="id"), "acted", "won")
    acted = table.rows.loc[table.rows["acted"], "id"].tolist()
    assert found.evidence["with the action"] == acted[:20]


def test_false_discoveries_among_many_confounded_actions_stay_rare() -> None:
    false, found_real = [], []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        hard = rng.integers(0, 3, 600)
        columns = {f"tool {i}": rng.random(600) < expit(hard - 1 + rng.normal()) for i in range(6)}
        chance = 0.2 + 0.15 * hard + 0.3 * columns["tool 0"]
        frame = pd.DataFrame({"hard": hard.astype(str), "won": (rng.random(600) < chance).astype(float)} | columns)
        effects = effects_of_all(EffectTable(frame, ("hard",)), list(columns), "won")
        names = [each.action for each in effects.discoveries]
        false.append(sum(name != "tool 0" for name in names) / max(len(names), 1))
        found_real.append("tool 0" in names)
        assert effects.judged[0].q_value <= effects.judged[-1].q_value
    assert np.mean(false) <= 0.08
    assert np.mean(found_real) >= 0.9


def test_each_action_may_have_a_table_of_its_own_and_refusals_are_kept() -> None:
    tables = {"acted": categories(300, 0.2, 0)}
    tables["never"] = EffectTable(tables["acted"].rows.assign(never=False), ("kind", "late"))
    effects = effects_of_all(tables.__getitem__, ["acted", "never"], "won")
    assert [each.action for each in effects.refused] == ["never"]
    assert [each.estimate.action for each in effects.judged] == ["acted"]
