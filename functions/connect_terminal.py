"""WebSocket $connect and $disconnect: a terminal comes with its ticket, and leaves."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from cardshop.adapters.clock import clock
from cardshop.adapters.connections import DynamoConnections
from cardshop.adapters.log import logger
from cardshop.domain.errors import ShopError
from cardshop.usecases.connect_terminal import ConnectTerminal
from cardshop.usecases.issue_ticket import Caps


@cache
def _connect() -> ConnectTerminal:
    caps = Caps(int(os.environ["CONNECTIONS_PER_ORDER"]), int(os.environ["CONNECTIONS_PER_ADDRESS"]))
    return ConnectTerminal(DynamoConnections(), caps, clock)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    about = event["requestContext"]
    try:
        if about["eventType"] == "CONNECT":
            ticket = (event.get("queryStringParameters") or {}).get("ticket", "")
            opened = _connect()(ticket, about["connectionId"], about["connectedAt"])
            logger.info("connected", extra={"feed": opened.feed})
        elif about["eventType"] == "DISCONNECT":
            _connect().leave(about["connectionId"])
            logger.info("disconnected")
    except ShopError as error:
        logger.info("refused", extra={"code": error.code}, exc_info=error.status >= 500)
        return {"statusCode": error.status, "body": json.dumps({"code": error.code, "detail": error.detail})}
    return {"statusCode": 200}
