"""The WebSocket gateway: connections, what is sent to them, and how they end. Terminals here never send."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from cardshop.domain.connection import CONNECTION_MS
from cardshop.usecases import push_changes

from faults.calls import refusal
from faults.clock import clock
from tests.functions.samples import sample

if TYPE_CHECKING:
    from faults.platform import Platform

_HANDSHAKE = 0.3  # seconds after `$connect` until it is open


@dataclass
class Connection:
    name: str
    ends: int  # milliseconds
    heard: list[dict[str, Any]] = field(default_factory=list)
    is_open: bool = False


class _OneAfterAnother:
    """In place of a pool of threads: what is submitted is done at once. A process that is stopped is stopped."""

    def __init__(self, _: int) -> None:
        pass

    def __enter__(self) -> _OneAfterAnother:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, act: Callable[..., Any], *arguments: Any) -> _Outcome:
        try:
            return _Outcome(act(*arguments))
        except Exception as error:  # noqa: BLE001  kept, as a future keeps it
            return _Outcome(error=error)


@dataclass
class _Outcome:
    value: Any = None
    error: Exception | None = None

    def result(self) -> Any:
        return self.value

    def exception(self) -> Exception | None:
        return self.error


class Line:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.connections: dict[str, Connection] = {}
        vars(push_changes).update(ThreadPoolExecutor=_OneAfterAnother)

    def connect(self, ticket: str) -> Connection | None:
        """None for one that is refused. `$connect` is called once: whoever hears nothing comes again."""
        name = f"connection-{len(self.connections) + 1}"
        connection = self.connections[name] = Connection(name, clock.now + CONNECTION_MS)
        event = {**_event("connect", name), "queryStringParameters": {"ticket": ticket}}
        outcome = self._platform.invoke("connect_terminal", event)
        if outcome.error is not None or outcome.value["statusCode"] != 200:
            return None
        self._platform.wait(_HANDSHAKE)
        connection.is_open = True
        self._platform.at(CONNECTION_MS / 1000, lambda: self.leave(connection))
        return connection

    def leave(self, connection: Connection) -> None:
        """AWS tells of it as well as it can."""
        if not connection.is_open:
            return
        connection.is_open = False
        wrong = self._platform.plan.at("$disconnect -> connect_terminal", "twice", "skipped")
        for _ in range({"twice": 2, "skipped": 0}.get(wrong or "", 1)):
            self._platform.invoke("connect_terminal", _event("disconnect", connection.name))

    def answer(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        connection = self.connections.get(params["ConnectionId"])
        if connection is None or not connection.is_open:
            raise refusal("GoneException", operation, 410, headers={"date": formatdate(clock.seconds, usegmt=True)})
        if operation == "DeleteConnection":
            self._platform.at(0, lambda: self.leave(connection))
        else:
            connection.heard.append(json.loads(params["Data"]))
        return {}


def _event(name: str, connection: str) -> dict[str, Any]:
    event = sample(f"connect_terminal/{name}")
    about = {"connectionId": connection, "connectedAt": clock.now}
    return {**event, "requestContext": {**event["requestContext"], **about}}
