"""The machine that drives a trade: one execution per trade, named after it."""

from __future__ import annotations

import json

from botocore.exceptions import ClientError

from cardshop.adapters.aws import client, code_of, reached

#: The state that waited is gone: it timed out, its execution ended, or the engine that ran it was restarted.
_GONE = {"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"}


class StepFunctions:
    """`ports.Workflow`."""

    def __init__(self, machine_arn: str) -> None:
        self._machine_arn = machine_arn

    def start(self, trade_id: str, suffix: str = "") -> None:
        with reached("Step Functions"):
            try:
                client("stepfunctions").start_execution(
                    stateMachineArn=self._machine_arn,
                    name=f"{trade_id}{suffix}",
                    input=json.dumps({"trade_id": trade_id}),
                )
            except ClientError as error:
                if code_of(error) != "ExecutionAlreadyExists":
                    raise

    def succeed(self, task_token: str) -> bool:
        with reached("Step Functions"):
            try:
                client("stepfunctions").send_task_success(taskToken=task_token, output="{}")
            except ClientError as error:
                if code_of(error) in _GONE:
                    return False
                raise
        return True
