"""The trade's machine, interpreted from its own definition: tasks, tokens, time-outs, retries and catches."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from faults.calls import TAKES, refusal
from faults.clock import clock
from faults.template import MACHINE
from tests.template.cloudformation import RESOURCES

if TYPE_CHECKING:
    from faults.platform import Platform

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_EXPRESSION = re.compile(r"\{% \$states\.([\w.]+) %\}")
#: How the machine names what goes wrong with DynamoDB and Lambda on its own way there.
_UPDATE_ERRORS = {
    "throttled": "DynamoDb.ProvisionedThroughputExceededException",
    "error": "DynamoDb.InternalServerErrorException",
    "conflict": "DynamoDb.TransactionConflictException",
    "lost": "DynamoDb.SdkClientException",
}
_INVOKE_ERRORS = {
    "throttled": "Lambda.TooManyRequestsException",
    "error": "Lambda.ServiceException",
    "lost": "Lambda.SdkClientException",
}


@dataclass
class Execution:
    name: str
    given: dict[str, Any]
    state: str = ""
    token: str | None = None  # of the state that waits
    status: str = "RUNNING"
    ended: int | None = None  # milliseconds
    states: list[str] = field(default_factory=list)
    tries: Counter[int] = field(default_factory=Counter)  # by retrier of the present state
    turn: int = 0  # goes up with every attempt: what an earlier one had set going is over

    @property
    def arn(self) -> str:
        return f"{MACHINE.replace(':stateMachine:', ':execution:')}:{self.name}"


class Machine:
    def __init__(self, platform: Platform, definition: Path) -> None:
        substitutions = RESOURCES["TradeMachine"]["Properties"]["DefinitionSubstitutions"]
        values = {name: platform.values.of(value) for name, value in substitutions.items()}
        text = definition.read_text(encoding="utf-8")
        asl = json.loads(_PLACEHOLDER.sub(lambda found: values[found.group(1)], text))
        self._states: dict[str, dict[str, Any]] = asl["States"]
        self._first: str = asl["StartAt"]
        self._platform = platform
        self.executions: dict[str, Execution] = {}

    # ---- what AWS answers about it

    def answer(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        match operation:
            case "StartExecution":
                return self._start(params["name"], json.loads(params["input"]))
            case "DescribeExecution":
                name = params["executionArn"].rpartition(":")[2]
                if name not in self.executions:
                    raise refusal("ExecutionDoesNotExist", operation)
                return {"status": self.executions[name].status}
            case "ListExecutions":
                return {"executions": [self._listed(each) for each in self._of_status(params["statusFilter"])]}
            case "SendTaskSuccess":
                self._told(params["taskToken"], operation, lambda execution: self._done(execution, {}))
                return {}
            case "SendTaskFailure":
                self._told(params["taskToken"], operation, lambda execution: self._failed(execution, params["error"]))
                return {}
        raise NotImplementedError(f"Step Functions: {operation}")

    def _start(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        there = self.executions.get(name)
        if there is not None and (there.status != "RUNNING" or there.given != given):
            raise refusal("ExecutionAlreadyExists", "StartExecution")
        if there is None:
            execution = self.executions[name] = Execution(name, given)
            self._soon(execution, lambda: self._enter(execution, self._first))
        return {"executionArn": self.executions[name].arn}

    def _of_status(self, status: str) -> list[Execution]:
        found = [each for each in self.executions.values() if each.status == status]
        return sorted(found, key=lambda each: each.ended or 0, reverse=True)

    @staticmethod
    def _listed(execution: Execution) -> dict[str, Any]:
        ended = datetime.fromtimestamp((execution.ended or 0) / 1000, UTC)
        return {"name": execution.name, "executionArn": execution.arn, "status": execution.status, "stopDate": ended}

    def _told(self, token: str, operation: str, then: Callable[[Execution], None]) -> None:
        execution = next((each for each in self.executions.values() if each.token == token), None)
        if execution is None or execution.status != "RUNNING":
            raise refusal("TaskTimedOut", operation)
        execution.token = None
        self._soon(execution, lambda: then(execution))

    # ---- how it runs

    def _soon(self, execution: Execution, act: Callable[[], None], seconds: float = 0.05) -> None:
        execution.turn += 1
        turn = execution.turn

        def unless_overtaken() -> None:
            if execution.status == "RUNNING" and execution.turn == turn:
                act()

        self._platform.at(seconds, unless_overtaken)

    def _end(self, execution: Execution, status: str) -> None:
        execution.status, execution.ended, execution.token = status, clock.now, None
        self._platform.plan.tell(f"{execution.name} {status} {' '.join(execution.states)}")

    def _stopped(self, execution: Execution, where: str) -> bool:
        """By the hand of a person."""
        if self._platform.plan.at(f"{execution.state} {where}", "stopped") is None:
            return False
        self._end(execution, "ABORTED")
        return True

    def _enter(self, execution: Execution, state: str) -> None:
        execution.state, execution.tries = state, Counter()
        execution.states.append(state)
        if len(execution.states) > 200:
            raise AssertionError(f"{execution.name} goes round in circles: {execution.states[-6:]}")
        if not self._stopped(execution, "entered"):
            self._attempt(execution)

    def _attempt(self, execution: Execution) -> None:
        if self._states[execution.state]["Resource"].endswith(":lambda:invoke"):
            self._invoke(execution)
        else:
            self._wait(execution)

    def _wait(self, execution: Execution) -> None:
        """Writes the token, and waits for whoever has read it."""
        state = self._states[execution.state]
        execution.turn += 1
        execution.token = f"token-{execution.name}-{execution.turn}"
        params = self._filled(state["Arguments"], execution)
        wrong = self._platform.plan.at(f"{execution.state}: UpdateItem", *_UPDATE_ERRORS)
        clock.wait(TAKES)
        if wrong is None or wrong == "lost":
            try:
                self._platform.update_item(params)
            except ClientError as error:
                return self._failed(execution, f"DynamoDb.{error.response['Error']['Code']}")
        if wrong is not None:
            return self._failed(execution, _UPDATE_ERRORS[wrong])
        if not self._stopped(execution, "waits"):
            self._soon(execution, lambda: self._failed(execution, "States.Timeout"), state["TimeoutSeconds"])
        return None

    def _invoke(self, execution: Execution) -> None:
        arguments = self._filled(self._states[execution.state]["Arguments"], execution)
        function = self._platform.named(arguments["FunctionName"])
        wrong = self._platform.plan.at(f"{execution.state}: Invoke", *_INVOKE_ERRORS)
        if wrong is None or wrong == "lost":
            outcome = self._platform.invoke(function, arguments["Payload"])
            if wrong is None and outcome.error is None:
                return self._done(execution, {"Payload": outcome.value})
            if outcome.error is not None:
                return self._failed(execution, outcome.error)
        return self._failed(execution, _INVOKE_ERRORS[wrong or "lost"])

    def _done(self, execution: Execution, result: dict[str, Any]) -> None:
        state = self._states[execution.state]
        self._filled(state["Output"], execution, result)  # is the input again, or ends with the execution
        if state.get("End"):
            self._end(execution, "SUCCEEDED")
        else:
            self._soon(execution, lambda: self._enter(execution, state["Next"]))

    def _failed(self, execution: Execution, error: str) -> None:
        state = self._states[execution.state]
        execution.token = None
        self._platform.plan.tell(f"{execution.name} {execution.state}: {error}")
        for number, retrier in enumerate(state.get("Retry", [])):
            if error in retrier["ErrorEquals"]:
                tried = execution.tries[number]
                if tried >= retrier["MaxAttempts"]:
                    break
                execution.tries[number] += 1
                pause = retrier["IntervalSeconds"] * retrier["BackoffRate"] ** tried
                pause = min(pause, retrier.get("MaxDelaySeconds", pause))
                if retrier.get("JitterStrategy") == "FULL":
                    pause = random.uniform(0, pause)
                return self._soon(execution, lambda: self._attempt(execution), pause)
        caught = next((each for each in state.get("Catch", []) if error in each["ErrorEquals"]), None)
        if caught is None:
            return self._end(execution, "FAILED")
        self._filled(caught["Output"], execution)
        return self._soon(execution, lambda: self._enter(execution, caught["Next"]))

    def _filled(self, template: Any, execution: Execution, result: dict[str, Any] | None = None) -> Any:
        """The template with its expressions answered: paths into `$states`, and nothing more of JSONata."""
        known = {"input": execution.given, "context": {"Task": {"Token": execution.token}}, "result": result}
        if isinstance(template, dict):
            return {name: self._filled(value, execution, result) for name, value in template.items()}
        if not isinstance(template, str) or "{%" not in template:
            return template
        found = _EXPRESSION.fullmatch(template)
        if found is None:
            raise NotImplementedError(template)
        value: Any = known
        for step in found.group(1).split("."):
            value = value[step]
        return value
