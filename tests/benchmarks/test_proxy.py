"""The counting proxy before a server that says what it was asked."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from benchmarks.capacity import Used
from benchmarks.proxy import Call, Proxy

FUNCTION = (
    "AWS4-HMAC-SHA256 Credential=ASIAFUNCTION/20261124/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"
)


class Engine(ThreadingHTTPServer):
    """Answers what it is told to and remembers what came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, Any]]] = []

    @property
    def asked(self) -> list[Any]:
        return [json.loads(body) for _, body in self.came]


class _Handler(BaseHTTPRequestHandler):
    server: Engine

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
        status, answer = self.server.answers.pop(0)
        sent = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    server = Engine()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy(engine: Engine) -> Iterator[Proxy]:
    proxy = Proxy(f"http://127.0.0.1:{engine.server_port}")
    yield proxy
    proxy.close()


@pytest.fixture
def function(proxy: Proxy) -> Iterator[http.client.HTTPConnection]:
    """One connection of place_order's."""
    connection = http.client.HTTPConnection(urlsplit(proxy.door("place_order")).netloc, timeout=10)
    yield connection
    connection.close()


def call(connection: http.client.HTTPConnection, service: str, target: str, body: dict[str, Any] | str) -> Any:
    headers = {"Authorization": FUNCTION.format(service), **({"X-Amz-Target": target} if target else {})}
    connection.request("POST", "/", body if isinstance(body, str) else json.dumps(body), headers)
    return json.loads(connection.getresponse().read())


def test_a_write_is_asked_what_it_consumes_and_its_units_are_kept(
    engine: Engine, proxy: Proxy, function: http.client.HTTPConnection
) -> None:
    consumed = {
        "TableName": "orders",
        "CapacityUnits": 4.0,
        "GlobalSecondaryIndexes": {"due": {"CapacityUnits": 2.0}},
    }
    engine.answers = [(200, {"ConsumedCapacity": consumed})]
    put = {"TableName": "orders", "Item": {"id": {"S": "1"}}}
    assert call(function, "dynamodb", "DynamoDB_20120810.PutItem", put) == {"ConsumedCapacity": consumed}
    assert engine.asked == [{**put, "ReturnConsumedCapacity": "INDEXES"}]
    used = [Used("orders", "due", writes=2.0), Used("orders", writes=2.0)]
    assert proxy.calls == [Call("place_order", "dynamodb", "PutItem", 200, "", used)]


def test_what_was_changed_is_signed_anew(engine: Engine, function: http.client.HTTPConnection) -> None:
    engine.answers = [(200, {})]
    call(function, "dynamodb", "DynamoDB_20120810.PutItem", {"TableName": "orders", "Item": {}})
    ((headers, _),) = engine.came
    assert "Credential=test/" in headers["authorization"]
    assert "ASIAFUNCTION" not in str(headers)


def test_everything_else_passes_as_it_came(engine: Engine, proxy: Proxy, function: http.client.HTTPConnection) -> None:
    engine.answers = [(200, {"MessageId": "1"}), (200, {})]
    body = '{ "QueueUrl": "notices",  "MessageBody": "x" }'
    assert call(function, "sqs", "AmazonSQS.SendMessage", body) == {"MessageId": "1"}
    call(function, "sts", "", "Action=GetCallerIdentity&Version=2011-06-15")
    (headers, came), _ = engine.came
    assert came == body.encode()
    assert headers["authorization"] == FUNCTION.format("sqs")
    assert headers["host"] == f"{function.host}:{function.port}", "it is signed"
    assert [each.kind for each in proxy.calls] == ["sqs:SendMessage", "sts:GetCallerIdentity"]


def test_a_read_is_counted_by_the_size_of_what_it_read(
    engine: Engine, proxy: Proxy, function: http.client.HTTPConnection
) -> None:
    item = {"id": {"S": "x" * 5000}}
    engine.answers = [(200, {"Item": item, "ConsumedCapacity": {"TableName": "orders", "CapacityUnits": 1.0}})]
    call(function, "dynamodb", "DynamoDB_20120810.GetItem", {"TableName": "orders", "ConsistentRead": True})
    assert proxy.calls[0].used == [Used("orders", reads=2.0)]


def test_a_count_is_counted_by_the_items_that_it_does_not_show(
    engine: Engine, proxy: Proxy, function: http.client.HTTPConnection
) -> None:
    items = [{"place": {"S": "x" * 1000}}] * 10
    engine.answers = [(200, {"Count": 10}), (200, {"Count": 10, "Items": items})]
    query = {"TableName": "stock", "Select": "COUNT", "ConsistentRead": True}
    assert call(function, "dynamodb", "DynamoDB_20120810.Query", query) == {"Count": 10}
    assert "Select" not in engine.asked[1]
    assert [each.used for each in proxy.calls] == [[Used("stock", reads=3.0)]], "the look of its own is nobody's call"


@pytest.mark.parametrize(
    ("operation", "wanted", "refusal"),
    [
        ("UpdateItem", {"TableName": "orders"}, ("ConditionalCheckFailedException", [Used("orders", writes=1)])),
        (
            "TransactWriteItems",
            {"TransactItems": [{"Delete": {"TableName": "stock"}}, {"Put": {"TableName": "orders"}}]},
            ("TransactionCanceledException", [Used("stock", writes=2), Used("orders", writes=2)]),
        ),
        ("PutItem", {"TableName": "orders"}, ("ProvisionedThroughputExceededException", [])),
    ],
)
def test_a_refused_write_costs_what_it_would_have(
    operation: str, wanted: dict[str, Any], refusal: tuple[str, list[Used]], engine: Engine, proxy: Proxy
) -> None:
    error, used = refusal
    engine.answers = [(400, {"__type": f"com.amazonaws.dynamodb.v20120810#{error}"})]
    headers = {"Authorization": FUNCTION.format("dynamodb"), "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
    proxy.relay("place_order", "POST", "/", headers, json.dumps(wanted).encode())
    assert proxy.calls == [Call("place_order", "dynamodb", operation, 400, error, used)]


def test_each_caller_has_a_door_of_its_own(engine: Engine, proxy: Proxy, function: http.client.HTTPConnection) -> None:
    engine.answers = [(200, {}), (200, {})]
    other = http.client.HTTPConnection(urlsplit(proxy.door("view_order")).netloc, timeout=10)
    for connection in (function, other):
        call(connection, "kms", "TrentService.Decrypt", {})
    other.close()
    assert [(each.caller, each.kind) for each in proxy.calls] == [
        ("place_order", "kms:Decrypt"),
        ("view_order", "kms:Decrypt"),
    ]


def test_an_engine_that_is_gone_is_told_as_such(proxy: Proxy, engine: Engine) -> None:
    engine.shutdown()
    engine.server_close()
    connection = http.client.HTTPConnection(urlsplit(proxy.door("place_order")).netloc, timeout=10)
    connection.request("POST", "/", "{}", {"X-Amz-Target": "TrentService.Decrypt"})
    assert connection.getresponse().status == 502
    connection.close()
