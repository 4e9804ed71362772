"""The trade's machine says what the one table of states says, and nothing it cannot keep."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re

import cardshop.usecases
import pytest
from cardshop.adapters.tables import NOTE
from cardshop.domain import errors
from cardshop.domain.trade import MACHINE_STATES, TRANSITIONS, Status
from cardshop.usecases.cancel_order import PAYMENT_FAILED
from cardshop.usecases.close_trade import OrderAwaitsStock, OrderPaid, PaymentConfirming
from cardshop.usecases.deliver_cards import OrderNotPaid

from tests.statemachines.definition import MACHINE, STATES, SUBSTITUTIONS, TEXT, caught, filled, path, placeholders
from tests.template.cloudformation import RESOURCES, TEMPLATE, named

_WAITING = ["AwaitPayment", "AwaitStock", "AwaitReceipt"]
_WINDOWS = {
    "AwaitPayment": "${PaymentWindowSeconds}",
    "AwaitStock": "3600",  # then it looks again, and waits again
    "AwaitReceipt": "${AfterSaleSeconds}",
}
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
    values = dict(arguments["ExpressionAttributeValues"])
    waits_on = values.pop(condition.group(1))["S"]
    assert {Status(waits_on)} == MACHINE_STATES[name]
    assert values == {":token": {"S": "{% $states.context.Task.Token %}"}, ":note": {"S": NOTE}}


def test_a_payment_is_awaited_while_pending_stock_while_there_is_none_and_receipt_while_delivered() -> None:
    assert {name: MACHINE_STATES[name] for name in _WAITING} == {
        "AwaitPayment": {Status.PENDING_PAYMENT},
        "AwaitStock": {Status.AWAITING_STOCK},
        "AwaitReceipt": {Status.DELIVERED},
    }


@pytest.mark.parametrize("name", _WAITING)
def test_a_waiting_state_writes_its_token_and_nothing_else(name: str) -> None:
    state = STATES[name]
    assert state["Resource"] == "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken"
    arguments = state["Arguments"]
    assert arguments["TableName"] == "OrdersTable"
    assert arguments["Key"] == {"trade_id": {"S": "{% $states.input.trade_id %}"}}
    assert arguments["UpdateExpression"] == "SET task_token = :token, last_write = :note"


def test_the_role_may_write_exactly_what_the_waiting_states_write() -> None:
    (policy,) = RESOURCES["TradeMachineRole"]["Properties"]["Policies"]
    (write,) = [each for each in policy["PolicyDocument"]["Statement"] if each["Sid"] == "WriteTaskToken"]
    assert write["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:Attributes": ["trade_id", "status", "task_token", "last_write"]}
    }
    assert named(write["Resource"]) == named(SUBSTITUTIONS["OrdersTable"])


@pytest.mark.parametrize("name", _WAITING)
def test_a_wait_ends(name: str) -> None:
    """Step Functions has no time-out of its own: without one a state waits for a year."""
    window = re.search(rf'"{name}": {{.*?"TimeoutSeconds": (\S+),', TEXT, re.DOTALL)
    assert window is not None
    assert window.group(1) == _WINDOWS[name]
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


def test_no_retry_restarts_a_window_or_repeats_what_a_use_case_refuses() -> None:
    """`States.ALL` and `States.TaskFailed` would match the time-out, and everything else."""
    retried = _named_errors("Retry")
    assert not {error for error in retried if error.startswith("States.")}
    assert retried.isdisjoint(_use_case_errors() | {_REFUSED, PAYMENT_FAILED})


@pytest.mark.parametrize("name", sorted(STATES))
def test_what_may_pass_is_retried_apart_in_time(name: str) -> None:
    """Some three minutes for a working state: a provider or a store that is down for so long is an alarm."""
    retry, *_ = STATES[name]["Retry"]
    assert retry["MaxAttempts"] == 8
    assert retry["BackoffRate"] == 2
    assert retry["JitterStrategy"] == "FULL"
    assert ("Unavailable" in retry["ErrorEquals"]) == (name in _WORKING)


def test_an_error_of_any_class_is_retried_where_it_may_be_a_provider_that_is_down() -> None:
    """The local engine has one name for all classes: there it is retried, though not for long, before it is caught."""
    untyped = {
        name: [retry for retry in state["Retry"] if _UNTYPED in retry["ErrorEquals"]] for name, state in STATES.items()
    }
    assert {name for name, retries in untyped.items() if retries} == {"CloseTrade"}
    (retry,) = untyped["CloseTrade"]
    assert retry["ErrorEquals"] == [_UNTYPED]
    assert 0 < retry["MaxAttempts"] <= 2


@pytest.mark.parametrize("name", _WORKING)
def test_a_function_that_ends_before_it_answers_is_invoked_again(name: str) -> None:
    """Step Functions tells it by Lambda's own word for it where there is one, and as `Lambda.Unknown` else."""
    retry, *_ = STATES[name]["Retry"]
    timed_out, killed, out_of_memory = "Sandbox.Timedout", "Runtime.ExitError", "Runtime.OutOfMemory"
    assert {timed_out, killed, out_of_memory, "Lambda.Unknown"} <= set(retry["ErrorEquals"])


@pytest.mark.parametrize("name", _WORKING)
def test_a_function_that_cannot_be_invoked_yet_is_invoked_again(name: str) -> None:
    retry, *_ = STATES[name]["Retry"]
    refused = {"TooManyRequests", "Service", "AWSLambda", "SdkClient", "ClientExecutionTimeout"}
    restored = {"SnapStartNotReady", "SnapStartTimeout"}
    assert {f"Lambda.{each}Exception" for each in refused | restored} <= set(retry["ErrorEquals"])


def test_retried_classes_exist() -> None:
    plain = {error for error in _named_errors("Retry") if "." not in error}
    assert plain == {"Unavailable", "Busy", "Changed"}
    for name in plain:
        assert issubclass(getattr(errors, name), errors.ShopError)


def test_caught_classes_exist_where_they_are_raised() -> None:
    plain = {error for error in _named_errors("Catch") if "." not in error}
    assert plain == {"OrderNotPaid", "OrderPaid", "OrderAwaitsStock", "PaymentConfirming", PAYMENT_FAILED}
    assert plain - {PAYMENT_FAILED} <= _use_case_errors()
    assert caught("DeliverCards", OrderNotPaid.__name__) == "CloseTrade"
    assert caught("DeliverCards", OrderAwaitsStock.__name__) == "AwaitStock"
    assert caught("CloseTrade", OrderPaid.__name__) == "DeliverCards"
    assert caught("CloseTrade", OrderAwaitsStock.__name__) == "AwaitStock"
    assert caught("CloseTrade", PaymentConfirming.__name__) == "AwaitPayment"
    assert _named_errors("Catch") - plain == {_REFUSED, "States.Timeout", _UNTYPED}


def test_a_buyer_who_cancels_ends_the_wait_and_no_other() -> None:
    assert caught("AwaitPayment", PAYMENT_FAILED) == "CloseTrade"
    assert [name for name in STATES if caught(name, PAYMENT_FAILED)] == ["AwaitPayment"]


def test_without_classes_every_refusal_still_finds_its_way() -> None:
    """On the local engine: a refusal goes from state to state until one's own condition is the order's state."""
    ways = {name: caught(name, _UNTYPED) for name in _WORKING}
    assert ways == {"DeliverCards": "CloseTrade", "CloseTrade": "AwaitStock", "CompleteTrade": None}
    assert caught("AwaitStock", _REFUSED) == "DeliverCards"


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


def test_an_order_without_cards_waits_for_them_and_goes_on_as_delivered() -> None:
    """Whoever finds cards delivers with them, in one write; the machine, if nobody did, looks once a day."""
    assert path("AwaitStock") == ["AwaitStock", "AwaitReceipt", "CompleteTrade"]
    assert caught("AwaitStock", "States.Timeout") == "DeliverCards"


def test_what_came_first_is_found_by_the_condition() -> None:
    assert caught("AwaitPayment", _REFUSED) == "DeliverCards", "paid before the token was written"
    assert caught("AwaitStock", _REFUSED) == "DeliverCards", "filled before the token was written"
    assert caught("AwaitReceipt", _REFUSED) == "CompleteTrade"
    assert caught("AwaitReceipt", "States.Timeout") == "CompleteTrade"


def test_the_states_drive_only_along_the_tables_ways() -> None:
    """A machine state works on order states from which its own result is a step of the table."""
    leads_to = {
        "DeliverCards": {Status.DELIVERED, Status.AWAITING_STOCK},
        "CompleteTrade": {Status.COMPLETED},
        "CloseTrade": {Status.CLOSED},
    }
    for name, after in leads_to.items():
        for before in MACHINE_STATES[name]:
            assert after <= TRANSITIONS[before], f"{name}: {before} -> {after}"


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
