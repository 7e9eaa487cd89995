"""Moves in plain words: what a pattern is called and what it says."""

from __future__ import annotations

from collections.abc import Callable

from lean_agentic.agentdb.moves import Condition, Move, Relation

_DO: dict[Relation, Callable[..., str]] = {
    Relation.TAKEN: lambda a: f"Take {a}",
    Relation.SUITED: lambda a: f"Take {a}",
    Relation.BEFORE: lambda a, b: f"Take {a} before {b}",
    Relation.NEXT: lambda a, b: f"After {a}, go straight on to {b}",
    Relation.REPEATED: lambda a: f"Take {a} more than once",
    Relation.FAILED: lambda a: f"Do not give up when {a} goes wrong",
}
_AVOID: dict[Relation, Callable[..., str]] = {
    Relation.TAKEN: lambda a: f"Do not take {a}",
    Relation.SUITED: lambda a: f"Do not take {a}",
    Relation.BEFORE: lambda a, b: f"Do not take {a} before {b}",
    Relation.NEXT: lambda a, b: f"After {a}, do not go straight on to {b}",
    Relation.REPEATED: lambda a: f"Do not take {a} more than once",
    Relation.FAILED: lambda a: f"Do not let {a} go wrong",
}
_COMPARED: dict[Relation, Callable[..., str]] = {
    Relation.TAKEN: lambda a: f"those that could have taken {a} and did not",
    Relation.SUITED: lambda a: f"those that took {a} in other situations",
    Relation.BEFORE: lambda a, b: f"those that took {b} without {a} before it",
    Relation.NEXT: lambda a, b: f"those that took {a} and went on otherwise",
    Relation.REPEATED: lambda a: f"those that took {a} once",
    Relation.FAILED: lambda a: f"those in which {a} never went wrong",
}


def title(move: Move, *, avoid: bool) -> str:
    """The advice in one line: `Take get_user before book, where cabin is economy`."""
    said = (_AVOID if avoid else _DO)[move.relation](*move.actions)
    return f"{said}, where {circumstances(move)}" if move.conditions else said


def content(move: Move, task_type: str, *, avoid: bool) -> str:
    """The advice in two sentences, without figures: those change with every trajectory."""
    which, rate = ("did so all the same", "less") if avoid else ("did so", "more")
    compared = _COMPARED[move.relation](*move.actions)
    return f"{title(move, avoid=avoid)}. In {task_type}, those that {which} succeeded {rate} often than {compared}."


def circumstances(move: Move) -> str:
    """The conditions of a move in words."""
    return " and ".join(condition_in_words(condition) for condition in move.conditions)


def condition_in_words(condition: Condition) -> str:
    """`cabin is economy`, `passengers is at least 3`."""
    return f"{condition.path} is {'at least ' if condition.least else ''}{_value(condition.value)}"


def _value(value: str | bool | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
