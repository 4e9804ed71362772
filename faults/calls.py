"""What happens between a function and AWS: DynamoDB, KMS and the two stores are moto's, the rest the platform's own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError
from botocore.validate import ParamValidator
from moto.core.exceptions import JsonRESTError, ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.responses import DynamoHandler

from faults.clock import MINUTE, clock
from tests.adapters.cloud import table_name

if TYPE_CHECKING:
    from faults.platform import Platform

REGION = "us-east-1"
TAKES = 0.005  # seconds a call takes
_GIVES_UP = 1.0  # seconds until the SDK has tried three times what is refused
_UNREACHABLE = 9.0  # … where nobody answers
_LOST = 15.0  # … where the answer of the first try was lost
_STANDS_STILL = 8.0  # seconds between a function's decision and its write, in which others go on
OUTAGE = 5 * MINUTE

_READS = (
    "BatchGetItem",
    "Decrypt",
    "Describe",
    "GenerateDataKey",  # KMS keeps nothing of it
    "GetItem",
    "GetParameter",
    "GetSecretValue",
    "List",
    "Query",
    "Scan",
)
_THROTTLED = {"dynamodb": "ProvisionedThroughputExceededException", "sqs": "RequestThrottled"}
_BROKEN = {"dynamodb": "InternalServerError", "kms": "KMSInternalException", "ssm": "InternalServerError"}


class Stopped(BaseException):
    """The function's process ends here and now: nothing in it can catch this. The text is what Lambda calls it."""


class Broken(BaseException):
    """The harness itself does not understand something: no handler is to make an answer of that."""


@dataclass
class Invocation:
    """One run of a function."""

    function: str
    event: Any
    deadline: int  # milliseconds
    stopped: str | None = None  # what Lambda calls the end of its process
    untold: bool = True  # whether nobody could have stopped it in this state of the world yet
    nothing: tuple[str, ...] | None = None  # the read before, if it found nothing

    def stop(self, name: str) -> Stopped:
        self.stopped = name
        return Stopped(name)

    def found_nothing_again(self, operation: str, params: dict[str, Any], answer: Any) -> bool:
        """Whether this is one more look into an empty index, just after another: all of them are one point."""
        look = (operation, str(params.get("TableName")), str(params.get("IndexName")))
        before, self.nothing = self.nothing, look if operation == "Query" and not answer["Count"] else None
        return self.nothing is not None and "IndexName" in params and before == look

    def alive(self) -> None:
        """Raises if its process has ended: then nothing it does in its last throes reaches the world."""
        if self.stopped is not None:
            raise Stopped(self.stopped)
        if clock.now > self.deadline:
            raise self.stop("Sandbox.Timedout")


def refusal(
    code: str, operation: str, status: int = 400, headers: Mapping[str, str] | None = None, **more: Any
) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "by way of trial"},
        "ResponseMetadata": {
            "HTTPStatusCode": status,
            "HTTPHeaders": headers or {},
            "RequestId": "-",
            "RetryAttempts": 0,
        },
        **more,
    }
    return ClientError(answer, operation)


def conflict(operation: str, params: dict[str, Any]) -> ClientError:
    if operation != "TransactWriteItems":
        return refusal("TransactionConflictException", operation)
    codes = ["None"] * (len(params["TransactItems"]) - 1) + ["TransactionConflict"]
    return refusal("TransactionCanceledException", operation, CancellationReasons=[{"Code": code} for code in codes])


def _kinds(invocation: Invocation, service: str, writes: bool) -> list[str]:
    """Stopping before a call is stopping after the one before it, unless that was a read: each state is told once."""
    kinds = ["crash-before"] if invocation.untold else []
    kinds += ["throttled", "error", "down"]
    if writes:
        kinds += ["crash-after", "lost", "repeated", "paused", "raced"]
    return [*kinds, "conflict"] if writes and service == "dynamodb" else kinds


class Wire:
    """Every call of every client of this process comes by here."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._original: Callable[..., Any] = vars(BaseClient)["_make_api_call"]
        self._answers: dict[str, Any] = {}  # of transactions, by their token: one is made once
        self._dark: dict[str, int] = {}  # service → when it can be reached again
        wire = self

        def intercepted(client: Any, operation: str, params: dict[str, Any]) -> Any:
            return wire.call(client, operation, params)

        setattr(BaseClient, "_make_api_call", intercepted)  # noqa: B010

    def call(self, client: Any, operation: str, params: dict[str, Any]) -> Any:
        service = client.meta.service_model.service_name

        def do() -> Any:
            return self.do(client, service, operation, params)

        invocation = self._platform.invocation
        if invocation is None:
            return do()
        try:
            return self._reach(invocation, service, operation, params, do)
        except (ClientError, BotoCoreError):
            raise
        except Exception as error:
            raise Broken(f"{service} {operation}: {error!r}") from error

    def _reach(
        self, invocation: Invocation, service: str, operation: str, params: dict[str, Any], do: Callable[[], Any]
    ) -> Any:
        invocation.alive()
        clock.wait(TAKES)
        if self._dark.get(service, 0) > clock.now:
            raise self._unreachable(invocation, service)
        writes = not operation.startswith(_READS)
        answer = None if writes else do()
        kinds = [] if invocation.found_nothing_again(operation, params, answer) else _kinds(invocation, service, writes)
        what = f"{invocation.function}: {service} {operation} {_about(params)}"
        wrong = self._platform.plan.at(what, *kinds)
        self._platform.plan.calls += 1
        invocation.untold = writes
        self._instead(wrong, invocation, service, operation, params)
        return self._made(wrong, invocation, service, do) if writes else answer

    def _instead(
        self, wrong: str | None, invocation: Invocation, service: str, operation: str, params: dict[str, Any]
    ) -> None:
        """What goes wrong before the call is made, if it ever is."""
        match wrong:
            case "crash-before":
                raise invocation.stop("Lambda.Unknown")
            case "throttled":
                clock.wait(_GIVES_UP)
                raise refusal(_THROTTLED.get(service, "ThrottlingException"), operation)
            case "error":
                clock.wait(_GIVES_UP)
                raise refusal(_BROKEN.get(service, "InternalServiceError"), operation, 500)
            case "conflict":
                clock.wait(_GIVES_UP)
                raise conflict(operation, params)
            case "down":
                self._dark[service] = clock.now + OUTAGE * 1000
                raise self._unreachable(invocation, service)
            case "paused" | "raced":
                self._platform.meanwhile(invocation, _STANDS_STILL, twin=wrong == "raced")
                invocation.alive()

    @staticmethod
    def _made(wrong: str | None, invocation: Invocation, service: str, do: Callable[[], Any]) -> Any:
        """The call is made; what goes wrong with its answer."""
        answer = do()
        match wrong:
            case "crash-after":
                raise invocation.stop("Runtime.ExitError")
            case "lost":
                clock.wait(_LOST)
                invocation.alive()
                raise ReadTimeoutError(endpoint_url=service)
            case "repeated":
                clock.wait(_UNREACHABLE)
                invocation.alive()
                return do()
        return answer

    @staticmethod
    def _unreachable(invocation: Invocation, service: str) -> ConnectTimeoutError:
        clock.wait(_UNREACHABLE)
        invocation.alive()
        return ConnectTimeoutError(endpoint_url=service)

    # ---- what is done

    def do(self, client: Any, service: str, operation: str, params: dict[str, Any]) -> Any:
        if service in {"apigatewaymanagementapi", "sqs", "stepfunctions"}:
            shape = client.meta.service_model.operation_model(operation).input_shape
            if (report := ParamValidator().validate(params, shape)).has_errors():
                raise AssertionError(report.generate_report())
            return self._platform.answer(service, operation, params)
        if service != "dynamodb":
            return self._original(client, operation, params)
        if operation == "Query" and self._finds_nothing(client, params):
            return {"Items": [], "Count": 0, "ScannedCount": 0, "ConsumedCapacity": {}}
        if operation.startswith((*_READS, "CreateTable")):
            return self._dynamodb(client, operation, params)
        return self._write(client, operation, params)

    def _dynamodb(self, client: Any, operation: str, params: dict[str, Any]) -> Any:
        """By moto itself, without what botocore and HTTP would add: a run has some ten thousand of these.

        What is refused changes nothing, and is asked again in the usual way, as is whatever holds bytes.
        """
        if operation == "CreateTable" or operation.startswith("Batch") or table_name("SealedTable") in repr(params):
            return self._original(client, operation, params)
        handler: Any = DynamoHandler()
        handler.body, handler.region, handler.current_account = copy.deepcopy(params), REGION, DEFAULT_ACCOUNT_ID
        try:
            result = getattr(handler, xform_name(operation))()
        except (JsonRESTError, ServiceException):
            return self._original(client, operation, params)
        return copy.deepcopy(vars(result)["_result"])

    @staticmethod
    def _finds_nothing(client: Any, params: dict[str, Any]) -> bool:
        """An index has no such key if no item of the table has it: told unasked, so many such looks there are."""
        if "IndexName" not in params:
            return False
        table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].get_table(params["TableName"])
        index = next(each for each in table.global_indexes if each.name == params["IndexName"])
        key = next(each["AttributeName"] for each in index.schema if each["KeyType"] == "HASH")
        asked = [next(iter(each.values())) for each in params["ExpressionAttributeValues"].values()]
        items = (item.attrs.get(key) for item in table.all_items())
        return all(attribute is None or attribute.value not in asked for attribute in items)

    def _write(self, client: Any, operation: str, params: dict[str, Any]) -> Any:
        """And what has changed is on the table's stream: a write that changes nothing is not."""
        token = params.get("ClientRequestToken")
        if token in self._answers:
            return self._answers[token]
        touched = list(_touched(operation, params))
        before = [image(table, key) for table, key in touched]
        answer = self._dynamodb(client, operation, params)
        if token is not None:
            self._answers[token] = answer
        for (table, key), old in zip(touched, before, strict=True):
            new = image(table, key)
            if new != old:
                self._platform.changed(table, _key_of(table, key), old, new)
        return answer


def _touched(operation: str, params: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(table, its key among other attributes) of each item that this may write."""
    if operation == "TransactWriteItems":
        for each in params["TransactItems"]:
            for inner in each.values():
                yield inner["TableName"], inner.get("Item") or inner["Key"]
    elif operation in {"PutItem", "UpdateItem", "DeleteItem"}:
        yield params["TableName"], params.get("Item") or params["Key"]
    else:
        raise NotImplementedError(f"what does {operation} write?")


def _key_of(table: str, item: dict[str, Any]) -> dict[str, Any]:
    schema = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].get_table(table).schema
    return {each["AttributeName"]: item[each["AttributeName"]] for each in schema}


def image(table: str, item: dict[str, Any]) -> dict[str, Any] | None:
    """The item as it is there now, in DynamoDB's own JSON."""
    backend = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION]
    found = backend.get_item(table, _key_of(table, item))
    return copy.deepcopy(found.to_json()["Attributes"]) if found is not None else None


def images(table: str) -> list[dict[str, Any]]:
    found = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].get_table(table).all_items()
    return [item.to_json()["Attributes"] for item in found]


def _about(params: dict[str, Any]) -> str:
    for name in ("TableName", "QueueUrl", "name", "Name", "SecretId", "ConnectionId"):
        if name in params:
            return str(params[name]) + (f" {params['IndexName']}" if "IndexName" in params else "")
    if "TransactItems" in params:
        return " ".join(
            f"{next(iter(each))}:{next(iter(each.values()))['TableName']}" for each in params["TransactItems"]
        )
    return ""
