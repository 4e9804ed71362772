"""The stack as the template has it: each function's environment, time limit, doors and event sources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.adapters.cloud import table_name
from tests.template.cloudformation import RESOURCES, TEMPLATE, named, of_type, on_aws

PUBLIC_URL = "https://shop.example/api"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:cardshop-trade"
_NAMES = {
    "AWS::StackName": "cardshop",
    "AWS::Region": "us-east-1",
    "AWS::URLSuffix": "amazonaws.com",
    "PushApi": "push",
}
_PARAMETERS: dict[str, Any] = {name: each.get("Default") for name, each in TEMPLATE["Parameters"].items()}
_LIMIT = on_aws(TEMPLATE["Globals"]["Function"]["Timeout"])


def queue_url(logical: str) -> str:
    return f"https://sqs.us-east-1.amazonaws.com/123456789012/{logical}"


@dataclass(frozen=True)
class Source:
    """An event source mapping, of a stream (`stream`: its table) or of a queue."""

    function: str
    batch_size: int
    queue: str | None = None
    stream: str | None = None
    wanted: Mapping[str, Any] = field(default_factory=dict)  # the filter's pattern
    bisects: bool = False
    retries: int = 0
    max_age: int = 0  # seconds
    gives_up_to: str | None = None  # a queue

    def wants(self, record: Mapping[str, Any]) -> bool:
        """Whether the filter lets this record of the stream through."""
        return _fits(record, self.wanted)


def _fits(given: Mapping[str, Any], pattern: Mapping[str, Any]) -> bool:
    """Every name has one of the values that are listed for it."""
    return all(
        given.get(name) in wanted if isinstance(wanted, list) else _fits(given.get(name, {}), wanted)
        for name, wanted in pattern.items()
    )


@dataclass(frozen=True)
class Function:
    name: str
    logical: str
    limit: int  # seconds
    variables: dict[str, Any]
    doors: frozenset[tuple[str, str]] = frozenset()  # (method, resource)
    sources: tuple[Source, ...] = field(default=())


@dataclass(frozen=True)
class Queue:
    logical: str
    hidden: int  # seconds that a message is not seen by others once it was received
    delay: int
    receives: int | None  # after that many it is given up on
    gives_up_to: str | None


def functions() -> dict[str, Function]:
    return {each.name: each for each in map(_function, of_type("AWS::Serverless::Function").items())}


def queues() -> dict[str, Queue]:
    found = {}
    for logical, properties in of_type("AWS::SQS::Queue").items():
        redrive = properties.get("RedrivePolicy", {})
        found[logical] = Queue(
            logical,
            properties.get("VisibilityTimeout", 30),
            properties.get("DelaySeconds", 0),
            on_aws(redrive.get("maxReceiveCount")),
            named(redrive.get("deadLetterTargetArn")),
        )
    return found


def _function(given: tuple[str, dict[str, Any]]) -> Function:
    logical, properties = given
    name = properties["Handler"].removesuffix(".handler")
    doors, sources = set(), []
    for event in properties.get("Events", {}).values():
        how = event["Properties"]
        if event["Type"] == "Api":
            doors.add((how["Method"].upper(), how["Path"]))
        elif event["Type"] == "SQS":
            sources.append(Source(name, how["BatchSize"], queue=named(how["Queue"])))
        elif event["Type"] == "DynamoDB":
            sources.append(_stream(name, how))
    variables = properties["Environment"]["Variables"]
    return Function(name, logical, properties.get("Timeout", _LIMIT), variables, frozenset(doors), tuple(sources))


def _stream(function: str, how: dict[str, Any]) -> Source:
    (chosen,) = how["FilterCriteria"]["Filters"]
    return Source(
        function,
        how["BatchSize"],
        stream=named(how["Stream"]),
        wanted=json.loads(chosen["Pattern"]),
        bisects=how["BisectBatchOnFunctionError"],
        retries=how["MaximumRetryAttempts"],
        max_age=how["MaximumRecordAgeInSeconds"],
        gives_up_to=named(how["DestinationConfig"]["OnFailure"]["Destination"]),
    )


class Values:
    """What the template's expressions come to, with these parameters in place of their defaults."""

    def __init__(self, parameters: dict[str, Any], keys: dict[str, str]) -> None:
        self._known = {**_PARAMETERS, **parameters, **keys}

    def of(self, expression: Any) -> str:
        expression = on_aws(expression)
        if isinstance(expression, dict) and "Fn::Sub" in expression:
            text = str(expression["Fn::Sub"])
            for name, value in _NAMES.items():
                text = text.replace(f"${{{name}}}", value)
            return text
        logical = named(expression)
        if logical is None or logical in self._known:
            return str(expression if logical is None else self._known[logical])
        kind = RESOURCES[logical]["Type"]
        if kind == "AWS::DynamoDB::Table":
            return table_name(logical)
        if kind == "AWS::SQS::Queue":
            return queue_url(logical)
        # A secret or a function is known by this very name.
        return MACHINE if kind == "AWS::Serverless::StateMachine" else logical
