"""A stack in a simulated cloud, and functions that say what they were given."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from cardshop.adapters.aws import client

from engine import letters
from engine.stacks import Stack
from tests.adapters import cloud as simulated
from tests.adapters.cloud import TABLES, queue, table_name
from tests.template.cloudformation import of_type

Event = dict[str, Any]


@dataclass
class Functions:
    """Lambda, with functions that do nothing; while they are `broken` they fail with that message."""

    given: list[tuple[str, Event]] = field(default_factory=list)
    broken: str | None = None

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:
        if self.broken:
            said = json.dumps({"errorMessage": self.broken, "errorType": "Unavailable", "stackTrace": ["…", "…"]})
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": io.BytesIO(said.encode())}
        self.given.append((FunctionName, json.loads(Payload)))
        return {"StatusCode": 200, "Payload": io.BytesIO(b"{}")}


@dataclass
class Names:
    """CloudFormation, which knows what the stack's resources are called."""

    called: dict[str, str]

    def describe_stack_resource(self, StackName: str, LogicalResourceId: str) -> dict[str, Any]:
        assert StackName == "shop"
        return {"StackResourceDetail": {"PhysicalResourceId": self.called[LogicalResourceId]}}


@pytest.fixture
def functions() -> Functions:
    return Functions()


@pytest.fixture
def stack(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """The template's tables and queues, empty."""
    monkeypatch.setattr(letters, "_LOOK", 0)
    with simulated.cloud():
        called = {name: table_name(name) for name in TABLES}
        called |= {name: queue(f"shop-{name}") for name in of_type("AWS::SQS::Queue")}
        called |= {name: f"shop-{name}" for name in of_type("AWS::Serverless::Function")}
        fakes: dict[str, Any] = {"cloudformation": Names(called), "lambda": functions}
        yield Stack("shop", lambda service: fakes.get(service) or client(service))
