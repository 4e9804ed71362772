"""The simulated epay provider, seen over HTTP from a shop's and a buyer's side."""

import json
import logging
import os
import queue
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html.parser import HTMLParser
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from simulators.epay.protocol import add_query, clip_name, parse_money, php_float, sign
from simulators.epay.server import EpayServer

ROOT = Path(__file__).parents[2]
PID, KEY = "1001", "a-merchant-key"
FAST = 60_000.0  # the first retry comes after a millisecond


class Shop:
    """A tiny shop: keeps the notices it gets and answers with ``reply(number of this notice)``."""

    def __init__(self) -> None:
        self.notices: queue.Queue[dict[str, str]] = queue.Queue()
        self.reply: Callable[[int], str] = lambda count: "success"
        self._count = 0
        self._lock = threading.Lock()
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with shop._lock:
                    shop._count += 1
                    count = shop._count
                body = shop.reply(count).encode()
                # The provider must not care about the status.
                self.send_response(500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                shop.notices.put(dict(parse_qsl(urlsplit(self.path).query)))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def notice(self) -> dict[str, str]:
        return self.notices.get(timeout=5)


class Events(logging.Handler):
    """The provider's log, as something to wait on."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: queue.Queue[str] = queue.Queue()
        self.all: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.all.append(record.getMessage())
        self.lines.put(record.getMessage())

    def wait(self, start: str) -> str:
        while not (line := self.lines.get(timeout=5)).startswith(start):
            pass
        return line


class Page(HTMLParser):
    """The forms and inputs of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.forms: list[dict[str, str | None]] = []
        self.inputs: list[dict[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "form":
            self.forms.append(dict(attrs))
        if tag == "input":
            self.inputs.append(dict(attrs))

    def fields(self, notify: bool) -> dict[str, str]:
        boxes = () if notify else ("checkbox",)
        return {str(i["name"]): str(i["value"]) for i in self.inputs if i["type"] not in boxes}


class Client:
    """A buyer and a shop talking to the provider."""

    def __init__(self, url: str, shop: str) -> None:
        self.address = url.removeprefix("http://")
        self.shop = shop

    def call(self, method: str, path: str, body: str = "") -> tuple[int, str, str]:
        """Status, body and Location; redirects are not followed."""
        connection = HTTPConnection(self.address, timeout=10)
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode(), response.getheader("Location", "")
        finally:
            connection.close()

    def order(self, number: str, **changes: str) -> dict[str, str]:
        params = {
            "pid": PID,
            "type": "alipay",
            "out_trade_no": number,
            "notify_url": f"{self.shop}/notify",
            "return_url": f"{self.shop}/return",
            "name": "VIP会员",
            "money": "9.90",
            **changes,
        }
        return {**params, "sign": sign(params, KEY), "sign_type": "MD5"}

    def submit(self, number: str, **changes: str) -> Page:
        status, body, _ = self.call("GET", f"/submit.php?{urlencode(self.order(number, **changes))}")
        assert status == 200
        return Page(body)

    def pay(self, page: Page, notify: bool = True) -> str:
        path = str(page.forms[0]["action"])
        status, _, location = self.call("POST", path, urlencode(page.fields(notify)))
        assert status == 302
        return location

    def query(self, number: str, key: str = KEY, name: str = "out_trade_no") -> dict[str, Any]:
        params = {"act": "order", "pid": PID, "key": key, name: number}
        answer: dict[str, Any] = json.loads(self.call("GET", f"/api.php?{urlencode(params)}")[1])
        return answer

    def refund(self, number: str, money: str = "9.90") -> int:
        params = {"pid": PID, "key": KEY, "out_trade_no": number, "money": money}
        code: int = json.loads(self.call("POST", "/api.php?act=refund", urlencode(params))[1])["code"]
        return code

    def control(self, method: str, path: str, value: object = None) -> Any:
        status, body, _ = self.call(method, f"/_control/{path}", "" if value is None else json.dumps(value))
        assert status == 200, body
        return json.loads(body)


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    thread = threading.Thread(target=shop.server.serve_forever, args=(0.01,))
    thread.start()
    yield shop
    shop.server.shutdown()
    shop.server.server_close()
    thread.join()


@pytest.fixture
def events() -> Iterator[Events]:
    logger = logging.getLogger("epay")
    events = Events()
    logger.setLevel(logging.INFO)
    logger.addHandler(events)
    yield events
    logger.removeHandler(events)
    logged = "\n".join(events.all)
    assert KEY not in logged
    assert not re.search(r"[0-9a-f]{32}", logged), "a key or a sign was logged"


@contextmanager
def running(state: Path, time_scale: float = FAST) -> Iterator[EpayServer]:
    server = EpayServer(0, state, {PID: KEY}, time_scale)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def client(tmp_path: Path, shop: Shop, events: Events) -> Iterator[Client]:
    with running(tmp_path) as server:
        yield Client(server.url, shop.url)


def rows(state: Path, table: str) -> int:
    db = sqlite3.connect(state / "epay.sqlite3")
    try:
        count: int = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return count
    finally:
        db.close()


def signed(params: dict[str, str]) -> bool:
    return params["sign"] == sign(params, KEY)


def test_signature_vector() -> None:
    params = {
        "pid": "1001",
        "trade_no": "20160806151343349021",
        "out_trade_no": "20160806151343349",
        "type": "alipay",
        "name": "VIP会员",
        "money": "1.00",
        "trade_status": "TRADE_SUCCESS",
        "param": "",
        "sign": "whatever",
        "sign_type": "MD5",
    }
    assert sign(params, "testkey") == "809a85a83630d1ab1c17b9ed4efa8356"


@pytest.mark.parametrize(
    ("text", "sent"), [("9.90", "9.9"), ("1.00", "1"), ("12.34", "12.34"), ("100", "100"), ("0.01", "0.01")]
)
def test_money_is_sent_as_a_php_float(text: str, sent: str) -> None:
    fen = parse_money(text)
    assert fen is not None
    assert php_float(fen) == sent


@pytest.mark.parametrize("text", ["", "0", "0.00", "-1", "1.001", "1.", ".5", "1e3", "１", " 1"])
def test_not_money(text: str) -> None:
    assert parse_money(text) is None


def test_urls_and_names() -> None:
    assert add_query("http://shop/a", {"b": "c d"}) == "http://shop/a?b=c+d"
    assert add_query("http://shop/a?x=1", {"b": "会"}) == "http://shop/a?x=1&b=%E4%BC%9A"
    assert add_query("http://shop/会\r\n", {}).isascii()
    assert clip_name("会" * 50) == "会" * 42


def test_pay_page(client: Client) -> None:
    page = client.submit("page-1", name="<b>卡 & 券</b>")
    assert len(page.forms) == 1
    assert page.forms[0]["method"] == "post"
    visible = [i for i in page.inputs if i["type"] != "hidden"]
    assert visible == [{"type": "checkbox", "name": "notify", "value": "1", "checked": None}]
    assert "&lt;b&gt;卡 &amp; 券&lt;/b&gt;" in page.html
    assert "<b>卡" not in page.html
    assert "¥9.90" in page.html
    assert "page-1" in page.html
    assert PID in page.html


def test_submit_by_form(client: Client) -> None:
    status, body, _ = client.call("POST", "/submit.php", urlencode(client.order("form-1")))
    assert status == 200
    assert len(Page(body).forms) == 1


def test_pay_with_notice(client: Client, shop: Shop, events: Events) -> None:
    query_url = f"{shop.url}/notify?from=epay"
    page = client.submit("pay-1", notify_url=query_url, param="a=b&c", return_url=f"{shop.url}/return?o=1")
    location = client.pay(page)
    notice = shop.notice()
    assert notice.pop("from") == "epay"
    assert signed(notice)
    assert notice["money"] == "9.9"
    assert notice["param"] == "a=b&c"
    assert notice["trade_status"] == "TRADE_SUCCESS"
    assert location.startswith(f"{shop.url}/return?o=1&")
    returned = dict(parse_qsl(urlsplit(location).query))
    assert returned.pop("o") == "1"
    assert returned == notice

    events.wait("notice delivered")
    (attempt,) = client.control("GET", "notices/pay-1")
    assert attempt["answer"] == "success"
    assert attempt["delivered"] is True
    assert attempt["at"] > 0
    again = client.submit("pay-1")
    assert again.forms == []
    assert "已支付" in again.html


def test_pay_without_notice(client: Client, tmp_path: Path) -> None:
    location = client.pay(client.submit("quiet-1"), notify=False)
    assert signed(dict(parse_qsl(urlsplit(location).query)))
    assert client.query("quiet-1")["status"] == 1
    assert rows(tmp_path, "chains") == rows(tmp_path, "attempts") == 0


def test_retries_until_success(client: Client, shop: Shop, events: Events, tmp_path: Path) -> None:
    shop.reply = lambda count: "success" if count == 3 else "fail"
    client.pay(client.submit("retry-1"))
    events.wait("notice delivered")
    attempts = client.control("GET", "notices/retry-1")
    assert [(a["answer"], a["delivered"]) for a in attempts] == [
        ("fail", False),
        ("fail", False),
        ("success", True),
    ]
    assert rows(tmp_path, "chains") == 0


def test_gives_up_after_five_retries(client: Client, events: Events, tmp_path: Path) -> None:
    unreachable = "http://127.0.0.1:9/notify"
    client.pay(client.submit("lost-1", notify_url=unreachable))
    assert events.wait("notice failed, given up").endswith("try=6")
    attempts = client.control("GET", "notices/lost-1")
    assert len(attempts) == 6
    assert not any(a["delivered"] for a in attempts)
    assert all(KEY not in a["answer"] and "sign" not in a["answer"] for a in attempts)
    assert rows(tmp_path, "chains") == 0


def test_same_payment_is_found_again(client: Client) -> None:
    first = client.submit("again-1")
    second = client.submit("again-1", type="wxpay", money="9.9")
    assert first.fields(True) == second.fields(True)
    assert client.query("again-1")["type"] == "wxpay"
    status, body, _ = client.call("GET", f"/submit.php?{urlencode(client.order('again-1', money='1'))}")
    assert status == 400
    assert Page(body).forms == []
    assert client.query("again-1")["money"] == "9.90"


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": "1002"},
        {"type": "cash"},
        {"type": ""},
        {"out_trade_no": ""},
        {"out_trade_no": "a b"},
        {"name": ""},
        {"money": "0"},
        {"money": "1.001"},
        {"notify_url": ""},
        {"notify_url": "file:///etc/hosts"},
        {"return_url": "javascript:alert(1)"},
    ],
)
def test_bad_request_is_refused(client: Client, changes: dict[str, str], tmp_path: Path) -> None:
    params = client.order("bad-1", **changes)
    status, body, _ = client.call("GET", f"/submit.php?{urlencode(params)}")
    assert status == 400
    assert Page(body).forms == []
    assert rows(tmp_path, "payments") == 0


@pytest.mark.parametrize("changes", [{"sign": "0" * 32}, {"sign": ""}, {"money": "0.01"}, {"sign_type": "RSA"}])
def test_wrong_signature_is_refused(client: Client, changes: dict[str, str], tmp_path: Path) -> None:
    params = {**client.order("bad-1"), **changes}
    assert client.call("GET", f"/submit.php?{urlencode(params)}")[0] == 400
    assert rows(tmp_path, "payments") == 0


def test_paying_needs_the_page(client: Client) -> None:
    fields = {**client.submit("token-1").fields(True), "token": "guess"}
    assert client.call("POST", "/pay.php", urlencode(fields))[0] == 403
    assert client.call("GET", f"/pay.php?{urlencode(fields)}")[0] == 405
    assert client.query("token-1")["status"] == 0


def test_query(client: Client) -> None:
    page = client.submit("query-1", param="p")
    unpaid = client.query("query-1")
    assert unpaid["code"] == 1
    assert unpaid["status"] == 0
    assert unpaid["endtime"] is None
    client.pay(page, notify=False)
    paid = client.query("query-1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", paid["endtime"])
    assert {**unpaid, **{k: paid[k] for k in ("status", "endtime", "api_trade_no")}} == paid
    assert (paid["status"], paid["money"], paid["name"], paid["param"]) == (1, "9.90", "VIP会员", "p")
    assert client.query(paid["trade_no"], name="trade_no") == paid
    assert client.query("nobody") == {"code": -1, "msg": "订单号不存在"}
    assert client.query("") == {"code": -1, "msg": "订单号不存在"}
    assert client.query("query-1", key="wrong")["code"] == -3


def test_refund(client: Client) -> None:
    page = client.submit("refund-1")
    assert client.refund("refund-1") != 0
    client.pay(page, notify=False)
    assert client.refund("refund-1", "1.00") != 0
    assert client.refund("refund-1") == 0
    assert client.query("refund-1")["status"] == 2
    assert client.refund("refund-1") != 0
    assert client.submit("refund-1").forms == []


def test_double_submission_pays_once(client: Client, shop: Shop, events: Events, tmp_path: Path) -> None:
    page = client.submit("double-1")
    with ThreadPoolExecutor(8) as buyers:
        locations = set(buyers.map(client.pay, [page] * 8))
    assert len(locations) == 1
    shop.notice()
    events.wait("notice delivered")
    assert len(client.control("GET", "notices/double-1")) == 1
    assert rows(tmp_path, "chains") == 0


def test_many_buyers_and_notices_at_once(client: Client, shop: Shop) -> None:
    # Each answer waits for fifteen others: one notice after the other would never get through.
    together = threading.Barrier(16)

    def reply(count: int) -> str:
        together.wait(4)
        return "success"

    def buy(number: int) -> None:
        client.pay(client.submit(f"many-{number}"))

    shop.reply = reply
    with ThreadPoolExecutor(32) as buyers:
        list(buyers.map(buy, range(32)))
    notices = [shop.notice() for _ in range(32)]
    assert {n["out_trade_no"] for n in notices} == {f"many-{i}" for i in range(32)}
    assert len({n["trade_no"] for n in notices}) == 32
    assert all(signed(n) for n in notices)


def test_controls(client: Client, shop: Shop) -> None:
    page = client.submit("control-1")
    assert client.control("POST", "payments/control-1", {"status": 1, "money": "0.01"})["money"] == "0.01"
    believed = client.query("control-1")
    assert believed["status"] == 1
    assert believed["money"] == "0.01"
    assert believed["endtime"]
    client.control("POST", f"notices/{quote('control-1')}")
    assert shop.notice()["money"] == "0.01"
    client.control("POST", "payments/control-1", {"status": 3})
    assert client.call("POST", "/pay.php", urlencode(page.fields(True)))[0] == 400
    assert client.control("GET", "queries") == {"count": 1}

    assert client.control("POST", "outage", {"query": True}) == {"query": True, "submit": False}
    assert client.call("GET", "/api.php?act=order")[0] == 503
    assert client.control("POST", "outage", {"submit": True, "query": False})["submit"] is True
    assert client.call("GET", f"/submit.php?{urlencode(client.order('control-2'))}")[0] == 503
    client.control("POST", "outage", {"submit": False})
    assert len(client.submit("control-2").forms) == 1

    for method, path, body, status in (
        ("GET", "notices/nobody", "", 404),
        ("POST", "payments/control-1", '{"status": 4}', 400),
        ("POST", "payments/control-1", '{"money": "x"}', 400),
        ("POST", "outage", "[]", 400),
        ("GET", "nothing", "", 404),
    ):
        answer = client.call(method, f"/_control/{path}", body)
        assert answer[0] == status
        assert "error" in json.loads(answer[1])


class Program:
    """The provider as the program it is run as."""

    def __init__(self, state: Path, shop: Shop) -> None:
        command = [sys.executable, "-m", "simulators.epay", "--port", "0", "--state", str(state)]
        self.process = subprocess.Popen(
            [*command, "--merchant", f"{PID}:{KEY}", "--time-scale", "60"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
        assert match, line
        self.client = Client(match[1], shop.url)

    def stop(self, number: signal.Signals) -> str:
        self.process.send_signal(number)
        output, log = self.process.communicate(timeout=10)
        assert self.process.returncode == 0
        assert output == ""
        assert KEY not in log
        assert not re.search(r"[0-9a-f]{32}", log)
        return log


def test_restart_keeps_payments_and_resumes_notices(tmp_path: Path, shop: Shop) -> None:
    shop.reply = lambda count: "not now"
    first = Program(tmp_path, shop)
    try:
        page = first.client.submit("restart-1")
        other = first.client.submit("restart-2")
        first.client.pay(page)
        shop.notice()
        paid = first.client.query("restart-1")
        log = first.stop(signal.SIGTERM)
    finally:
        first.process.kill()
    assert "paid order=restart-1" in log
    assert "Traceback" not in log
    assert rows(tmp_path, "chains") == 1

    shop.reply = lambda count: "success"
    while not shop.notices.empty():
        shop.notices.get()
    second = Program(tmp_path, shop)
    try:
        assert second.client.query("restart-1") == paid
        assert second.client.submit("restart-2").fields(True) == other.fields(True)
        notice = shop.notice()
        assert notice["out_trade_no"] == "restart-1"
        assert signed(notice)
        assert "Traceback" not in second.stop(signal.SIGINT)
    finally:
        second.process.kill()
    assert rows(tmp_path, "chains") == 0
