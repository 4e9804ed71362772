"""That `make iam` leaves nothing out: every right of the template is tried, or listed with a reason."""

from __future__ import annotations

import pytest

from tests.iam.flows import FLOWS
from tests.iam.roles import ROLES, Right, left, rights, statements
from tests.iam.unenforced import reason
from tests.template.cloudformation import of_type


def test_every_function_has_a_flow_and_every_flow_a_function() -> None:
    functions = {role.removesuffix("Role") + "Function" for role in ROLES}
    assert set(FLOWS) == functions
    assert set(of_type("AWS::Serverless::Function")) == functions - {"TradeMachineFunction"}


@pytest.mark.parametrize("role", ROLES)
def test_all_rights_together_are_all_that_is_granted(role: str) -> None:
    """Each of them takes something away, and with all of them nothing is left."""
    found = rights(role)
    for statement in statements(role):
        own = [right for right in found if right.sid == statement["Sid"]]
        assert own
        assert left(statement, tuple(own)) is None
        for right in own:
            assert left(statement, (right,)) != statement
    assert len({each["Sid"] for each in statements(role)}) == len(statements(role)), "told apart by their names"


def test_a_right_is_one_action_or_one_resource() -> None:
    statement = {"Sid": "X", "Action": ["s:A", "s:B"], "Resource": ["one", "two"]}
    without_action = left(statement, (Right("R", "X", ("s:A",), (0, 1), "one, two"),))
    without_resource = left(statement, (Right("R", "X", ("s:A", "s:B"), (1,), "two"),))
    assert without_action == {**statement, "Action": ["s:B"]}
    assert without_resource == {**statement, "Resource": ["one"]}
    assert left(statement, (Right("R", "Y", ("s:A",), (0, 1), "one, two"),)) == statement


def test_what_a_function_asks_for_itself_is_never_excused() -> None:
    """The services whose every call of a function's the engine checks."""
    excused = {
        (action, right.resource)
        for role in ROLES
        if role != "TradeMachineRole"
        for right in rights(role)
        if reason(right) is not None
        for action in right.actions
    }
    services = {action.partition(":")[0] for action, _ in excused}
    assert services == {"logs", "xray", "dynamodb", "sqs", "kms"}
    assert {resource for action, resource in excused if action.startswith("kms:")} == {"SettingsKey"}
    assert {resource for action, resource in excused if action.startswith("dynamodb:")} == {
        "OrdersTable.StreamArn",
        "TimelineTable.StreamArn",
        "StockTable.StreamArn",
        "*",
    }
