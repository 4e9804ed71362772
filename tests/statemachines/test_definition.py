"""The trade's machine says what the one table of states says, and nothing it cannot keep."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re

import cardshop.usecases
import pytest
from cardshop.domain import errors
from cardshop.domain.trade import MACHINE_STATES, TRANSITIONS, Status
from cardshop.usecases import close_trade, deliver_cards

from tests.statemachines.definition import MACHINE, STATES, SUBSTITUTIONS, TEXT, caught, filled, path, placeholders
from tests.template.cloudformation import RESOURCES, TEMPLATE, named

_WAITING = ["AwaitPayment", "AwaitReceipt"]
_WORKING = ["DeliverCards", "CompleteTrade", "CloseTrade"]
_REFUSED = "DynamoDb.ConditionalCheckFailedException"
_UNTYPED = "Runtime.HandlerError"  # what the local engine calls every class


def _use_case_errors() -> set[str]:
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.iter_modules(cardshop.usecases.__path__, "cardshop.usecases.")
    ]
    return {
        name
        for module in modules
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == module.__name__
    }


def _named_errors(field: str) -> set[str]:
    return {error for state in STATES.values() for each in state.get(field, []) for error in each["ErrorEquals"]}


def test_the_machine_has_exactly_the_tables_states() -> None:
    assert STATES.keys() == MACHINE_STATES.keys()
    assert {state["Type"] for state in STATES.values()} == {"Task"}
    assert MACHINE["StartAt"] == "AwaitPayment"
    assert MACHINE["QueryLanguage"] == "JSONata"


@pytest.mark.parametrize("name", _WAITING)
def test_a_waiting_state_waits_in_the_tables_own_state(name: str) -> None:
    arguments = STATES[name]["Arguments"]
    condition = re.fullmatch(r"#status = (:\w+)", arguments["ConditionExpression"])
    assert condition is not None
    assert arguments["ExpressionAttributeNames"] == {"#status": "status"}
    waits_on = arguments["ExpressionAttributeValues"][condition.group(1)]["S"]
    assert {Status(waits_on)} == MACHINE_STATES[name]


def test_payment_is_awaited_while_pending_and_receipt_while_delivered() -> None:
    assert MACHINE_STATES["AwaitPayment"] == {Status.PENDING_PAYMENT}
    assert MACHINE_STATES["AwaitReceipt"] == {Status.DELIVERED}


@pytest.mark.parametrize("name", _WAITING)
def test_a_waiting_state_writes_its_token_and_nothing_else(name: str) -> None:
    state = STATES[name]
    assert state["Resource"] == "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken"
    arguments = state["Arguments"]
    assert arguments["TableName"] == "OrdersTable"
    assert arguments["Key"] == {"trade_id": {"S": "{% $states.input.trade_id %}"}}
    assert arguments["UpdateExpression"] == "SET task_token = :token"
    assert arguments["ExpressionAttributeValues"][":token"] == {"S": "{% $states.context.Task.Token %}"}
    assert set(arguments["ExpressionAttributeValues"]) == {":token", ":pending" if "Pay" in name else ":delivered"}


def test_the_role_may_write_exactly_what_the_waiting_states_write() -> None:
    (policy,) = RESOURCES["TradeMachineRole"]["Properties"]["Policies"]
    (write,) = [each for each in policy["PolicyDocument"]["Statement"] if each["Sid"] == "WriteTaskToken"]
    assert write["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:Attributes": ["trade_id", "status", "task_token"]}
    }
    assert named(write["Resource"]) == named(SUBSTITUTIONS["OrdersTable"])


@pytest.mark.parametrize("name", _WAITING)
def test_a_wait_ends(name: str) -> None:
    """Step Functions has no time-out of its own: without one a state waits for a year."""
    window = re.search(rf'"{name}": {{.*?"TimeoutSeconds": (\S+),', TEXT, re.DOTALL)
    assert window is not None
    assert window.group(1) == ("${PaymentWindowSeconds}" if name == "AwaitPayment" else "${AfterSaleSeconds}")
    assert caught(name, "States.Timeout") is not None
    assert caught(name, _REFUSED) is not None


@pytest.mark.parametrize("name", _WORKING)
def test_a_working_state_invokes_its_function_with_the_trade_id_alone(name: str) -> None:
    """The history shows every input for 90 days: no card, no address, no token is in it."""
    state = STATES[name]
    assert state["Resource"] == "arn:aws:states:::lambda:invoke"
    assert state["Arguments"] == {
        "FunctionName": f"{name}Function",
        "Payload": {"trade_id": "{% $states.input.trade_id %}"},
    }


def test_no_retry_restarts_a_window() -> None:
    """`States.ALL` and `States.TaskFailed` would match the time-out, or everything a use case refuses."""
    retried = _named_errors("Retry")
    assert not {error for error in retried if error.startswith("States.")}
    assert retried.isdisjoint(_use_case_errors() | {_REFUSED, _UNTYPED})
    for name, state in STATES.items():
        assert state["Retry"], name
        for retry in state["Retry"]:
            assert retry["MaxAttempts"] >= 3
            assert retry["BackoffRate"] > 1
            assert retry["JitterStrategy"] == "FULL"


def test_retried_classes_exist() -> None:
    plain = {error for error in _named_errors("Retry") if "." not in error}
    assert plain == {"Unavailable", "Changed"}
    for name in plain:
        assert issubclass(getattr(errors, name), errors.ShopError)


def test_caught_classes_exist_where_they_are_raised() -> None:
    plain = {error for error in _named_errors("Catch") if "." not in error}
    assert plain == {"OrderNotPaid", "OrderPaid"}
    assert plain <= _use_case_errors()
    assert caught("DeliverCards", deliver_cards.OrderNotPaid.__name__) == "CloseTrade"
    assert caught("CloseTrade", close_trade.OrderPaid.__name__) == "DeliverCards"
    assert _named_errors("Catch") - plain == {_REFUSED, "States.Timeout", _UNTYPED}


def test_every_way_leads_to_a_state() -> None:
    ways = [way for state in STATES.values() for way in [*state.get("Catch", []), state] if "Next" in way]
    assert {way["Next"] for way in ways} <= STATES.keys()
    for name, state in STATES.items():
        assert ("Next" in state) != state.get("End", False), name
        for catcher in state.get("Catch", []):
            assert catcher["Output"] == "{% $states.input %}", "the next state finds the trade id"
    reached, todo = set[str](), [MACHINE["StartAt"]]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += [way["Next"] for way in [*STATES[name].get("Catch", []), STATES[name]] if "Next" in way]
    assert reached == STATES.keys()


def test_a_paid_trade_takes_four_states_and_an_abandoned_one_two() -> None:
    """Each transition is paid for: 25 dollars a million."""
    assert path("AwaitPayment") == ["AwaitPayment", "DeliverCards", "AwaitReceipt", "CompleteTrade"]
    assert ["AwaitPayment", *path(caught("AwaitPayment", "States.Timeout"))] == ["AwaitPayment", "CloseTrade"]


def test_what_came_first_is_found_by_the_condition() -> None:
    assert caught("AwaitPayment", _REFUSED) == "DeliverCards", "paid before the token was written"
    assert caught("AwaitReceipt", _REFUSED) == "CompleteTrade"
    assert caught("AwaitReceipt", "States.Timeout") == "CompleteTrade"


def test_the_states_drive_only_along_the_tables_ways() -> None:
    """A machine state works on order states from which its own result is a step of the table."""
    leads_to = {
        "DeliverCards": Status.DELIVERED,
        "CompleteTrade": Status.COMPLETED,
        "CloseTrade": Status.CLOSED,
    }
    for name, after in leads_to.items():
        for before in MACHINE_STATES[name]:
            assert after in TRANSITIONS[before], f"{name}: {before} -> {after}"


def test_every_substitution_is_used_and_defined() -> None:
    assert set(placeholders()) == SUBSTITUTIONS.keys()
    known = TEMPLATE["Parameters"].keys() | RESOURCES.keys()
    for name, value in SUBSTITUTIONS.items():
        assert named(value) == name
        assert name in known


def test_it_is_json_with_the_templates_own_defaults() -> None:
    parameters = TEMPLATE["Parameters"]
    values = {name: parameters.get(name, {}).get("Default", f"arn:{name}") for name in SUBSTITUTIONS}
    states = json.loads(filled(values))["States"]
    assert states["AwaitPayment"]["TimeoutSeconds"] == parameters["PaymentWindowSeconds"]["Default"]
    assert states["AwaitReceipt"]["TimeoutSeconds"] == parameters["AfterSaleSeconds"]["Default"]
    year = 31_536_000
    assert all(0 < states[name]["TimeoutSeconds"] <= year for name in _WAITING)
