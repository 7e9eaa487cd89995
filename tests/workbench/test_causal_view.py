"""What travels to the browser, and the static figure. The view itself is tried in `tests/browser`."""

from __future__ import annotations

import json

import pytest

from lean_agentic.agentdb.records import CausalLink, Episode, LinkKind
from lean_agentic.workbench.causal_view import MOST_EPISODES, CausalView, causal_message, draw_causal

EPISODES = [
    Episode("the flight was cancelled", "rebook", "booked", entities=("HAT1",), time=0.0, session="one", id=1),
    Episode("<b>bold</b> context " * 9, time=60.0, session="one", id=2),
    Episode("a complaint", time=1e300, session="two", id=3),
]
LINKS = [
    CausalLink(1, 2, LinkKind.GIVEN, 1.0, 1.0, 1.0, {"said by": "Mia"}),
    CausalLink(2, 3, LinkKind.ENTITY, 0.4, 0.2, 0.6, {"seconds": 60.0, "entities": ["HAT1"]}),
    CausalLink(1, 99, LinkKind.SIMILAR, 0.9, 0.8, 1.0),
]


def test_the_message_is_json_and_leaves_out_links_to_episodes_that_are_not_shown() -> None:
    message = causal_message(EPISODES, LINKS)
    assert json.loads(json.dumps(message)) == message
    assert [(each["cause"], each["effect"], each["given"]) for each in message["links"]] == [
        (1, 2, True),
        (2, 3, False),
    ]
    assert message["links"][1]["evidence"] == {"seconds": "60.0", "entities": '["HAT1"]'}
    assert message["episodes"][0]["time"] == "1970-01-01 00:00:00"
    assert message["episodes"][1]["label"].endswith("…")


def test_the_figure_has_an_arrow_for_each_strong_link() -> None:
    for least, arrows in ((0.0, 2), (0.5, 1), (1.0, 1)):
        (axes,) = draw_causal(EPISODES, LINKS, least).axes
        assert len(axes.patches) == arrows


def test_too_many_episodes_are_refused() -> None:
    many = [Episode("x", id=number, time=number) for number in range(1, MOST_EPISODES + 2)]
    with pytest.raises(ValueError, match="show at most 400"):
        CausalView(many, [])


def test_the_view_says_what_it_holds() -> None:
    assert repr(CausalView(EPISODES, LINKS, selected=2)) == "CausalView(3 episodes, 2 links)"
