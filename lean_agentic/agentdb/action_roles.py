"""What kind of thing an action does, read off its name, and whether it went wrong, read off its outcome.

In: names such as `search_flights`, `update_order`, `respond`, and outcomes as text or JSON. Out: a role and a boolean.
The verbs are those of tool-calling agents in general; who names actions otherwise passes a function of their own where
one is taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import StrEnum

from lean_agentic.agentdb.records import Step


class Role(StrEnum):
    """What an action does to the world."""

    READ = "read"
    """Finds out or works out something and changes nothing."""
    TALK = "talk"
    """Says something to whoever asked."""
    HAND_OVER = "hand over"
    """Gives the task to somebody else."""
    WRITE = "write"
    """Anything else: taken to change the world."""


RoleOf = Callable[[str], Role]

_VERBS = {
    Role.READ: """
        analyze browse calculate check compare compute count describe estimate evaluate examine fetch filter find get
        grep inspect list look lookup measure observe parse peek plan preview profile query read reason recall retrieve
        scan search see select show sort summarize test think validate verify view""",
    Role.TALK: "answer ask chat clarify explain greet inform message notify reply respond say tell",
    Role.HAND_OVER: "defer delegate escalate handoff transfer",
}
_ROLES = {verb: role for role, verbs in _VERBS.items() for verb in verbs.split()}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_BEGINS_WITH_ERROR = re.compile(
    r"\s*(?:\w+(?:error|exception)\b|(?:error|exception|failure|failed|fail|traceback|denied|refused|rejected|invalid|"
    r"timed? ?out|timeout|deoptimi[sz]ed|gave up|unsupported)\b)",
    re.IGNORECASE,
)
_FALSE_STATES = frozenset({"error", "failed", "failure", "denied", "rejected", "invalid", "timeout"})


def role_of(action: str) -> Role:
    """The role by the first verb of the name: `getUser`, `get_user` and `users.get` read."""
    # `users.get` and `users/get` name the thing first and the verb last.
    words = [word.lower() for word in _WORDS.findall(re.split(r"[./:]", action)[-1])]
    return _ROLES.get(words[0], Role.WRITE) if words else Role.WRITE


def went_wrong(outcome: str) -> bool:
    """Whether an outcome reports an error: it begins with one, or is a JSON object whose error field or status does."""
    if _BEGINS_WITH_ERROR.match(outcome):
        return True
    if not outcome.lstrip().startswith("{"):
        return False
    try:
        answer = json.loads(outcome)
    except ValueError:
        return False
    status = str(answer.get("status", "")).lower()
    return bool(answer.get("error")) or answer.get("success") is False or status in _FALSE_STATES


def step_failed(step: Step, roles: RoleOf = role_of) -> bool:
    """Whether the step itself went wrong; what somebody answers to words is no failure of saying them."""
    return roles(step.action) is not Role.TALK and went_wrong(step.outcome)
