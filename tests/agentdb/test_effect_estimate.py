from __future__ import annotations

import pickle
from dataclasses import replace

from lean_agentic.agentdb.effect_estimate import (
    EffectEstimate,
    Method,
    Overlap,
    Refusal,
    UnidentifiedEffectError,
    Uplift,
)
from lean_agentic.agentdb.errors import NotIdentifiedError

ESTIMATE = EffectEstimate(
    "call <tool>", "reward", 0.1, 0.04, 0.02, 0.18, 0.013, Method.STRATIFIED, 200, 80, 200, Uplift(0.4, 0.3, 0.5),
    Overlap(200, 10, 0.2, 0.7, 61.0, 90.0), "all rows", ("tasks & users alike",),
)  # fmt: skip


def test_the_repr_shows_the_uplift_beside_the_naive_one() -> None:
    assert repr(ESTIMATE) == (
        "EffectEstimate('call <tool>' on 'reward': +0.100 [+0.020, +0.180], stratified, n=200, naive +0.400)"
    )


def test_the_table_escapes_what_callers_named() -> None:
    shown = ESTIMATE._repr_html_()
    assert "call &lt;tool&gt;" in shown
    assert "tasks &amp; users alike" in shown
    assert "<tool>" not in shown
    assert "200 rows used, 10 without counterpart" in shown


def test_zero_is_excluded_on_either_side_only() -> None:
    assert ESTIMATE.excludes_zero
    assert replace(ESTIMATE, low=-0.3, high=-0.1).excludes_zero
    assert not replace(ESTIMATE, low=-0.1).excludes_zero


def test_a_refusal_says_why_and_survives_pickling() -> None:
    error = UnidentifiedEffectError("tool", "reward", Refusal.ONE_ARM, "nobody did otherwise", Uplift(0.4, 0.3, 0.5))
    again = pickle.loads(pickle.dumps(error))
    assert (
        str(again)
        == str(error)
        == (
            "The effect of 'tool' on 'reward' cannot be told, one arm: nobody did otherwise "
            "(The naive uplift +0.400 [+0.300, +0.500] is not an effect.)"
        )
    )
    assert isinstance(again, NotIdentifiedError)
    assert (again.refusal, again.naive) == (Refusal.ONE_ARM, error.naive)
