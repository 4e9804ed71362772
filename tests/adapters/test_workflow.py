"""The machine: one execution a trade, and a token that nobody waits with is no error."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.workflow import StepFunctions
from cardshop.domain.errors import Unavailable
from moto.stepfunctions.models import stepfunctions_backends

from tests.adapters.cloud import Waiting, executions, state_machine
from tests.domain.builders import TRADE_ID

pytestmark = pytest.mark.usefixtures("cloud")


def stop(machine: str) -> None:
    for execution in client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]:
        client("stepfunctions").stop_execution(executionArn=execution["executionArn"])


def test_starting_a_trade_again_is_one_execution_even_after_its_end() -> None:
    machine = state_machine()
    workflow = StepFunctions(machine)
    workflow.start(TRADE_ID)
    workflow.start(TRADE_ID)
    stop(machine)
    workflow.start(TRADE_ID)
    assert executions(machine) == [TRADE_ID]


def test_an_execution_knows_its_trade() -> None:
    machine = state_machine()
    StepFunctions(machine).start(TRADE_ID)
    (execution,) = client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    described = client("stepfunctions").describe_execution(executionArn=execution["executionArn"])
    assert json.loads(described["input"]) == {"trade_id": TRADE_ID}


def test_a_trade_is_taken_over_only_if_none_of_its_executions_runs() -> None:
    machine = state_machine()
    workflow = StepFunctions(machine)
    for expected in ([TRADE_ID], [TRADE_ID, f"{TRADE_ID}-1"], [TRADE_ID, f"{TRADE_ID}-1", f"{TRADE_ID}-2"]):
        workflow.take_over(TRADE_ID)
        workflow.take_over(TRADE_ID)
        assert executions(machine) == expected
        stop(machine)


def test_a_trade_is_taken_over_anew_even_beside_an_execution_that_runs() -> None:
    """The one that runs may be about to end without having seen what happened."""
    machine = state_machine()
    workflow = StepFunctions(machine)
    workflow.start(TRADE_ID)
    workflow.take_over(TRADE_ID, anew=True)
    assert executions(machine) == [TRADE_ID, f"{TRADE_ID}-1"]


def test_a_trade_whose_executions_have_ended_is_taken_over_anew_by_one() -> None:
    machine = state_machine()
    workflow = StepFunctions(machine)
    workflow.start(TRADE_ID)
    stop(machine)
    workflow.take_over(TRADE_ID, anew=True)
    assert executions(machine) == [TRADE_ID, f"{TRADE_ID}-1"]


def test_another_trades_execution_takes_nothing_over() -> None:
    machine = state_machine()
    StepFunctions(machine).start("z" * 26)
    StepFunctions(machine).take_over(TRADE_ID)
    assert executions(machine) == [TRADE_ID, "z" * 26]


def test_a_trade_whose_executions_keep_ending_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cardshop.adapters.workflow._EXECUTIONS", 3)
    machine = state_machine()
    workflow = StepFunctions(machine)
    for _ in range(3):
        workflow.take_over(TRADE_ID)
        stop(machine)
    with pytest.raises(Unavailable):
        workflow.take_over(TRADE_ID)
    assert len(executions(machine)) == 3


def test_a_machine_that_is_not_there_is_unavailable() -> None:
    nowhere = StepFunctions("arn:aws:states:us-east-1:123456789012:stateMachine:nowhere")
    for ask in (
        lambda: nowhere.start(TRADE_ID),
        lambda: nowhere.take_over(TRADE_ID),
        lambda: list(nowhere.stopped(0)),
    ):
        with pytest.raises(Unavailable):
            ask()


# ---- the waiting state ----


def test_a_waiting_state_goes_on_once(waiting: Waiting) -> None:
    waiting.add("token")
    assert StepFunctions("unused").succeed("token") is True
    assert waiting == set()
    assert StepFunctions("unused").succeed("token") is False


def test_a_waiting_state_is_failed_once_with_the_error_that_it_catches(waiting: Waiting) -> None:
    waiting.add("token")
    assert StepFunctions("unused").fail("token", "PaymentFailed") is True
    assert waiting.failed == [("token", "PaymentFailed")]
    assert StepFunctions("unused").fail("token", "PaymentFailed") is False


def succeed(token: str) -> bool:
    return StepFunctions("unused").succeed(token)


def fail(token: str) -> bool:
    return StepFunctions("unused").fail(token, "PaymentFailed")


@pytest.mark.parametrize("refusal", ["TaskDoesNotExist", "TaskTimedOut", "InvalidToken"])
@pytest.mark.parametrize("answer", [succeed, fail])
def test_a_token_that_nobody_waits_with_is_told(waiting: Waiting, refusal: str, answer: Callable[[str], bool]) -> None:
    waiting.refusal = refusal
    assert answer("gone") is False


@pytest.mark.parametrize("answer", [succeed, fail])
def test_any_other_refusal_is_unavailable(waiting: Waiting, answer: Callable[[str], bool]) -> None:
    """A token must not be taken for gone because the service was busy: a second execution would be started."""
    waiting.refusal = "ThrottlingException"
    with pytest.raises(Unavailable):
        answer("token")


# ---- executions that somebody stopped ----


def trade(number: int) -> str:
    return "abcdefghij"[number] * 26


def ended(machine: str, name: str, status: str) -> None:
    """An execution of this name that came to this end; moto runs none and ends none by itself."""
    workflow = StepFunctions(machine)
    workflow.start(name)
    for backend in stepfunctions_backends["123456789012"].values():
        for each in [each for kept in backend.state_machines for each in kept.executions if each.name == name]:
            each.stop()
            each.status = status


def test_trades_are_named_whose_execution_was_stopped_or_failed_and_no_others() -> None:
    machine = state_machine()
    ended(machine, trade(0), "ABORTED")
    ended(machine, trade(1), "FAILED")
    ended(machine, trade(2), "SUCCEEDED")
    StepFunctions(machine).start(trade(3))
    assert sorted(StepFunctions(machine).stopped(0)) == [trade(0), trade(1)]


def test_a_later_execution_of_a_trade_names_the_same_trade() -> None:
    machine = state_machine()
    ended(machine, f"{TRADE_ID}-12", "ABORTED")
    assert list(StepFunctions(machine).stopped(0)) == [TRADE_ID]


def test_what_was_stopped_before_then_is_not_named() -> None:
    machine = state_machine()
    ended(machine, TRADE_ID, "ABORTED")
    (execution,) = client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    then = int(execution["stopDate"].timestamp() * 1000)
    assert list(StepFunctions(machine).stopped(then)) == [TRADE_ID]
    assert list(StepFunctions(machine).stopped(then + 1000)) == []


def test_more_stopped_executions_than_a_page_holds_are_all_named() -> None:
    machine = state_machine()
    for number in range(101):
        ended(machine, f"{TRADE_ID}-{number}", "ABORTED")
    assert len(list(StepFunctions(machine).stopped(0))) == 101
