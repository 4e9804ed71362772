"""What AWS does around the functions: it starts them, hands them their events and runs the machine, in due time."""

from __future__ import annotations

import base64
import copy
import heapq
import importlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aws_lambda_powertools.utilities.typing import LambdaContext
from cardshop.adapters import settings
from cardshop.adapters.aws import client
from cardshop.api import holders, operators

from faults import template
from faults.calls import Invocation, Stopped, Wire, images
from faults.clock import HOUR, MINUTE, SKEW, clock
from faults.line import Line
from faults.machine import Machine
from faults.plan import Plan
from faults.sources import LiveQueue, Reader, Record
from tests.adapters.cloud import cloud, kms_key, secret, table_name
from tests.functions.samples import sample

#: Runs of `reconcile` that look at an execution that ended badly, of the sixty that would.
_LOOKS_AT_STOPPED = 3
_MOST_RUNS = 400  # of `reconcile` in one run of a flow: a shop that is never at rest is none


@dataclass(frozen=True)
class Outcome:
    """What a function answered, or what Lambda calls the error."""

    value: Any = None
    error: str | None = None


@dataclass(frozen=True)
class Answer:
    status: int
    text: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.text))


def _way_in(event: Any) -> str:
    if "resource" in event:
        return f"{event['httpMethod']} {event['resource']}"
    if "Records" in event:
        return str(event["Records"][0]["eventSourceARN"].partition("/stream/")[0].rpartition(":")[2])
    return str(event.get("requestContext", {}).get("eventType", ""))


class _Context(LambdaContext):
    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._function_name = invocation.function
        self._memory_limit_in_mb = 512
        self._invoked_function_arn = f"arn:aws:lambda:us-east-1:123456789012:function:{invocation.function}"
        self._aws_request_id = "8f2d6a1e-3b4c-4d5e-9f60-718293a4b5c6"

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]
        return max(0, self._invocation.deadline - clock.now)


class Platform:
    def __init__(self, plan: Plan, code: Path, parameters: Mapping[str, Any]) -> None:
        self.plan = plan
        self.invocation: Invocation | None = None
        self._events: list[tuple[int, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._warm: set[str] = set()
        self._runs = 0
        self._last_run = 0
        self.complaints: list[str] = []
        self._looked: dict[str, int] = {}
        self._off: dict[str, int] = {}  # function → seconds its workers' clock is off
        self._told_the_time: set[tuple[str, str]] = set()
        self._stack = ExitStack()
        self._stack.enter_context(cloud())
        self.functions = template.functions()
        keys = {"SealingKey": kms_key(), "SettingsKey": "alias/settings"}
        self.values = template.Values(dict(parameters), keys)
        for name in ("OrderTokenKey", "OperatorTokenKey", "TradeIdSecret", "CardIdSecret"):
            secret(name, f"{name} of this shop".ljust(64, "!"))
        urls = json.dumps({"api": template.PUBLIC_URL, "pages": template.PUBLIC_URL.removesuffix("/api")})
        client("ssm").put_parameter(Name="/cardshop/public-urls", Value=urls, Type="String")
        sources = [source for function in self.functions.values() for source in function.sources]
        reads = {source.queue: source for source in sources if source.queue}
        self.queues = {
            logical: LiveQueue(self, queue, reads.get(logical)) for logical, queue in template.queues().items()
        }
        self._readers: dict[str, list[Reader]] = {}
        for source in sources:
            if source.stream:
                self._readers.setdefault(table_name(source.stream), []).append(Reader(self, source))
        self.line = Line(self)
        self.machine = Machine(self, code / "statemachines" / "trade.asl.json")
        self.wire = Wire(self)

    # ---- time

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        heapq.heappush(self._events, (clock.now + round(seconds * 1000), next(self._order), act))

    def wait(self, seconds: float) -> None:
        """Whatever is to happen within that time happens."""
        end = clock.now + round(seconds * 1000)
        while True:
            due = self._next_run()
            first = self._events[0][0] if self._events else end + 1
            if min(due, first) > end:
                break
            if due < first:
                clock.now = max(clock.now, due)
                self._reconcile()
            else:
                when, _, act = heapq.heappop(self._events)
                clock.now = max(clock.now, when)
                act()
        clock.now = max(clock.now, end)

    def _next_run(self) -> int:
        """The next full minute at which `reconcile` would find something to do; its runs in between find nothing."""
        if self.invocation is not None:
            return sys.maxsize
        wanted = [int(each["due_at"]["N"]) for each in images(table_name("OrdersTable")) if "due_at" in each]
        for each in self.machine.executions.values():
            ended_badly = each.status in {"FAILED", "ABORTED"}
            if ended_badly and self._looked.get(each.name, 0) < _LOOKS_AT_STOPPED:
                wanted.append(clock.now)
        if not wanted:
            return sys.maxsize
        minute = MINUTE * 1000
        return max(-(-min(wanted) // minute) * minute, self._last_run + minute)

    def _reconcile(self) -> None:
        self._last_run = clock.now // (MINUTE * 1000) * MINUTE * 1000
        self._runs += 1
        if self._runs > _MOST_RUNS:
            raise AssertionError("the shop does not come to rest")
        wrong = self.plan.at("every minute -> reconcile", "twice", "skipped")
        if wrong == "skipped":
            return
        for each in self.machine.executions.values():
            if each.status in {"FAILED", "ABORTED"}:
                self._looked[each.name] = self._looked.get(each.name, 0) + 1
        self.invoke("reconcile", {})
        if wrong == "twice":
            self.invoke("reconcile", {})

    # ---- functions

    def named(self, function: str) -> str:
        """By its logical id."""
        return next(each.name for each in self.functions.values() if each.logical == function)

    def invoke(self, function: str, event: Any) -> Outcome:
        assert self.invocation is None, "one at a time"
        self._set_clock(function, event)
        handler = self._worker(function)
        limit = self.functions[function].limit * 1000
        invocation = self.invocation = Invocation(function, event, clock.now + limit)
        clock.off = self._off.get(function, 0)
        try:
            with self._environment(function):
                value = handler(copy.deepcopy(event), _Context(invocation))
            if invocation.stopped is None:
                self.plan.tell(f"{function} answers {str(value)[:110]}")
                return Outcome(json.loads(json.dumps(value)))
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001  whatever it is, Lambda reports its class
            self.plan.tell(f"{function} raises {error!r}")
            return Outcome(error=type(error).__name__)
        finally:
            self.invocation, clock.off = None, 0
        self._warm.discard(function)
        self.plan.tell(f"{function} is stopped: {invocation.stopped}")
        return Outcome(error=invocation.stopped)

    def _set_clock(self, function: str, event: Any) -> None:
        """Its workers' clock, from the first time on that it is called in this way: by a door, a stream, a queue."""
        way = function, _way_in(event)
        if not self.plan.listens or way in self._told_the_time:
            return
        self._told_the_time.add(way)
        match self.plan.at(f"{' '.join(way)}: its clock", "ahead", "behind"):
            case "ahead":
                self._off[function] = SKEW
            case "behind":
                self._off[function] = -SKEW

    def set_clocks(self) -> None:
        """Right again: a function whose clock is off hears nothing of what is said in notices alone."""
        self._off.clear()

    def meanwhile(self, invocation: Invocation, seconds: float, *, twin: bool) -> None:
        """The function stands still; others go on, in workers of their own. `twin`: it was started twice."""
        name = f"functions.{invocation.function}"
        module, environment = sys.modules.pop(name), dict(os.environ)
        self._warm.discard(invocation.function)
        self.invocation, off, clock.off = None, clock.off, 0
        if twin:
            self.invoke(invocation.function, invocation.event)
        self.wait(seconds)
        self.invocation, clock.off = invocation, off
        sys.modules[name] = module
        self._warm.add(invocation.function)
        os.environ.clear()
        os.environ.update(environment)

    def _worker(self, function: str) -> Callable[[Any, LambdaContext], Any]:
        """A new one, if the last has ended: it knows nothing that was read before."""
        if function not in self._warm:
            sys.modules.pop(f"functions.{function}", None)
            of_settings = settings.ssm, settings._urls, settings._secrets_manager
            for forgotten in (holders.keys, operators._keys, *of_settings):
                forgotten.cache_clear()
            self._warm.add(function)
        handler: Callable[[Any, LambdaContext], Any] = importlib.import_module(f"functions.{function}").handler
        return handler

    @contextmanager
    def _environment(self, function: str) -> Iterator[None]:
        given = {name: self.values.of(value) for name, value in self.functions[function].variables.items()}
        os.environ.update(given)
        try:
            yield
        finally:
            for name in given:
                del os.environ[name]

    # ---- the gateway

    def call(self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """What the gateway answers; 502 for a function that fell, 504 for an answer that was lost on the way."""
        parts = urlsplit(url)
        path = parts.path.removeprefix("/api")
        function, event = self._gateway_event(method, path, parse_qsl(parts.query, keep_blank_values=True))
        event["headers"].update(headers or {})
        event["multiValueHeaders"] = {name: [value] for name, value in event["headers"].items()}
        event["body"] = base64.b64encode(body).decode() if body else None
        wrong = self.plan.at(f"{method} {path} -> {function}", "twice", "unheard")
        outcome = self.invoke(function, event)
        if wrong == "twice":
            outcome = self.invoke(function, event)
        if outcome.error is not None:
            return Answer(502, "{}")
        if wrong == "unheard":
            return Answer(504, "{}")
        return Answer(outcome.value["statusCode"], outcome.value["body"])

    def _gateway_event(self, method: str, path: str, query: list[tuple[str, str]]) -> tuple[str, dict[str, Any]]:
        given = path.strip("/").split("/")
        for function in self.functions.values():
            for verb, resource in function.doors:
                named = resource.strip("/").split("/")
                if verb != method or len(named) != len(given):
                    continue
                pairs = list(zip(named, given, strict=True))
                if all(name == value or name.startswith("{") for name, value in pairs):
                    event = sample("place_order/one_card")
                    parameters = {name.strip("{}"): value for name, value in pairs if name.startswith("{")}
                    several: dict[str, list[str]] = {}
                    for name, value in query:
                        several.setdefault(name, []).append(value)
                    event["headers"] = {"Host": "shop.example"}
                    return function.name, {
                        **event,
                        "resource": resource,
                        "path": path,
                        "httpMethod": method,
                        "pathParameters": parameters or None,
                        "queryStringParameters": dict(query) or None,
                        "multiValueQueryStringParameters": several or None,
                        "isBase64Encoded": True,
                    }
        raise AssertionError(f"no door for {method} {path}")

    # ---- tables, queues, machine

    def changed(self, table: str, key: dict[str, Any], old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        for reader in self._readers.get(table, ()):
            reader.add(Record(name, key, old, new, clock.now))

    def update_item(self, params: dict[str, Any]) -> None:
        """The machine's own write."""
        client("dynamodb").update_item(**params)

    def answer(self, service: str, operation: str, params: dict[str, Any]) -> Any:
        if service == "stepfunctions":
            return self.machine.answer(operation, params)
        if service == "apigatewaymanagementapi":
            return self.line.answer(operation, params)
        queue = self.queues[params["QueueUrl"].rpartition("/")[2]]
        match operation:
            case "SendMessage":
                return {"MessageId": queue.send(params["MessageBody"], params.get("MessageAttributes", {}))}
            case "ChangeMessageVisibility":
                queue.hide(params["ReceiptHandle"], params["VisibilityTimeout"])
                return {}
        raise NotImplementedError(f"SQS: {operation}")

    def rest(self, hours: float) -> None:
        self.wait(hours * HOUR)
