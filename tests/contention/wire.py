"""Answers put on the wire between the shop's own DynamoDB client and the store, as AWS would word them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from cardshop.adapters.tables import connection

_API = "com.amazonaws.dynamodb.v20120810#"


class _Raw(BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


class Wire:
    """Every call of one operation, in the order they were made."""

    def __init__(self) -> None:
        self.calls = 0
        self.sent: list[dict[str, Any]] = []  # what reached the store


@contextmanager
def conflicts(operation: str, times: int, *, after: int = 0, on: int = 0) -> Iterator[Wire]:
    """So many calls of it, `after` the first ones, are answered with a conflict and never reach the store.

    `on`: which of a transaction's items is held by another.
    """

    def refuse(wire: Wire, request: AWSPreparedRequest) -> AWSResponse | None:
        if not after < wire.calls <= after + times:
            return None
        if operation != "TransactWriteItems":
            return _answer(request, 400, {"__type": f"{_API}TransactionConflictException", "message": "ongoing"})
        reasons: list[dict[str, str]] = [{"Code": "None"} for _ in _body(request)["TransactItems"]]
        reasons[on] = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
        codes = ", ".join(reason["Code"] for reason in reasons)
        message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
        kind = f"{_API}TransactionCanceledException"
        return _answer(request, 400, {"__type": kind, "Message": message, "CancellationReasons": reasons})

    with _between(operation, refuse) as wire:
        yield wire


@contextmanager
def lost_answers(operation: str, times: int) -> Iterator[Wire]:
    """The first so many calls of it reach the store, and their answers are lost on the way back."""

    def lose(wire: Wire, request: AWSPreparedRequest) -> AWSResponse | None:
        if wire.calls > times:
            return None
        wire.sent.append(_body(request))
        done = connection().client._endpoint.http_session.send(request)
        assert done.status_code == 200, done.content
        return _answer(request, 500, {"__type": f"{_API}InternalServerError", "message": "lost"})

    with _between(operation, lose) as wire:
        yield wire


@contextmanager
def _between(operation: str, act: Callable[[Wire, AWSPreparedRequest], AWSResponse | None]) -> Iterator[Wire]:
    wire = Wire()

    def before_send(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        wire.calls += 1
        answer = act(wire, request)
        if answer is None:
            wire.sent.append(_body(request))
        return answer

    events: Any = connection().client.meta.events
    events.register_first(f"before-send.dynamodb.{operation}", before_send)
    try:
        yield wire
    finally:
        events.unregister(f"before-send.dynamodb.{operation}", before_send)


def _body(request: AWSPreparedRequest) -> dict[str, Any]:
    raw = request.body
    assert isinstance(raw, bytes)
    return dict(json.loads(raw))


def _answer(request: AWSPreparedRequest, status: int, content: dict[str, Any]) -> AWSResponse:
    headers = HTTPHeaders.from_dict({"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": "0" * 52})
    return AWSResponse(request.url, status, headers, _Raw(json.dumps(content).encode()))
