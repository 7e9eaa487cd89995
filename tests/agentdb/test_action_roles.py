"""Roles and errors read off names and outcomes."""

import pytest

from lean_agentic.agentdb.action_roles import Role, role_of, step_failed, went_wrong
from lean_agentic.agentdb.records import Step


@pytest.mark.parametrize(
    ("action", "role"),
    [
        ("get_user_details", Role.READ),
        ("getUserDetails", Role.READ),
        ("users.get", Role.READ),
        ("crm/users:list", Role.READ),
        ("think", Role.READ),
        ("respond", Role.TALK),
        ("Ask user", Role.TALK),
        ("transfer_to_human_agents", Role.HAND_OVER),
        ("update_order", Role.WRITE),
        ("getaway", Role.WRITE),
        ("HTTPPost", Role.WRITE),
        ("compile", Role.WRITE),
        ("", Role.WRITE),
        ("42", Role.WRITE),
    ],
)
def test_the_first_verb_decides(action, role):
    assert role_of(action) is role


@pytest.mark.parametrize(
    ("outcome", "wrong"),
    [
        ("Error: flight not found", True),
        ("ValueError: no", True),
        ("  Traceback (most recent call last)", True),
        ("timed out after 3 s", True),
        ('{"error": "no such user"}', True),
        ('{"status": "FAILED"}', True),
        ('{"success": false}', True),
        ('{"error": null, "status": "available"}', False),
        ('{"broken json', False),
        ("{}", False),
        ("", False),
        ("errors: none were found in the log, 0 failures", False),
        ("No error occurred", False),
        ('[{"error": "in a list"}]', False),
    ],
)
def test_an_outcome_reports_an_error_by_how_it_begins_or_by_its_fields(outcome, wrong):
    assert went_wrong(outcome) is wrong


def test_an_answer_to_words_is_no_failure_of_saying_them():
    assert step_failed(Step({}, "get_user", "Error: unknown"))
    assert not step_failed(Step({}, "respond", "Error messages keep coming up here."))
    assert step_failed(Step({}, "respond", "error"), roles=lambda action: Role.WRITE)
