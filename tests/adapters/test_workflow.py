"""The machine: one execution a trade, and a token that nobody waits with is no error."""

from __future__ import annotations

import json

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.workflow import StepFunctions
from cardshop.domain.errors import Unavailable

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
    for ask in (nowhere.start, nowhere.take_over):
        with pytest.raises(Unavailable):
            ask(TRADE_ID)


def test_a_waiting_state_goes_on_once(waiting: Waiting) -> None:
    waiting.add("token")
    assert StepFunctions("unused").succeed("token") is True
    assert waiting == set()
    assert StepFunctions("unused").succeed("token") is False


@pytest.mark.parametrize("refusal", ["TaskDoesNotExist", "TaskTimedOut", "InvalidToken"])
def test_a_token_that_nobody_waits_with_is_told(waiting: Waiting, refusal: str) -> None:
    waiting.refusal = refusal
    assert StepFunctions("unused").succeed("gone") is False


def test_any_other_refusal_is_unavailable(waiting: Waiting) -> None:
    """A token must not be taken for gone because the service was busy: a second execution would be started."""
    waiting.refusal = "ThrottlingException"
    with pytest.raises(Unavailable):
        StepFunctions("unused").succeed("token")
