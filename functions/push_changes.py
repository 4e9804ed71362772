"""Orders stream → every terminal that listens to the order, and operators' boards: one message a change."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import cache

from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from cardshop.adapters.connections import DynamoConnections
from cardshop.adapters.gateway import GatewayLine
from cardshop.adapters.log import logger
from cardshop.adapters.orders import order_of
from cardshop.adapters.stream import StreamConsumer, Work, changed_image
from cardshop.api.orders import pushed
from cardshop.usecases.push_changes import AT_ONCE, News, PushChanges


@cache
def _push() -> PushChanges:
    return PushChanges(DynamoConnections(), GatewayLine(os.environ["PUSH_URL"], AT_ONCE))


def read(record: DynamoDBRecord) -> Work | None:
    image = changed_image(record)
    return None if image is None else pushed(order_of(image))


def in_one(messages: Iterable[Work]) -> list[Work]:
    """All that one batch of records tells: who listens to the shop is read once for it."""
    found = list(messages)
    return [{"messages": found}] if found else []


def push(work: Work) -> None:
    news = [News(each["trade_id"], json.dumps(each, ensure_ascii=False)) for each in work["messages"]]
    if told := _push()(news):
        logger.info("pushed", extra={"trade_ids": sorted({each.trade_id for each in news}), "told": told})


handler = StreamConsumer(read, push, in_one)
