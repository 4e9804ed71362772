"""The WebSocket gateway's way back to its clients (`@connections`)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cardshop.adapters.aws import code_of, session
from cardshop.domain.errors import Unavailable
from cardshop.ports import ConnectionGone


class GatewayLine:
    """`ports.Line`, shared by so many threads.

    The gateway takes a message at once or not at all: one that hangs is given up on, and not tried again blindly.
    """

    def __init__(self, url: str, threads: int) -> None:
        config = Config(
            connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1}, max_pool_connections=threads
        )
        self._gateway: Any = session().create_client("apigatewaymanagementapi", endpoint_url=url, config=config)

    def send(self, connection_id: str, message: str) -> None:
        try:
            self._gateway.post_to_connection(ConnectionId=connection_id, Data=message.encode())
        except (ClientError, BotoCoreError) as error:
            raise _told(error) from error

    def close(self, connection_id: str) -> None:
        try:
            self._gateway.delete_connection(ConnectionId=connection_id)
        except (ClientError, BotoCoreError) as error:
            raise _told(error) from error


def _told(error: ClientError | BotoCoreError) -> Exception:
    if isinstance(error, ClientError) and code_of(error) == "GoneException":
        said = error.response["ResponseMetadata"]["HTTPHeaders"].get("date")
        return ConnectionGone(int(parsedate_to_datetime(said).timestamp() * 1000) if said else 0)
    return Unavailable("the gateway did not take it")
