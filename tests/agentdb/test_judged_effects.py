from __future__ import annotations

from dataclasses import replace

from lean_agentic.agentdb.effect_estimate import Refusal, UnidentifiedEffectError
from lean_agentic.agentdb.false_discovery import Procedure
from lean_agentic.agentdb.judged_effects import Effects, JudgedEffect
from tests.agentdb.test_effect_estimate import ESTIMATE


def test_the_frame_has_a_row_for_each_action_and_reasons_for_those_refused() -> None:
    judged = (JudgedEffect(ESTIMATE, 0.02, True), JudgedEffect(replace(ESTIMATE, action="wait"), 0.4, False))
    refused = UnidentifiedEffectError("sleep", "reward", Refusal.TOO_FEW, "two rows")
    effects = Effects(judged, (refused,), 0.05, Procedure.BENJAMINI_HOCHBERG)
    frame = effects.frame().set_index("action")
    assert list(frame.index) == ["call <tool>", "wait", "sleep"]
    assert frame.loc["sleep", "refused"] == "too few"
    assert frame.loc["wait", "q"] == 0.4
    assert effects.discoveries == (ESTIMATE,)
    assert repr(effects) == "Effects(1 discovered, 2 estimated, 1 refused)"
    assert "sleep" in effects._repr_html_()
