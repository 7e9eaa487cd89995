"""Moves in words."""

import pytest

from lean_agentic.agentdb.move_wording import content, title
from lean_agentic.agentdb.moves import Condition, Move, Relation

WHERE = (Condition("cabin", "economy"), Condition("seats", 3.0, least=True), Condition("insured", False))


@pytest.mark.parametrize(
    ("move", "do", "avoid"),
    [
        (Move(Relation.TAKEN, ("a",)), "Take a", "Do not take a"),
        (Move(Relation.BEFORE, ("a", "b")), "Take a before b", "Do not take a before b"),
        (Move(Relation.NEXT, ("a", "b")), "After a, go straight on to b", "After a, do not go straight on to b"),
        (Move(Relation.REPEATED, ("a",)), "Take a more than once", "Do not take a more than once"),
        (Move(Relation.FAILED, ("a",)), "Do not give up when a goes wrong", "Do not let a go wrong"),
        (
            Move(Relation.SUITED, ("a",), WHERE),
            "Take a, where cabin is economy and seats is at least 3 and insured is false",
            "Do not take a, where cabin is economy and seats is at least 3 and insured is false",
        ),
    ],
)
def test_titles(move, do, avoid):
    assert title(move, avoid=False) == do
    assert title(move, avoid=True) == avoid


def test_contents_say_what_was_compared():
    move = Move(Relation.BEFORE, ("look", "leap"))
    assert content(move, "sport", avoid=False) == (
        "Take look before leap. In sport, those that did so succeeded more often than those that took leap without "
        "look before it."
    )
    assert "those that did so all the same succeeded less often than" in content(move, "sport", avoid=True)


def test_every_relation_has_words():
    for relation in Relation:
        move = Move(relation, ("a", "b") if relation in (Relation.BEFORE, Relation.NEXT) else ("a",))
        assert len({title(move, avoid=avoid) for avoid in (False, True)}) == 2
        assert content(move, "t", avoid=False).startswith(title(move, avoid=False))
