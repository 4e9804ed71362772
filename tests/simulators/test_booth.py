"""The simulators' shared skeleton, seen through a toy provider."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from simulators.booth import Answer, Booth, Outgoing, Payment, Refusal, Request, Telling, main, serve
from tests.simulators.shop import Shop, listening

ROOT = Path(__file__).parents[2]
FAST = 60_000.0  # the first retry comes after a millisecond


class Toy(Booth):
    """The smallest provider there can be."""

    name = "toy"
    retries = (60, 60, 60)

    def __init__(self, account: dict[str, Any], *, time_scale: float = 60.0) -> None:
        super().__init__(account, time_scale=time_scale)
        self.key = account["key"]

    def handle(self, request: Request) -> Answer:
        match request.method, request.path:
            case "POST", "/orders":
                self.check_outage("create")
                payment = self.open(Payment(**request.json()))
                return Answer(201, {"reference": payment.reference, "url": self.pay_url(payment)})
            case "GET", "/orders":
                self.check_outage("query")
                found = self.find(number=request.query["number"])
                if found is None:
                    raise Refusal(404, {"code": "NOT_FOUND"})
                return Answer(200, {"status": found.status, "received": found.received})
            case "POST", "/refunds":
                self.check_outage("refund")
                form = request.form()
                found = self.find(number=form["number"])
                assert found is not None
                refund = self.refund(found, form["refund_id"], form["amount"], status=form.get("status", "done"))
                return Answer(200, {"status": refund.status, "reference": refund.reference})
            case "PUT", "/echo":
                return Answer(200, [request.target, request.path, request.headers["x-mixed"], request.body.decode()])
            case "DELETE", "/orders":
                return Answer(204)
        raise Refusal(404, "no such page")

    def notice(self, payment: Payment, event: str, telling: Telling) -> Outgoing | None:
        if event == "unheard":
            return None
        if event == "broken":
            raise RuntimeError("this provider's own fault")
        told = {
            "id": telling.id,
            "attempt": telling.attempt,
            "event": event,
            "number": payment.number,
            "received": payment.received,
            "refund": telling.refund and telling.refund.refund_id,
        }
        body = json.dumps(told).encode()
        headers = {"X-Sign": hashlib.sha256(self.key.encode() + body).hexdigest()}
        return Outgoing("POST", payment.notify_url, headers, body)

    def accepted(self, status: int, body: bytes) -> bool:
        return status == 200 and body == b"ok"

    def gives_up(self, status: int) -> bool:
        return status == 410


@pytest.fixture
def shop() -> Iterator[Shop]:
    with listening() as there:
        yield there


@pytest.fixture
def toy() -> Iterator[Toy]:
    with serve(Toy({"key": "k"}, time_scale=FAST)) as toy:
        yield toy


def call(
    url: str, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, str, dict[str, str]]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        content = body if isinstance(body, str | None) else json.dumps(body)
        connection.request(method, path, content, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode(), dict(response.getheaders())
    finally:
        connection.close()


def ask(toy: Toy, method: str, path: str, body: object = None) -> Any:
    status, text, _ = call(toy.url, method, path, body)
    assert status == 200, text
    return json.loads(text)


def heard(shop: Shop) -> list[dict[str, Any]]:
    """What came since the last look."""
    found = [told.json() for told in shop.told]
    shop.told.clear()
    return found


def opened(toy: Toy, shop: Shop, number: str = "A1", **more: Any) -> Payment:
    return toy.open(Payment(number, "9.90", "CNY", shop.url, **more))


# Books


def test_a_number_known_already_answers_the_payment_there_is(toy: Toy) -> None:
    asked = {"number": "A1", "amount": "9.90", "currency": "CNY"}
    first = json.loads(call(toy.url, "POST", "/orders", asked)[1])

    again = json.loads(call(toy.url, "POST", "/orders", {**asked, "amount": "1.00"})[1])

    assert again == first
    payment = toy.find(reference=first["reference"])
    assert payment is toy.find(number="A1")
    assert payment is not None
    assert payment.amount == "9.90"
    assert toy.find(number="B2") is None
    assert toy.find(reference="B2") is None


def test_many_who_pay_at_once_pay_once_and_it_is_told_once(toy: Toy, shop: Shop) -> None:
    payment = opened(toy, shop)
    together = threading.Barrier(16)

    def pay(_: int) -> bool:
        together.wait()
        return toy.pay(payment)

    with ThreadPoolExecutor(16) as buyers:
        paid = list(buyers.map(pay, range(16)))
    toy.quiet()

    assert paid.count(True) == 1
    assert [told["event"] for told in heard(shop)] == ["paid"]
    assert (payment.status, payment.received) == ("paid", "9.90")


def test_a_refund_is_idempotent_and_never_more_than_came_in(toy: Toy, shop: Shop) -> None:
    payment = opened(toy, shop)

    def refund(refund_id: str, amount: str, status: str = "done") -> int:
        return call(toy.url, "POST", "/refunds", f"number=A1&refund_id={refund_id}&amount={amount}&status={status}")[0]

    assert refund("R0", "1.00") == 400  # nothing was paid
    toy.pay(payment)
    assert [refund("R1", "4.00"), refund("R1", "4"), refund("R1", "5.00")] == [200, 200, 400]
    assert (payment.status, payment.refunded) == ("paid", "4.00")
    assert [refund("R2", amount) for amount in ("5.91", "0", "-1", "NaN", "much")] == [400] * 5
    assert refund("R3", "5.90", "pending") == 200
    assert refund("R4", "0.01") == 400  # the pending one may still take it all
    assert (payment.status, payment.refunded) == ("paid", "4.00")

    ask(toy, "POST", "/_control/refunds/R3", {"status": "done"})

    assert (payment.status, payment.refunded) == ("refunded", "9.90")


# Notices


def test_a_notice_is_signed_and_sent_again_until_the_shop_accepts_it(toy: Toy, shop: Shop) -> None:
    shop.reply = lambda count: ((302, b"ok"), (200, b"wait"), (200, b"ok"))[count - 1]

    toy.pay(opened(toy, shop))
    toy.quiet()

    signatures = [told.headers["x-sign"] for told in shop.told]
    events = heard(shop)
    assert [told["attempt"] for told in events] == [0, 1, 2]
    assert len({told["id"] for told in events}) == 1
    assert len(set(signatures)) == 3  # signed anew every time
    assert signatures[0] == hashlib.sha256(b"k" + json.dumps(events[0]).encode()).hexdigest()
    attempts = ask(toy, "GET", "/_control/notices/A1")
    assert [(a["event"], a["status"], a["answer"], a["accepted"]) for a in attempts] == [
        ("paid", 302, "ok", False),
        ("paid", 200, "wait", False),
        ("paid", 200, "ok", True),
    ]
    assert all(abs(a["at"] - time.time()) < 60 for a in attempts)


def test_a_notice_is_given_up_after_the_last_retry(toy: Toy, shop: Shop) -> None:
    shop.reply = lambda count: (500, b"no")

    toy.pay(opened(toy, shop))
    toy.quiet()

    assert [attempt.accepted for attempt in toy.attempts("A1")] == [False] * 4


def test_an_answer_may_be_final(toy: Toy, shop: Shop) -> None:
    shop.reply = lambda count: (410, b"gone")

    toy.pay(opened(toy, shop))
    toy.quiet()

    assert [attempt.status for attempt in toy.attempts("A1")] == [410]


def test_a_shop_that_is_not_there_is_an_attempt_too(toy: Toy) -> None:
    toy.pay(toy.open(Payment("A1", "9.90", "CNY", "http://127.0.0.1:1/notify?sign=secret")))
    toy.quiet()

    attempts = toy.attempts("A1")
    assert [(a.status, a.answer, a.accepted) for a in attempts] == [(0, "ConnectionRefusedError", False)] * 4


def test_retries_keep_their_distance(shop: Shop) -> None:
    shop.reply = lambda count: (200, b"ok" if count == 2 else b"no")
    with serve(Toy({"key": "k"}, time_scale=300)) as toy:
        toy.pay(opened(toy, shop))
        toy.quiet()

    first, second = toy.attempts("A1")
    assert second.at - first.at >= 0.19  # 60 seconds, 300 times faster


def test_what_is_told_is_how_things_stood_then(toy: Toy, shop: Shop) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def reply(count: int) -> tuple[int, bytes]:
        arrived.set()
        go_on.wait(5)
        return 200, b"ok" if count > 1 else b"no"

    shop.reply = reply
    payment = opened(toy, shop)
    toy.pay(payment)
    assert arrived.wait(5)
    payment.received = "1.00"
    go_on.set()
    toy.quiet()

    assert [told["received"] for told in heard(shop)] == ["9.90", "9.90"]


def test_an_event_the_provider_does_not_tell_or_cannot_leaves_the_others_alone(toy: Toy, shop: Shop) -> None:
    payment = opened(toy, shop)
    for event in ["unheard"] + ["broken"] * 20 + ["closed"]:
        toy.tell(payment, event)
    toy.quiet()

    assert [told["event"] for told in heard(shop)] == ["closed"]


def test_stopping_waits_for_the_notice_under_way_and_starts_no_other(shop: Shop) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def reply(count: int) -> tuple[int, bytes]:
        arrived.set()
        go_on.wait(5)
        return 500, b"no"

    shop.reply = reply
    with serve(Toy({"key": "k"}, time_scale=0.01)) as toy:
        toy.pay(opened(toy, shop))
        assert arrived.wait(5)
        threading.Timer(0.2, go_on.set).start()

    assert go_on.is_set()
    assert [attempt.status for attempt in toy.attempts("A1")] == [500]
    assert len(heard(shop)) == 1


# Test controls


def test_paying_by_control_is_what_the_buyer_does(toy: Toy, shop: Shop) -> None:
    opened(toy, shop, "short")
    opened(toy, shop, "silent")

    short = ask(toy, "POST", "/_control/pay/short", {"received": "9.00"})
    silent = ask(toy, "POST", "/_control/pay/silent", {"notify": False})
    ask(toy, "POST", "/_control/pay/short")  # paid already: nothing more happens
    toy.quiet()

    assert (short["status"], short["received"]) == ("paid", "9.00")
    assert (silent["status"], silent["received"]) == ("paid", "9.90")
    assert [(told["number"], told["received"]) for told in heard(shop)] == [("short", "9.00")]


def test_a_payment_that_is_closed_is_not_paid(toy: Toy, shop: Shop) -> None:
    opened(toy, shop).status = "closed"

    assert call(toy.url, "POST", "/_control/pay/A1")[0] == 409
    toy.quiet()

    assert ask(toy, "GET", "/_control/payments/A1")["status"] == "closed"
    assert heard(shop) == []


def test_what_the_provider_believes_is_changed_without_a_word(toy: Toy, shop: Shop) -> None:
    opened(toy, shop, "A/1 中", extra={"kept": 1})
    path = "/_control/payments/A/1%20%E4%B8%AD"

    changed = ask(toy, "POST", path, {"received": "0.01", "currency": "USD", "amount": "1", "extra": {"x": [1]}})
    toy.quiet()

    assert changed == ask(toy, "GET", path)
    assert {name: changed[name] for name in ("status", "received", "currency", "amount", "extra")} == {
        "status": "open",
        "received": "0.01",
        "currency": "USD",
        "amount": "1",
        "extra": {"kept": 1, "x": [1]},
    }
    assert heard(shop) == []


def test_a_payment_made_paid_or_refunded_by_control_has_its_money(toy: Toy, shop: Shop) -> None:
    opened(toy, shop)
    paid = ask(toy, "POST", "/_control/payments/A1", {"status": "paid"})
    refunded = ask(toy, "POST", "/_control/payments/A1", {"status": "refunded"})

    assert (paid["received"], paid["refunded"]) == ("9.90", "0")
    assert (refunded["received"], refunded["refunded"]) == ("9.90", "9.90")


def test_any_event_can_be_told_at_any_time(toy: Toy, shop: Shop) -> None:
    payment = opened(toy, shop)
    ask(toy, "POST", "/_control/notices/A1", {"event": "charged_back"})
    toy.quiet()
    toy.pay(payment, notify=False)
    toy.refund(payment, "R1", "1.00")
    ask(toy, "POST", "/_control/notices/A1", {"event": "refunded"})
    toy.quiet()

    assert [(told["event"], told["refund"]) for told in heard(shop)] == [("charged_back", None), ("refunded", "R1")]


def test_a_pending_refund_is_settled_once_and_told_if_wanted(toy: Toy, shop: Shop) -> None:
    payment = opened(toy, shop)
    toy.pay(payment, notify=False)
    for refund_id in ("R1", "R2", "R3"):
        toy.refund(payment, refund_id, "1.00", status="pending")

    done = ask(toy, "POST", "/_control/refunds/R1", {"status": "done", "notify": True})
    toy.quiet()
    refused = ask(toy, "POST", "/_control/refunds/R2", {"status": "refused", "notify": True})
    ask(toy, "POST", "/_control/refunds/R3", {"status": "done"})
    toy.quiet()

    assert (done["status"], refused["status"], payment.refunded, payment.status) == ("done", "refused", "2.00", "paid")
    assert [(told["event"], told["refund"]) for told in heard(shop)] == [("refunded", "R1"), ("refund_refused", "R2")]
    assert call(toy.url, "POST", "/_control/refunds/R2", {"status": "done"})[0] == 409


def test_an_outage_stops_the_kinds_it_names_and_calls_are_counted_all_the_same(toy: Toy, shop: Shop) -> None:
    opened(toy, shop)

    def query() -> int:
        return call(toy.url, "GET", "/orders?number=A1")[0]

    assert ask(toy, "POST", "/_control/outage", {"query": True}) == {"query": True}
    assert query() == 503
    assert call(toy.url, "POST", "/orders", {"number": "B", "amount": "1", "currency": "CNY"})[0] == 201
    assert ask(toy, "POST", "/_control/outage", {"query": False, "all": True}) == {"query": False, "all": True}
    assert query() == 503
    ask(toy, "POST", "/_control/outage", {"all": False})
    assert query() == 200

    assert ask(toy, "GET", "/_control/calls") == {"query": 3, "create": 1}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/_control/payments/none", None, 404),
        ("POST", "/_control/pay/none", {}, 404),
        ("POST", "/_control/refunds/none", {"status": "done"}, 404),
        ("GET", "/_control/nothing", None, 404),
        ("GET", "/_control/", None, 404),
        ("GET", "/_control/pay/A1", None, 404),
        ("POST", "/_control/payments/A1", {"status": "lost"}, 400),
        ("POST", "/_control/payments/A1", {"received": 1}, 400),
        ("POST", "/_control/payments/A1", {"number": "B"}, 400),
        ("POST", "/_control/payments/A1", {"extra": 1}, 400),
        ("POST", "/_control/payments/A1", [], 400),
        ("POST", "/_control/payments/A1", "{", 400),
        ("POST", "/_control/pay/A1", {"notify": "no"}, 400),
        ("POST", "/_control/pay/A1", {"received": 1}, 400),
        ("POST", "/_control/notices/A1", {}, 400),
        ("POST", "/_control/outage", {"query": 1}, 400),
        ("POST", "/_control/refunds/R1", {"status": "pending"}, 400),
        ("GET", "/_pay/none", None, 404),
    ],
)
def test_a_control_that_makes_no_sense_changes_nothing(
    toy: Toy, shop: Shop, *, method: str, path: str, body: object, status: int
) -> None:
    payment = opened(toy, shop)
    toy.pay(payment, notify=False)
    toy.refund(payment, "R1", "1.00", status="pending")
    before = ask(toy, "GET", "/_control/payments/A1")

    assert call(toy.url, method, path, body)[0] == status
    toy.quiet()

    assert ask(toy, "GET", "/_control/payments/A1") == before
    assert heard(shop) == []


# The pay page


def test_a_person_pays_with_the_button_and_comes_back_to_the_shop(toy: Toy, shop: Shop) -> None:
    payment = opened(toy, shop, "<A1>", return_url=f"{shop.url}/return?a=1&b=2")
    path = urlsplit(toy.pay_url(payment)).path

    page = call(toy.url, "GET", path)[1]
    assert f'action="{toy.pay_url(payment)}"' in page
    assert "确认付款 · Pay now" in page
    assert "9.90 CNY" in page
    assert "<A1>" not in page
    status, _, headers = call(toy.url, "POST", path, "notify=1")
    toy.quiet()

    assert (status, headers["Location"]) == (303, f"{shop.url}/return?a=1&b=2")
    assert [told["event"] for told in heard(shop)] == ["paid"]
    page = call(toy.url, "GET", path)[1]
    assert "<form" not in page
    assert f'href="{shop.url}/return?a=1&amp;b=2"' in page


def test_a_person_may_lose_the_notice_and_without_a_way_back_stays_on_the_page(toy: Toy, shop: Shop) -> None:
    payment = opened(toy, shop)

    status, _, headers = call(toy.url, "POST", urlsplit(toy.pay_url(payment)).path, "")
    toy.quiet()

    assert (status, headers["Location"]) == (303, toy.pay_url(payment))
    assert payment.status == "paid"
    assert heard(shop) == []


def test_a_closed_payment_offers_no_button_and_is_not_paid_with_an_old_one(toy: Toy, shop: Shop) -> None:
    payment = opened(toy, shop, return_url=f"{shop.url}/return")
    payment.status = "closed"
    path = urlsplit(toy.pay_url(payment)).path

    page = call(toy.url, "GET", path)[1]
    headers = call(toy.url, "POST", path, "notify=1")[2]

    assert "已关闭 · Closed" in page
    assert "<form" not in page
    assert headers["Location"] == toy.pay_url(payment)
    assert payment.status == "closed"


# HTTP


def test_a_request_arrives_as_it_was_sent(toy: Toy) -> None:
    status, body, headers = call(toy.url, "PUT", "/ec%68o?a=%2F&a=2", "body", {"X-Mixed": "Case"})

    assert status == 200
    assert json.loads(body) == ["/ec%68o?a=%2F&a=2", "/echo", "Case", "body"]
    assert headers["Content-Type"] == "application/json"


def test_one_connection_serves_many_requests(toy: Toy) -> None:
    connection = HTTPConnection(urlsplit(toy.url).netloc, timeout=10)
    connection.connect()
    socket = connection.sock
    answers = []
    for method, path in (("DELETE", "/orders"), ("GET", "/nothing"), ("GET", "/_control/calls")):
        connection.request(method, path)
        response = connection.getresponse()
        answers.append((response.status, response.read()))
        assert connection.sock is socket
    connection.close()

    assert answers == [(204, b""), (404, b"no such page"), (200, b"{}")]


def test_a_fault_is_logged_and_not_shown(toy: Toy, caplog: pytest.LogCaptureFixture) -> None:
    status, body, _ = call(toy.url, "GET", "/orders")  # the toy misses the number

    assert status == 500
    assert "KeyError" not in body
    assert "toy: request failed" in caplog.text


@pytest.mark.parametrize("headers", [{"Content-Length": "65537"}, {"Content-Length": "-1"}, {"Transfer-Encoding": "x"}])
def test_a_body_too_large_or_of_unknown_length_is_not_read(toy: Toy, headers: dict[str, str]) -> None:
    assert call(toy.url, "POST", "/orders", None, headers)[0] == 413


def test_stopping_ends_idle_connections_and_frees_the_port() -> None:
    before = set(threading.enumerate())
    with serve(Toy({"key": "k"})) as toy:
        connection = HTTPConnection(urlsplit(toy.url).netloc, timeout=10)
        connection.request("GET", "/_control/calls")
        connection.getresponse().read()
        asked = time.monotonic()

    assert time.monotonic() - asked < 5  # not the 30 seconds an idle client is waited for
    assert connection.sock.recv(1) == b""
    connection.close()
    assert set(threading.enumerate()) <= before
    with pytest.raises(ConnectionRefusedError):
        call(toy.url, "GET", "/_control/calls")


# The command line


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_program_says_where_it_listens_and_stops_when_told(tmp_path: Path, end: signal.Signals) -> None:
    account = tmp_path / "account.json"
    account.write_text('{"key": "a-secret"}')
    program = command("--port", "0", "--account", str(account))
    assert program.stdout is not None
    line = program.stdout.readline()
    assert line.startswith("listening on http://127.0.0.1:")
    assert call(line.split()[-1], "GET", "/_control/calls")[0] == 200

    program.send_signal(end)

    _, log = program.communicate(timeout=10)
    assert program.returncode == 0, log
    assert "toy: stopped" in log


@pytest.mark.parametrize("account", ['{"other": "a-secret"}', '{"key": "a-secret"', None])
def test_the_program_refuses_an_account_it_cannot_use_without_quoting_it(tmp_path: Path, account: str | None) -> None:
    file = tmp_path / "account.json"
    if account is not None:
        file.write_text(account)

    program = command("--port", "0", "--account", str(file))

    _, log = program.communicate(timeout=10)
    assert program.returncode == 2
    assert "account.json" in log
    assert "a-secret" not in log
    assert "Traceback" not in log


if __name__ == "__main__":
    main(Toy)
