"""The machine that drives a trade: one execution per trade, named after it."""

from __future__ import annotations

import json

from botocore.exceptions import ClientError

from cardshop.adapters.aws import client, code_of, reached
from cardshop.domain.errors import Unavailable

_EXECUTIONS = 50  # of one trade; a trade that has used them up has a machine that cannot run

#: The state that waited is gone: it timed out, its execution ended, or the engine that ran it was restarted.
_GONE = {"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"}


class StepFunctions:
    """`ports.Workflow`."""

    def __init__(self, machine_arn: str) -> None:
        self._machine_arn = machine_arn

    def start(self, trade_id: str) -> None:
        self._start(trade_id, trade_id)

    def take_over(self, trade_id: str) -> None:
        for number in range(_EXECUTIONS):
            name = f"{trade_id}-{number}" if number else trade_id
            if self._start(name, trade_id) or self._runs(name):
                return
        raise Unavailable("this trade's executions keep ending")

    def _start(self, name: str, trade_id: str) -> bool:
        """False if there is, or was, an execution of this name."""
        with reached("Step Functions"):
            try:
                client("stepfunctions").start_execution(
                    stateMachineArn=self._machine_arn, name=name, input=json.dumps({"trade_id": trade_id})
                )
            except ClientError as error:
                if code_of(error) == "ExecutionAlreadyExists":
                    return False
                raise
        return True

    def _runs(self, name: str) -> bool:
        arn = f"{self._machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        with reached("Step Functions"):
            status = client("stepfunctions").describe_execution(executionArn=arn)["status"]
        return bool(status == "RUNNING")

    def succeed(self, task_token: str) -> bool:
        with reached("Step Functions"):
            try:
                client("stepfunctions").send_task_success(taskToken=task_token, output="{}")
            except ClientError as error:
                if code_of(error) in _GONE:
                    return False
                raise
        return True
