"""What each function is for, as flows that need its rights: Given (made ready with every right) — `yield` — When, Then.

A flow is asserted to its effect, so that a right without which no flow of its function fails is a right too many.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from cardshop.adapters.queue import dumps
from cardshop.domain.payment import Notice
from cardshop.ports import QueuedNotice
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from simulators import bepusdt
from tests.e2e.notices import fields, send, signed
from tests.house import ok, wait_until
from tests.iam.shop import GATEWAY_TOKEN, Shop, event_file

Flow = Callable[[Shop], Generator[None]]

#: By function's logical id, in the order in which they are tried.
FLOWS: dict[str, list[Flow]] = defaultdict(list)

_SAMPLE_TRADE = "m5qk7c2xj3zv6n4wtyb2hdgl5e"
_SAMPLE_POOL = "steam-50#Qm9p2sVtX7yLr4kEw0dZ3A#0"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PATIENCE = 20.0  # seconds that queues and streams get here


def flow(function: str) -> Callable[[Flow], Flow]:
    def kept(given: Flow) -> Flow:
        FLOWS[f"{function}Function"].append(given)
        return given

    return kept


def _trade_id() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(26))


def _note() -> dict[str, str]:
    return {"note": "seen there", "provider_ref": f"REF-{uuid.uuid4().hex}"}


def _put(shop: Shop, path: str, body: dict[str, Any]) -> dict[str, Any]:
    return ok(shop.api.put(path, headers=shop.operator, json=body))


def _post(shop: Shop, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {**shop.operator, "Idempotency-Key": str(uuid.uuid4())}
    return ok(shop.api.post(path, headers=headers, json=body))


def _get(shop: Shop, path: str) -> dict[str, Any]:
    return ok(shop.api.get(path, headers=shop.operator))


def _is(shop: Shop, placed: dict[str, Any], *statuses: str) -> None:
    assert shop.status(placed) in statuses


# ---- buyers ----


@flow("BrowseProducts")
def a_visitor_reads_the_catalogue(shop: Shop) -> Generator[None]:
    sku = shop.sku
    yield
    assert sku in [each["sku"] for each in ok(shop.api.get("/products"))["products"]]
    assert ok(shop.api.get(f"/products/{sku}"))["sku"] == sku


@flow("BrowseProducts")
def a_visitor_sees_how_to_pay(shop: Shop) -> Generator[None]:
    yield
    assert "epay" in [each["channel"] for each in ok(shop.api.get("/channels"))["channels"]]


@flow("PlaceOrder")
def a_buyer_who_tells_everything_orders(shop: Shop) -> Generator[None]:
    sku, key = shop.sku, str(uuid.uuid4())
    known: dict[str, Any] = {
        "device_id": secrets.token_hex(8),
        "contact": {"email": f"{secrets.token_hex(4)}@example.com"},
    }
    yield
    placed = ok(shop.order(sku, key=key, **known))
    assert "redirect_url" in placed["payment"]
    assert ok(shop.order(sku, key=key, **known))["trade_id"] == placed["trade_id"]


@flow("PlaceOrder")
def a_request_whose_answer_was_lost_is_sent_again(shop: Shop) -> Generator[None]:
    key = str(uuid.uuid4())
    first = ok(shop.order(shop.sku, key=key))
    yield
    assert ok(shop.order(shop.sku, key=key))["trade_id"] == first["trade_id"]


@flow("PlaceOrder")
def a_provider_numbers_the_payment(shop: Shop) -> Generator[None]:
    sku = shop.sku
    yield
    placed = ok(shop.order(sku, channel="coins"))
    (payment,) = shop.stored(placed["trade_id"])["payments"]["L"]
    assert "session" in payment["M"]


@flow("ViewOrder")
def a_holder_reads_the_story(shop: Shop) -> Generator[None]:
    placed = shop.delivered()
    yield
    assert shop.view(placed)["timeline"][0]["what"] == "pending_payment"


@flow("PayOrder")
def a_buyer_pays_another_way(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    yield
    assert "redirect_url" in ok(shop.act(placed, "payments", {"channel": "epay-wx"}))["payment"]


@flow("CancelOrder")
def a_buyer_cancels_and_the_token_is_stale(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    yield
    assert ok(shop.act(placed, "cancel"))["status"] == "payment_failed"


@flow("ConfirmReceipt")
def a_buyer_confirms(shop: Shop) -> Generator[None]:
    placed = shop.delivered()
    yield
    assert ok(shop.act(placed, "confirm"))["status"] == "completed"


@flow("LookupOrder")
def a_buyer_looks_an_order_up(shop: Shop) -> Generator[None]:
    placed = shop.placed(shop.sku, query_password="secret words")
    yield
    said = {"trade_id": placed["trade_id"], "query_password": "secret words"}
    found = ok(shop.api.post("/orders/lookup", json=said))
    assert found["trade_id"] == placed["trade_id"]
    assert shop.view(found)["status"] == "pending_payment"


@flow("HandOffOrder")
def a_buyer_goes_on_on_another_terminal(shop: Shop) -> Generator[None]:
    placed = shop.placed(shop.sku)
    yield
    code = ok(shop.act(placed, "handoffs"))["code"]
    assert shop.view(ok(shop.api.post("/handoffs", json={"code": code, "terminal": "mobile"})))["terminal"] == "pc"
    used = shop.api.post("/handoffs", json={"code": code, "terminal": "mobile"})
    assert used.status_code in (404, 429)


@flow("RevealCards")
def a_holder_reads_the_codes(shop: Shop) -> Generator[None]:
    placed = shop.delivered()
    yield
    (code,) = shop.cards(placed)
    assert code.startswith("CODE-")


# ---- notices ----


@flow("ReceiveNotice")
def a_provider_tells(shop: Shop) -> Generator[None]:
    placed = shop.placed(shop.sku)
    yield
    answer = send(shop, signed(fields(shop, placed), shop.merchant[1]))
    assert (answer.status_code, answer.text) == (200, "success")


@flow("ConfirmPayment")
def money_comes_and_the_token_is_stale(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    shop.pay(placed, notify=False)
    yield
    assert shop.call("ConfirmPaymentFunction", shop.noticed(placed)) == {"batchItemFailures": []}
    _is(shop, placed, "paid", "delivered")


@flow("ConfirmPayment")
def money_comes_for_an_order_that_was_cancelled(shop: Shop) -> Generator[None]:
    """Its cards go back, and others are claimed."""
    placed = shop.waiting()
    shop.pay(placed, notify=False)
    shop.become(placed, "payment_failed")
    yield
    assert shop.call("ConfirmPaymentFunction", shop.noticed(placed)) == {"batchItemFailures": []}
    _is(shop, placed, "paid", "delivered")


@flow("ConfirmPayment")
def a_notice_names_less_money_than_came(shop: Shop) -> Generator[None]:
    placed = shop.placed(shop.sku)
    shop.pay(placed, notify=False)
    yield
    shop.call("ConfirmPaymentFunction", shop.noticed(placed, money="0.01"))
    found = shop.db.query(
        TableName=shop.outputs["TimelineTable"],
        KeyConditionExpression="trade_id = :trade AND begins_with(entry, :incident)",
        ExpressionAttributeValues={":trade": {"S": placed["trade_id"]}, ":incident": {"S": "INCIDENT#"}},
    )
    assert found["Items"]


@flow("ConfirmPayment")
def a_payment_fails_for_good(shop: Shop) -> Generator[None]:
    placed = shop.waiting(channel="coins")
    gateway, _, _ = placed["payment"]["redirect_url"].partition("/pay/")
    number = placed["payment"]["payment_id"]
    httpx.post(f"{gateway}/_control/payments/{number}", json={"status": "failed"}).raise_for_status()
    said: dict[str, Any] = {
        "trade_id": shop.stored(placed["trade_id"])["payments"]["L"][0]["M"]["session"]["S"],
        "order_id": number,
        "amount": 9.9,
        "actual_amount": "1.39",
        "token": bepusdt.WALLET,
        "block_transaction_id": "none",
        "status": 6,
    }
    said["signature"] = bepusdt.sign({**said, "amount": Decimal("9.9")}, GATEWAY_TOKEN)
    notice = Notice("POST", (), {"content-type": "application/json"}, json.dumps(said).encode())
    event = shop.message(QueuedNotice("coins", notice, int(time.time() * 1000)))
    yield
    assert shop.call("ConfirmPaymentFunction", event) == {"batchItemFailures": []}
    _is(shop, placed, "payment_failed", "closed")


@flow("ConfirmPayment")
def a_message_that_cannot_be_settled_yet_comes_again_at_once(shop: Shop) -> Generator[None]:
    nobody = {"payment": {"payment_id": f"{_trade_id()}01"}, "amount": {"minor": 990}}
    event = shop.noticed(nobody)
    yield
    with _held_back(shop, "NoticesQueue", event["Records"][0]["body"]) as message:
        event["Records"][0]["receiptHandle"] = message["ReceiptHandle"]
        shop.call("ConfirmPaymentFunction", event)
        again = shop.aws("sqs").receive_message(QueueUrl=shop.outputs["NoticesQueue"], WaitTimeSeconds=1)
        assert again.get("Messages"), "it is shown again only after the queue's own time-out"


@contextmanager
def _held_back(shop: Shop, queue: str, body: str) -> Iterator[dict[str, Any]]:
    """A message received here, while the queue's function receives none; the queue is empty afterwards."""
    sqs, functions, url = shop.aws("sqs"), shop.aws("lambda"), shop.outputs[queue]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    (mapping,) = functions.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        sqs.purge_queue(QueueUrl=url)
        attributes = {"trade_id": {"DataType": "String", "StringValue": "-"}}
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
        (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
        yield message
    finally:
        sqs.purge_queue(QueueUrl=url)
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


@flow("ConfirmPayment")
def by_its_queue(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    shop.pay(placed, notify=False)
    notice = Notice("GET", tuple(signed(fields(shop, placed), shop.merchant[1]).items()), {}, b"")
    yield
    shop.aws("sqs").send_message(
        QueueUrl=shop.outputs["NoticesQueue"],
        MessageBody=dumps(QueuedNotice("epay", notice, int(time.time() * 1000))),
        MessageAttributes={"trade_id": {"DataType": "String", "StringValue": placed["trade_id"]}},
    )
    wait_until(lambda: shop.status(placed) in {"paid", "delivered"}, lambda: shop.status(placed), _PATIENCE)


# ---- streams ----


def _execution(shop: Shop, name: str) -> bool:
    pages = shop.aws("stepfunctions").get_paginator("list_executions")
    found = pages.paginate(stateMachineArn=shop.outputs["StateMachineArn"])
    return any(each["name"] == name for page in found for each in page["executions"])


@flow("StartTrade")
def a_new_order_starts_its_execution(shop: Shop) -> Generator[None]:
    trade_id = _trade_id()
    yield
    assert shop.call("StartTradeFunction", event_file("start_trade/placed", **{_SAMPLE_TRADE: trade_id})) == {}
    assert _execution(shop, trade_id)


def _aside(shop: Shop, function: str, event: dict[str, Any]) -> None:
    """Work that fails is in the function's own queue afterwards."""
    url = shop.resources[f"{function}Retries"]
    shop.aws("sqs").purge_queue(QueueUrl=url)
    assert shop.call(f"{function}Function", event) == {}
    assert shop.messages(url) == 1


@flow("StartTrade")
def what_cannot_be_started_is_put_aside(shop: Shop) -> Generator[None]:
    event = event_file("start_trade/placed")
    event["Records"][0]["dynamodb"]["NewImage"]["trade_id"] = {"BOOL": True}
    yield
    _aside(shop, "StartTrade", event)


@flow("StartTrade")
def by_the_timelines_stream(shop: Shop) -> Generator[None]:
    sku = shop.sku
    yield
    placed = shop.placed(sku)
    wait_until(lambda: _execution(shop, placed["trade_id"]), lambda: "not started", _PATIENCE)


def _entries(shop: Shop, trade_id: str) -> int:
    found = shop.db.query(
        TableName=shop.outputs["TimelineTable"],
        KeyConditionExpression="trade_id = :trade",
        ExpressionAttributeValues={":trade": {"S": trade_id}},
    )
    return len(found["Items"])


@flow("RecordEvents")
def changes_are_written_down(shop: Shop) -> Generator[None]:
    trade_id, sku = _trade_id(), f"sku-{secrets.token_hex(4)}"
    event = event_file("record_events/placed_and_paid", **{_SAMPLE_TRADE: trade_id, "steam-50": sku})
    yield
    assert shop.call("RecordEventsFunction", event) == {}
    assert _entries(shop, trade_id) == 2
    lane = f"{sku}#{_SAMPLE_POOL.split('#')[1]}#{ord(trade_id[-1]) % 8}"
    key = {"lane": {"S": lane}, "trade_id": {"S": trade_id}}
    assert "Item" in shop.db.get_item(TableName=shop.outputs["HoldingsTable"], Key=key)


@flow("RecordEvents")
def what_cannot_be_written_is_put_aside(shop: Shop) -> Generator[None]:
    event = event_file("record_events/placed_and_paid", pending_payment="no-such-state")
    event["Records"] = event["Records"][:1]
    yield
    _aside(shop, "RecordEvents", event)


@flow("RecordEvents")
def by_the_orders_own_stream(shop: Shop) -> Generator[None]:
    sku = shop.sku
    yield
    placed = shop.placed(sku)
    wait_until(lambda: _entries(shop, placed["trade_id"]) == 1, lambda: "nothing is written", _PATIENCE)


def _product(shop: Shop, sku: str) -> dict[str, Any]:
    key = {"kind": {"S": "PRODUCT"}, "name": {"S": sku}}
    found = shop.db.get_item(TableName=shop.outputs["CatalogueTable"], Key=key, ConsistentRead=True)
    return dict(found["Item"])


def _miscounted(shop: Shop, sku: str) -> str:
    """The product lists more cards than there are; answers its batch."""
    (batch,) = _product(shop, sku)["batches"]["M"]
    shop.db.update_item(
        TableName=shop.outputs["CatalogueTable"],
        Key={"kind": {"S": "PRODUCT"}, "name": {"S": sku}},
        UpdateExpression="SET batches.#batch = :counts ADD stock_version :one",
        ExpressionAttributeNames={"#batch": batch},
        ExpressionAttributeValues={":counts": {"L": [{"N": "99"}]}, ":one": {"N": "1"}},
    )
    return str(batch)


def _listed(shop: Shop, sku: str) -> int:
    counts = _product(shop, sku)["batches"]["M"].values()
    return sum(int(each["N"]) for batch in counts for each in batch["L"])


@flow("CountStock")
def a_card_has_moved(shop: Shop) -> Generator[None]:
    sku, _ = shop.product(2)
    pool = f"{sku}#{_miscounted(shop, sku)}#0"
    yield
    assert shop.call("CountStockFunction", event_file("count_stock/sold", **{_SAMPLE_POOL: pool})) == {}
    assert _listed(shop, sku) == 2


@flow("CountStock")
def a_batch_that_was_sold_out_is_listed_again(shop: Shop) -> Generator[None]:
    sku, _ = shop.product(1)
    batch = _miscounted(shop, sku)
    shop.db.update_item(
        TableName=shop.outputs["CatalogueTable"],
        Key={"kind": {"S": "PRODUCT"}, "name": {"S": sku}},
        UpdateExpression="REMOVE batches.#batch",
        ExpressionAttributeNames={"#batch": batch},
    )
    yield
    event = event_file("count_stock/returned", **{_SAMPLE_POOL: f"{sku}#{batch}#0"})
    answer = shop.call("CountStockFunction", event)
    assert answer == {}, answer
    assert _listed(shop, sku) == 1


@flow("CountStock")
def what_cannot_be_counted_is_put_aside(shop: Shop) -> Generator[None]:
    event = event_file("count_stock/sold", **{_SAMPLE_POOL: "no pool"})
    yield
    _aside(shop, "CountStock", event)


@flow("CountStock")
def by_the_stocks_stream(shop: Shop) -> Generator[None]:
    sku, _ = shop.product(2)
    yield
    shop.placed(sku)
    wait_until(lambda: _listed(shop, sku) == 1, lambda: f"{_listed(shop, sku)} are listed", _PATIENCE)


# ---- push ----


def _places(shop: Shop, feed: str) -> list[str]:
    found = shop.db.query(
        TableName=shop.resources["ConnectionsTable"],
        KeyConditionExpression="feed = :feed",
        ExpressionAttributeValues={":feed": {"S": feed}},
        ConsistentRead=True,
    )
    return [item["name"]["S"] for item in found["Items"]]


def _handshake(kind: str, ticket: str = "", connection: str = "") -> dict[str, Any]:
    event = event_file(f"connect_terminal/{kind}")
    event["requestContext"] |= {"connectionId": connection, "connectedAt": int(time.time() * 1000)}
    return {**event, "queryStringParameters": {"ticket": ticket}}


def _connected(shop: Shop, feed: str, *, long_ago: bool = False) -> str:
    """Noted as connected; the gateway knows no such connection."""
    connection, until = secrets.token_hex(8), int(time.time()) + (3600 if long_ago else 7200)
    place = {"feed": {"S": feed}, "name": {"S": f"CONNECTION#{connection}"}, "forgotten_at": {"N": str(until)}}
    shop.db.put_item(TableName=shop.resources["ConnectionsTable"], Item=place)
    return connection


@flow("IssueTicket")
def a_holder_and_an_operator_ask_for_tickets(shop: Shop) -> Generator[None]:
    placed = shop.placed(shop.sku)
    yield
    assert ok(shop.act(placed, "tickets"))["ticket"].startswith(placed["trade_id"])
    assert ok(shop.api.post("/admin/tickets", headers=shop.operator))["ticket"].startswith("shop.")
    assert len(_places(shop, placed["trade_id"])) == 1


@flow("ConnectTerminal")
def a_terminal_comes_and_leaves(shop: Shop) -> Generator[None]:
    placed, connection = shop.placed(shop.sku), secrets.token_hex(8)
    ticket = ok(shop.act(placed, "tickets"))["ticket"]
    yield
    assert shop.call("ConnectTerminalFunction", _handshake("connect", ticket, connection)) == {"statusCode": 200}
    assert _places(shop, placed["trade_id"]) == [f"CONNECTION#{connection}"]
    assert shop.call("ConnectTerminalFunction", _handshake("disconnect", "", connection)) == {"statusCode": 200}
    assert _places(shop, placed["trade_id"]) == []


def _changed(trade_id: str) -> dict[str, Any]:
    return event_file("push_changes/paid", **{_SAMPLE_TRADE: trade_id})


@flow("PushChanges")
def a_terminal_is_told(shop: Shop) -> Generator[None]:
    placed = shop.placed(shop.sku)
    ticket = ok(shop.act(placed, "tickets"))["ticket"]
    with connect(f"{shop.outputs['PushUrl']}?ticket={ticket}") as terminal:
        yield
        shop.call("PushChangesFunction", _changed(placed["trade_id"]))
        try:
            heard = iter(lambda: json.loads(terminal.recv(_PATIENCE)), None)
            assert next(each for each in heard if each["status"] == "paid")["trade_id"] == placed["trade_id"]
        except (TimeoutError, ConnectionClosed) as error:
            raise AssertionError("it heard nothing") from error


@flow("PushChanges")
def one_that_is_gone_is_forgotten(shop: Shop) -> Generator[None]:
    trade_id = _trade_id()
    _connected(shop, trade_id, long_ago=True)
    yield
    shop.call("PushChangesFunction", _changed(trade_id))
    assert _places(shop, trade_id) == []


@contextmanager
def _refusing(shop: Shop) -> Iterator[None]:
    """The gateway as the function reaches it takes no message. Whatever else it is asked, it does."""
    functions, name = shop.aws("lambda"), shop.resources["PushChangesFunction"]
    given = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    given = {name: str(value) for name, value in given.items()}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._answer(500, b"")

        def do_DELETE(self) -> None:
            answer = httpx.request("DELETE", shop.home.endpoint + self.path, headers=dict(self.headers))
            self._answer(answer.status_code, answer.content)

        def _answer(self, status: int, body: bytes) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = given["PUSH_URL"].replace(shop.home.endpoint, f"http://127.0.0.1:{server.server_port}")
        try:
            functions.update_function_configuration(
                FunctionName=name, Environment={"Variables": {**given, "PUSH_URL": url}}
            )
            yield
        finally:
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": given})
            server.shutdown()


@flow("PushChanges")
def one_that_takes_no_message_is_closed(shop: Shop) -> Generator[None]:
    placed = shop.placed(shop.sku)
    ticket = ok(shop.act(placed, "tickets"))["ticket"]
    with connect(f"{shop.outputs['PushUrl']}?ticket={ticket}") as terminal, _refusing(shop):
        yield
        shop.call("PushChangesFunction", _changed(placed["trade_id"]))
        try:
            while True:
                terminal.recv(_PATIENCE)
        except TimeoutError as error:
            raise AssertionError("it is open, and hears nothing") from error
        except ConnectionClosed:
            assert _places(shop, placed["trade_id"]) == []


@flow("PushChanges")
def what_cannot_be_pushed_is_put_aside(shop: Shop) -> Generator[None]:
    event = _changed(_trade_id())
    event["Records"][0]["dynamodb"]["NewImage"]["trade_id"] = {"S": ""}
    yield
    _aside(shop, "PushChanges", event)


# ---- the machine's steps ----


@flow("DeliverCards")
def a_paid_order_is_delivered(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    shop.become(placed, "paid", paid=True)
    yield
    assert shop.call("DeliverCardsFunction", {"trade_id": placed["trade_id"]}) == {"status": "delivered"}


@flow("DeliverCards")
def a_card_was_withdrawn_while_it_was_held(shop: Shop) -> Generator[None]:
    sku, _ = shop.product(1)
    placed = shop.waiting(sku=sku)
    (batch,) = _get(shop, f"/admin/products/{sku}")["batches"]
    _put(shop, f"/admin/products/{sku}/batches/{batch['batch']}", {"status": "withdrawn"})
    shop.become(placed, "paid", paid=True)
    yield
    shop.call("DeliverCardsFunction", {"trade_id": placed["trade_id"]})
    _is(shop, placed, "awaiting_stock")


@flow("CloseTrade")
def nobody_has_paid(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    yield
    assert shop.call("CloseTradeFunction", {"trade_id": placed["trade_id"]}) == {"status": "closed"}


@flow("CloseTrade")
def money_is_found_at_the_closing_of_a_cancelled_order(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    shop.pay(placed, notify=False)
    shop.become(placed, "payment_failed")
    yield
    shop.call("CloseTradeFunction", {"trade_id": placed["trade_id"]})
    _is(shop, placed, "paid")


@flow("CompleteTrade")
def the_after_sale_window_is_over(shop: Shop) -> Generator[None]:
    placed = shop.delivered()
    yield
    assert shop.call("CompleteTradeFunction", {"trade_id": placed["trade_id"]}) == {"status": "completed"}


# ---- reconcile ----


def _reconciled(shop: Shop) -> None:
    assert shop.call("ReconcileFunction", {}).get("failed", 0) == 0


@flow("Reconcile")
def a_notice_was_lost(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    shop.pay(placed, notify=False)
    shop.make_due(placed["trade_id"])
    yield
    _reconciled(shop)
    _is(shop, placed, "paid", "delivered")


@flow("Reconcile")
def a_cancelled_order_was_not_closed(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    shop.become(placed, "payment_failed")
    shop.make_due(placed["trade_id"])
    yield
    _reconciled(shop)
    _is(shop, placed, "closed")


@flow("Reconcile")
def money_is_found_after_the_closing(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    shop.pay(placed, notify=False)
    shop.become(placed, "payment_failed")
    shop.make_due(placed["trade_id"])
    yield
    _reconciled(shop)
    _is(shop, placed, "paid", "delivered")


@flow("Reconcile")
def a_card_is_for_sale_and_an_order_waits(shop: Shop) -> Generator[None]:
    placed, _ = shop.awaiting_stock(for_sale=1)
    shop.make_due(placed["trade_id"])
    yield
    _reconciled(shop)
    _is(shop, placed, "delivered")


@flow("Reconcile")
def an_execution_was_stopped(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    machine, trade_id = shop.outputs["StateMachineArn"], placed["trade_id"]
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{trade_id}"
    shop.aws("stepfunctions").stop_execution(executionArn=arn)
    yield
    _reconciled(shop)
    assert _execution(shop, f"{trade_id}-1")


# ---- operators ----


@flow("ManageCatalogue")
def a_product_is_saved(shop: Shop) -> Generator[None]:
    _ = shop.operator
    yield
    body = {"name": "x", "price": {"minor": 990, "currency": "CNY"}, "status": "on_sale", "description": "x"}
    _put(shop, f"/admin/products/sku-{secrets.token_hex(4)}", body)


def _imported(shop: Shop, sku: str, *codes: str) -> Any:
    headers = {**shop.operator, "Content-Type": "text/plain"}
    return shop.api.post(f"/admin/products/{sku}/cards", headers=headers, content="\n".join(codes))


@flow("ImportCards")
def cards_come_for_an_order_that_waits(shop: Shop) -> Generator[None]:
    placed, sku = shop.awaiting_stock()
    yield
    assert _imported(shop, sku, f"CODE-{uuid.uuid4().hex}").status_code == 201
    _is(shop, placed, "delivered")


@flow("ImportCards")
def a_file_of_cards_that_are_there(shop: Shop) -> Generator[None]:
    _, (code, *_) = shop.product(1)
    sku, _ = shop.product(0)
    yield
    refused = _imported(shop, sku, code)
    assert (refused.status_code, refused.json()["code"]) == (422, "nothing_to_import")


@flow("ImportCards")
def a_file_larger_than_one_step(shop: Shop) -> Generator[None]:
    sku, _ = shop.product(0)
    yield
    assert _imported(shop, sku, *(f"CODE-{secrets.token_hex(10)}" for _ in range(1001))).status_code == 201


@flow("ManageChannels")
def a_channel_is_saved(shop: Shop) -> Generator[None]:
    _ = shop.operator
    yield
    name = shop.channel(f"spare-{secrets.token_hex(4)}")
    (kept,) = shop.aws("ssm").get_parameters(Names=[f"/{shop.stack}/channels/{name}"])["Parameters"]
    assert kept["Type"] == "SecureString"


@flow("ManageChannels")
def a_channel_is_offered_no_more(shop: Shop) -> Generator[None]:
    name = shop.channel(f"spare-{secrets.token_hex(4)}")
    yield
    _put(shop, f"/admin/channels/{name}/offer", {"offered": False})
    assert name not in [each["channel"] for each in ok(shop.api.get("/channels"))["channels"]]


@flow("InspectTrades")
def an_operator_sees_trades(shop: Shop) -> Generator[None]:
    placed = shop.delivered()
    yield
    assert _get(shop, "/admin/orders")["orders"]
    assert _get(shop, f"/admin/orders/{placed['trade_id']}")["timeline"]


@flow("ConfirmByHand")
def an_operator_confirms_and_the_token_is_stale(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    yield
    _post(shop, f"/admin/orders/{placed['trade_id']}/confirm-payment", _note())
    _is(shop, placed, "paid", "delivered")


@flow("ConfirmByHand")
def an_operator_confirms_money_for_a_cancelled_order(shop: Shop) -> Generator[None]:
    placed = shop.waiting()
    shop.become(placed, "payment_failed")
    yield
    _post(shop, f"/admin/orders/{placed['trade_id']}/confirm-payment", _note())
    _is(shop, placed, "paid", "delivered")


@flow("RefundPayment")
def money_goes_back_through_the_provider(shop: Shop) -> Generator[None]:
    placed = shop.waiting(channel="epay-refunds")
    shop.pay(placed, notify=False)
    shop.become(placed, "delivered", paid=True)
    yield
    _post(shop, f"/admin/orders/{placed['trade_id']}/refunds", {"note": "asked"})
    _is(shop, placed, "refunded")


@flow("InspectStock")
def an_operator_sees_where_cards_are(shop: Shop) -> Generator[None]:
    sku = shop.sku
    yield
    assert sku in [each["sku"] for each in _get(shop, "/admin/products")["products"]]
    assert _get(shop, f"/admin/products/{sku}")["batches"]


@flow("ManageBatches")
def a_batch_is_put_back_for_an_order_that_waits(shop: Shop) -> Generator[None]:
    placed, sku = shop.awaiting_stock()
    (batch,) = _get(shop, f"/admin/products/{sku}")["batches"]
    path = f"/admin/products/{sku}/batches/{batch['batch']}"
    _put(shop, path, {"status": "withdrawn"})
    yield
    _put(shop, path, {"status": "on_sale"})
    _is(shop, placed, "delivered")


@flow("AuditStock")
def the_daily_audit_puts_counts_right(shop: Shop) -> Generator[None]:
    sku, _ = shop.product(2)
    shop.waiting(sku=sku)
    wait_until(lambda: _held(shop, sku) == 1, lambda: "the ledger knows of none", _PATIENCE)
    _miscounted(shop, sku)
    yield
    assert "batches" in shop.call("AuditStockFunction", {})
    assert _listed(shop, sku) == 1


def _held(shop: Shop, sku: str) -> int:
    return sum(batch["held"] for batch in _get(shop, f"/admin/products/{sku}")["batches"])


@flow("TradeMachine")
def a_trade_is_driven_to_its_delivery(shop: Shop) -> Generator[None]:
    placed = shop.placed(shop.sku)
    yield
    shop.pay(placed)
    wait_until(lambda: shop.status(placed) == "delivered", lambda: shop.status(placed), _PATIENCE)
    assert len(shop.cards(placed)) == 1
