"""The machine that drives a trade: one execution per trade, named after it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from itertools import islice

from botocore.exceptions import ClientError

from cardshop.adapters.aws import client, code_of, reached
from cardshop.domain.errors import Unavailable

_EXECUTIONS = 50  # of one trade; a trade that has used them up has a machine that cannot run

#: The state that waited is gone: it timed out, its execution ended, or the engine that ran it was restarted.
_GONE = {"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"}


#: How an execution ends before its trade does.
_STOPPED = ("ABORTED", "FAILED", "TIMED_OUT")
_PAGES = 10  # of 100: the newest thousand; what is missed is due on its own before long


class StepFunctions:
    """`ports.Workflow`."""

    def __init__(self, machine_arn: str) -> None:
        self._machine_arn = machine_arn

    def start(self, trade_id: str) -> None:
        self._start(trade_id, trade_id)

    def take_over(self, trade_id: str, *, anew: bool = False) -> None:
        for number in range(_EXECUTIONS):
            name = f"{trade_id}-{number}" if number else trade_id
            if self._start(name, trade_id, anew=anew) or (not anew and self._runs(name)):
                return
        raise Unavailable("this trade's executions keep ending")

    def _start(self, name: str, trade_id: str, *, anew: bool = False) -> bool:
        """False if there was an execution of this name; `anew`: or is (started again with the same input, AWS answers
        the one that runs).
        """
        given = {"trade_id": trade_id, **({"start": uuid.uuid4().hex} if anew else {})}
        with reached("Step Functions"):
            try:
                client("stepfunctions").start_execution(
                    stateMachineArn=self._machine_arn, name=name, input=json.dumps(given)
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
        return self._answer("send_task_success", taskToken=task_token, output="{}")

    def fail(self, task_token: str, error: str) -> bool:
        return self._answer("send_task_failure", taskToken=task_token, error=error)

    def _answer(self, operation: str, **answer: str) -> bool:
        with reached("Step Functions"):
            try:
                getattr(client("stepfunctions"), operation)(**answer)
            except ClientError as error:
                if code_of(error) in _GONE:
                    return False
                raise
        return True

    def stopped(self, since: int) -> Iterator[str]:
        for status in _STOPPED:
            with reached("Step Functions"):
                pages = client("stepfunctions").get_paginator("list_executions")
                found = pages.paginate(stateMachineArn=self._machine_arn, statusFilter=status)
                for page in islice(found, _PAGES):
                    for execution in page["executions"]:
                        if execution["stopDate"].timestamp() * 1000 >= since:
                            yield execution["name"].partition("-")[0]
