"""Rights that the local engine never asks about, and what AWS says that they are for."""

from __future__ import annotations

from collections.abc import Callable

from tests.iam.roles import Right

_READ_STREAM = {f"dynamodb:{each}" for each in ("GetRecords", "GetShardIterator", "DescribeStream", "ListStreams")}
_TAKE_MESSAGES = {f"sqs:{each}" for each in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")}


def _machines(*services: str) -> Callable[[Right], bool]:
    return lambda right: right.role == "TradeMachineRole" and _services(right) <= set(services)


def _services(right: Right) -> set[str]:
    return {action.partition(":")[0] for action in right.actions}


#: Which rights; who uses them, and the page that says so. The first that holds is told.
_REASONS: list[tuple[Callable[[Right], bool], str]] = [
    (
        _machines("logs"),
        "Step Functions sets up and writes the machine's log with its role "
        "(Step Functions: Using CloudWatch Logs to log execution history)",
    ),
    (
        _machines("xray"),
        "Step Functions sends the machine's segments with its role "
        "(Step Functions: Trace Step Functions request data in AWS X-Ray)",
    ),
    (
        _machines("dynamodb", "lambda"),
        "Step Functions does its tasks with the machine's role "
        "(Step Functions: How Step Functions generates IAM policies for integrated services)",
    ),
    (
        lambda right: _services(right) == {"logs"},
        "Lambda writes the function's log with its role (Lambda: Sending Lambda function logs to CloudWatch Logs)",
    ),
    (
        lambda right: _services(right) == {"xray"},
        "Lambda sends the function's segments with its role "
        "(Lambda: Visualize Lambda function invocations using AWS X-Ray)",
    ),
    (
        lambda right: set(right.actions) <= _READ_STREAM,
        "Lambda reads the stream with the function's role "
        "(DynamoDB: IAM policy to allow an AWS Lambda function to access DynamoDB stream records)",
    ),
    (
        lambda right: set(right.actions) <= _TAKE_MESSAGES,
        "Lambda takes the queue's messages with the function's role "
        "(Lambda: Creating and configuring an Amazon SQS event source mapping)",
    ),
    (
        lambda right: right.resource.endswith("DeadLetters"),
        "Lambda tells of discarded records with the function's role "
        "(Lambda: Retaining discarded records for a DynamoDB event source)",
    ),
    (
        lambda right: right.resource == "SettingsKey",
        "the parameter store asks KMS in the caller's name "
        "(Systems Manager: AWS KMS encryption for Parameter Store SecureString parameters)",
    ),
]


def reason(right: Right) -> str | None:
    """Why the engine does not ask about it though AWS does; None for a right that it asks about."""
    return next((why for holds, why in _REASONS if holds(right)), None)
