"""The sample events of `events/`, and how a test makes another one of one."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).resolve().parents[2] / "events"
Event = dict[str, Any]


def sample(name: str) -> Event:
    """`place_order/one_card` → a fresh copy of `events/place_order/one_card.json`."""
    event: Event = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


def records(name: str) -> list[Event]:
    return list(sample(name)["Records"])


def with_header(event: Event, name: str, value: str | None) -> Event:
    """The same call with this header, or without it."""
    kept = {key: each for key, each in event["headers"].items() if key.lower() != name.lower()}
    headers = kept if value is None else {**kept, name: value}
    return {**event, "headers": headers, "multiValueHeaders": {key: [each] for key, each in headers.items()}}


def with_order(event: Event, trade_id: str, *cards: str) -> Event:
    """The same stream records of another order, which names these cards (`sku#batch#shard/id`)."""
    changed = {"trade_id": {"S": trade_id}, "cards": {"L": [{"S": card} for card in cards]}}
    for record in event["Records"]:
        for image in {"OldImage", "NewImage"} & record["dynamodb"].keys():
            record["dynamodb"][image].update(changed)
    return event


def with_trade(event: Event, trade_id: str) -> Event:
    """The same call for another trade."""
    parameters = {"trade_id": trade_id}
    return {**event, "path": event["resource"].format(**parameters), "pathParameters": parameters}


def with_body(event: Event, body: bytes) -> Event:
    """The same call with this body, encoded as the gateway encodes every body."""
    return {**event, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def with_json(event: Event, **fields: Any) -> Event:
    """The same call with these fields of its body changed; None drops one."""
    body = json.loads(base64.b64decode(event["body"])) | fields
    return with_body(event, json.dumps({key: each for key, each in body.items() if each is not None}).encode())
