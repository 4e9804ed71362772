"""Notices as the simulated provider would sign them, and as somebody without its key might."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from simulators.epay.protocol import sign
from tests.house import House


def fields(house: House, placed: dict[str, Any], **changed: str) -> dict[str, str]:
    """What a genuine notice for this order says, unsigned."""
    said = {
        "pid": house.merchant[0],
        "trade_no": f"T{placed['payment']['payment_id'][:12]}",
        "out_trade_no": placed["payment"]["payment_id"],
        "type": "alipay",
        "name": "card",
        "money": f"{placed['amount']['minor'] / 100:.2f}",
        "trade_status": "TRADE_SUCCESS",
    }
    return {**said, **changed}


def signed(said: dict[str, str], key: str) -> dict[str, str]:
    return {**said, "sign": sign(said, key), "sign_type": "MD5"}


Said = dict[str, str] | list[tuple[str, str]]


def send(house: House, said: Said, *, channel: str = "epay") -> httpx.Response:
    return house.api.get(f"/webhooks/{channel}", params=httpx.QueryParams(pairs(said)))


def pairs(said: Said) -> list[tuple[str, str | int | float | bool | None]]:
    return list(said.items() if isinstance(said, dict) else said)


def storm(house: House, said: dict[str, str], times: int) -> list[httpx.Response]:
    """The same notice, so many times at once."""
    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(lambda _: send(house, said), range(times)))


def incidents(house: House, placed: dict[str, Any]) -> list[str]:
    found = house.aws("dynamodb").query(
        TableName=house.outputs["TimelineTable"],
        KeyConditionExpression="trade_id = :trade AND begins_with(entry, :incident)",
        ExpressionAttributeValues={":trade": {"S": placed["trade_id"]}, ":incident": {"S": "INCIDENT#"}},
        ConsistentRead=True,
    )
    return [item["what"]["S"] for item in found["Items"]]


def alarmed(house: House, metric: str, trade_id: str, since: float) -> bool:
    """Whether confirm_payment raised this metric (EMF, at the end of the call) in a call that handled this trade and
    began after `since` (`time.time()`)."""
    found = house.aws("logs").get_paginator("filter_log_events")
    pages = found.paginate(logGroupName=f"/{house.stack}/confirm_payment", startTime=int(since * 1000))
    streams: dict[str, list[str]] = defaultdict(list)
    for event in (event for page in pages for event in page["events"]):
        streams[event["logStreamName"]] += event["message"].splitlines()
    calls = [call for lines in streams.values() for call in "\n".join(lines).split("START RequestId")]
    return any(trade_id in call and f'"{metric}":[1' in call for call in calls)
