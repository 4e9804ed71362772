"""The shared skeleton of the simulated payment providers: everything but the protocol. No money moves.

A provider is one file with one subclass of :class:`Booth`::

    class Stripe(Booth):
        name = "stripe"

        def handle(self, request: Request) -> Answer: ...       # its own API, and its own pages if it has any
        def notice(self, payment: Payment, event: str, telling: Telling) -> Outgoing | None: ...

    if __name__ == "__main__":
        main(Stripe)

``python -m simulators.stripe --port 8801 --account FILE [--time-scale 60]`` serves it on 127.0.0.1 and prints
``listening on http://127.0.0.1:8801``; tests say ``with serve(Stripe(account)) as booth:`` and use ``booth.url``.
``account`` is FILE's JSON object: keys, merchant ids, whatever that provider needs; read it in ``__init__``, where a
missing name may be a ``KeyError``. All state is in memory and gone with the process.

What a subclass writes
----------------------
``handle(request)``    Answers what is not ``/_control/`` or ``/_pay/``. Raise ``Refusal(status, body)`` to turn down.
``notice(…)``          The signed call to the shop; None if this provider says nothing of that event (or to nobody:
                       no ``notify_url``). Events: ``paid failed closed refunded refund_refused charged_back
                       reinstated`` and any of its own. Called anew for every attempt, so that timestamps and signatures
                       are fresh; ``payment`` and ``telling.refund`` are copies of how things stood when it was told,
                       and ``telling.id`` and ``telling.at`` stay the same through all attempts. ``telling.refund`` is
                       None for a refund nobody asked for through the API.
``accepted(…)``        Whether an answer means "got it". Unless overridden, any 2xx.
``gives_up(status)``   Whether an answer not accepted ends the attempts (BTCPay: any 4xx). Unless overridden, never.
``way_back(payment)``  Where the buyer's browser goes after paying. Unless overridden, ``return_url`` as it is.
``retries``            Real seconds between attempts; they pass ``time_scale`` times faster.
``pay(…)``             May be overridden where what the buyer does is not yet the payment (PayPal: approve), with
                       ``super().pay(…)`` when the money comes in.

Every one of these runs with ``self.lock`` held, one at a time, so a subclass needs no lock of its own; it must not
wait for anything in there. Code outside (a test) changes a payment only through the methods below or the controls.

What it calls
-------------
``open(payment)``                          Keeps it; of a number known already, answers the payment there is.
``find(number=…)`` / ``find(reference=…)`` The payment or None. Change it freely: ``payment.status = "closed"``.
``pay(payment, received, notify)``         As the buyer; True if it was open, and then told once.
``refund(payment, refund_id, amount, …)``  Idempotent by ``refund_id``; ``Refusal(400)`` if it cannot be.
``settle(payment, refund, status, …)``     Ends a pending refund.
``tell(payment, event, refund)``           Queues a notice, and its retries until one is accepted.
``check_outage("query")``                  First thing in each API call: counts it and raises ``Refusal(503)`` in an
                                           outage. Kinds: ``create query close refund``, or its own. ``count`` only
                                           counts.
``pay_url(payment)``                       A page to pay with a mouse: what a redirect or a QR code points at.
``quiet()``                                For tests: waits until every notice was accepted or given up.
``attempts(number)``                       For tests: the attempts so far.

Amounts are decimal strings in the provider's own format and unit: never floats.

Test controls
-------------
The same for all, NOT part of any protocol; no shop may use them. JSON; an unknown payment answers 404, a malformed
request 400, what the payment's state forbids 409. ``number`` is the merchant's own.

``GET /_control/payments/{number}``         The payment.
``POST /_control/payments/{number}``        ``{"status"?, "received"?, "currency"?, "amount"?, "extra"?}``: what the
                                            provider believes from now on. Sends nothing. ``extra`` is merged. Answers
                                            the payment.
``POST /_control/pay/{number}``             ``{"received"?, "notify"?: true}``: pays as the buyer would. Answers the
                                            payment.
``POST /_control/notices/{number}``         ``{"event": "paid"}``: tells it now, whatever the payment's state.
``GET /_control/notices/{number}``          The attempts, oldest first: ``[{"at", "event", "status", "answer",
                                            "accepted"}]``, ``at`` in Unix seconds; ``status`` is 0 and ``answer``
                                            the error if none came.
``POST /_control/refunds/{refund_id}``      ``{"status": "done" | "refused", "notify"?: false}``: settles a pending
                                            refund; ``notify`` tells ``refunded`` or ``refund_refused``. Answers it.
``POST /_control/outage``                   ``{"query"?: bool, "all"?: bool, …}``: such calls answer 503 until switched
                                            off; a switch left out stays as it is. Answers all switches.
``GET /_control/calls``                     How many calls of each kind there were, those turned down included.
"""

from __future__ import annotations

import argparse
import copy
import heapq
import itertools
import json
import logging
import math
import secrets
import signal
import socket
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal, InvalidOperation
from html import escape
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

TIMEOUT = 5.0  # seconds for one attempt to tell the shop
_BODY_BYTES = 65536
_ANSWER_CHARS = 200
_WORKERS = 8
_logger = logging.getLogger("booth")

_STATES = {
    "open": ("待付款", "Amount to pay"),
    "paid": ("✓ 已支付", "Paid"),
    "closed": ("已关闭", "Closed"),
    "failed": ("支付失败", "Failed"),
    "refunded": ("已退款", "Refunded"),
    "charged_back": ("已拒付", "Charged back"),
}


@dataclass
class Refund:
    """Money on its way back; ``refund_id`` is the merchant's, ``reference`` the provider's own."""

    refund_id: str
    amount: str
    status: str = "pending"  # or done, refused
    reference: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass
class Payment:
    """What a merchant asked for and what became of it."""

    number: str  # the merchant's payment id
    amount: str  # exactly as the merchant asked
    currency: str
    notify_url: str = ""
    return_url: str = ""
    reference: str = field(default_factory=lambda: secrets.token_hex(16))  # the provider's own number
    status: str = "open"  # or paid, closed, failed, refunded (all of it), charged_back
    received: str = "0"
    refunded: str = "0"
    refunds: dict[str, Refund] = field(default_factory=dict)  # by refund_id
    extra: dict[str, Any] = field(default_factory=dict)  # whatever this provider keeps, as JSON has it


@dataclass(frozen=True)
class Request:
    """One HTTP request, taken apart; of a name given twice the last counts."""

    method: str
    target: str  # path and query as they came, for signatures
    path: str  # percent-decoded, without the query
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body's JSON object, an empty body counting as an empty one; ``Refusal(400)`` if it is none."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Refusal(400, {"error": "The body must be a JSON object"})
        return value

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """What to answer; unless said otherwise text is HTML, and an object or a list is sent as JSON."""

    status: int = 200
    body: bytes | str | dict[str, Any] | list[Any] = b""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> tuple[bytes, str]:
        if isinstance(self.body, bytes):
            return self.body, self.content_type or "application/octet-stream"
        if isinstance(self.body, str):
            return self.body.encode(), self.content_type or "text/html; charset=utf-8"
        return json.dumps(self.body, ensure_ascii=False).encode(), self.content_type or "application/json"


class Refusal(Exception):
    """Turns a request down with this answer."""

    def __init__(self, status: int, body: bytes | str | dict[str, Any]) -> None:
        super().__init__(status)
        self.status, self.body = status, body


@dataclass(frozen=True)
class Outgoing:
    """A call to the shop."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Telling:
    """One thing told to the shop, in however many attempts."""

    id: str
    at: float  # Unix seconds when it was first to be told
    refund: Refund | None
    attempt: int = 0  # 1 for the first retry


@dataclass(frozen=True)
class Attempt:
    """How one attempt to tell the shop went."""

    at: float
    event: str
    status: int
    answer: str
    accepted: bool


class Booth(ABC):
    """A provider: its books, its notices, its test controls (see the module's docstring)."""

    name: str
    retries: tuple[float, ...] = (15, 30, 60, 180)
    url = ""  # where it is served

    def __init__(self, account: dict[str, Any], *, time_scale: float = 60.0) -> None:
        self.account = account
        self.time_scale = time_scale
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._payments: dict[str, Payment] = {}
        self._attempts: dict[str, list[Attempt]] = {}
        self._calls: Counter[str] = Counter()
        self._outage: dict[str, bool] = {}
        self._due: list[tuple[float, int, Payment, str, Telling]] = []
        self._order = itertools.count()
        self._under_way = 0
        self._stopping = False
        self._workers: list[threading.Thread] = []

    @abstractmethod
    def handle(self, request: Request) -> Answer:
        """What the provider's own paths answer."""

    @abstractmethod
    def notice(self, payment: Payment, event: str, telling: Telling) -> Outgoing | None:
        """The signed call that tells the shop, or None to say nothing."""

    def accepted(self, status: int, body: bytes) -> bool:
        """Whether this answer of the shop means "got it"."""
        return 200 <= status < 300

    def gives_up(self, status: int) -> bool:
        """Whether an answer that was not accepted is final; status 0 is no answer at all."""
        return False

    def way_back(self, payment: Payment) -> str:
        """Where the buyer's browser goes after paying; empty for nowhere."""
        return payment.return_url

    # The books

    def open(self, payment: Payment) -> Payment:
        with self.lock:
            return self._payments.setdefault(payment.number, payment)

    def find(self, *, number: str = "", reference: str = "") -> Payment | None:
        with self.lock:
            if number:
                return self._payments.get(number)
            return next((each for each in self._payments.values() if each.reference == reference), None)

    def pay(self, payment: Payment, received: str | None = None, notify: bool = True) -> bool:
        """The buyer pays, the whole amount unless told otherwise; False, and nothing done, if it is not open."""
        with self.lock:
            if payment.status != "open":
                return False
            payment.status, payment.received = "paid", payment.amount if received is None else received
            if notify:
                self.tell(payment, "paid")
            _logger.info("%s: paid %s notice=%s", self.name, payment.number, notify)
            return True

    def refund(
        self, payment: Payment, refund_id: str, amount: str, *, status: str = "done", notify: bool = False
    ) -> Refund:
        """Send money back, at once or ``pending`` a control.

        The same id and amount again answer the refund there is. Refuses (400) another amount under the same id, a
        payment that is not paid, and more than is left of what came in.
        """
        with self.lock:
            wanted = _decimal(amount)
            if known := payment.refunds.get(refund_id):
                if _decimal(known.amount) != wanted:
                    raise Refusal(400, {"error": "This refund exists with another amount"})
                return known
            taken = sum(
                (_decimal(each.amount) for each in payment.refunds.values() if each.status != "refused"), Decimal()
            )
            if payment.status != "paid" or not 0 < wanted <= _decimal(payment.received) - taken:
                raise Refusal(400, {"error": "There is not so much to refund"})
            refund = payment.refunds[refund_id] = Refund(refund_id, amount)
            if status != "pending":
                self.settle(payment, refund, status, notify=notify)
            return refund

    def settle(self, payment: Payment, refund: Refund, status: str, *, notify: bool = False) -> None:
        """End a pending refund as ``done`` or ``refused``; refuses (409) one that ended already."""
        with self.lock:
            if refund.status != "pending":
                raise Refusal(409, {"error": f"The refund is {refund.status}"})
            refund.status = status
            if status == "done":
                total = _decimal(payment.refunded) + _decimal(refund.amount)
                payment.refunded = f"{total:f}"
                if total == _decimal(payment.received):
                    payment.status = "refunded"
            if notify:
                self.tell(payment, "refunded" if status == "done" else "refund_refused", refund)

    # Calls and outages

    def count(self, kind: str) -> None:
        with self.lock:
            self._calls[kind] += 1

    def check_outage(self, kind: str) -> None:
        with self.lock:
            self.count(kind)
            if self._outage.get(kind) or self._outage.get("all"):
                raise Refusal(503, {"error": "Down for maintenance, please try again later"})

    # Notices

    def tell(self, payment: Payment, event: str, refund: Refund | None = None) -> None:
        with self.lock:
            telling = Telling(secrets.token_hex(16), time.time(), copy.copy(refund))
            self._queue(0, copy.deepcopy(payment), event, telling)

    def attempts(self, number: str) -> list[Attempt]:
        with self.lock:
            return list(self._attempts.get(number, ()))

    def quiet(self, patience: float = 10.0) -> None:
        """Wait until no notice is due, under way or to be tried again; TimeoutError after so many seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._due and not self._under_way, patience):
                raise TimeoutError(f"{len(self._due)} notices to go, {self._under_way} under way")

    def start(self) -> None:
        self._stopping = False
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(_WORKERS)]
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Start no more attempts and wait for those under way."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + 2 * TIMEOUT
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def _queue(self, wait: float, payment: Payment, event: str, telling: Telling) -> None:
        heapq.heappush(self._due, (time.monotonic() + wait, next(self._order), payment, event, telling))
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and not (self._due and self._due[0][0] <= time.monotonic()):
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._stopping:
                    return
                _, _, payment, event, telling = heapq.heappop(self._due)
                self._under_way += 1
            try:
                self._attempt(payment, event, telling)
            except Exception:  # a worker lost to a fault would silently slow down all later notices
                _logger.exception("%s: notice failed", self.name)
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _attempt(self, payment: Payment, event: str, telling: Telling) -> None:
        with self.lock:
            outgoing = self.notice(payment, event, telling)
        if outgoing is None:
            return
        at = time.time()
        try:
            status, body = _send(outgoing)
        except (OSError, HTTPException, ValueError) as error:
            status, body = 0, type(error).__name__.encode()  # its text may quote the URL, which may hold a signature
        with self.lock:
            accepted = status > 0 and self.accepted(status, body)
            attempt = Attempt(at, event, status, body.decode(errors="replace")[:_ANSWER_CHARS], accepted)
            self._attempts.setdefault(payment.number, []).append(attempt)
            again = not accepted and not self.gives_up(status) and telling.attempt < len(self.retries)
            if again:
                wait = self.retries[telling.attempt] / self.time_scale
                self._queue(wait, payment, event, replace(telling, attempt=telling.attempt + 1))
        outcome = "accepted" if accepted else "failed, will retry" if again else "failed, given up"
        _logger.info("%s: notice %s %s %s try=%d", self.name, event, payment.number, outcome, telling.attempt + 1)

    # The pages and the test controls

    def answer(self, request: Request) -> Answer:
        """What any path answers."""
        with self.lock:
            try:
                match request.path.split("/", 3)[1:]:
                    case ["_control", kind, *key]:
                        return self._control(request, kind, "".join(key))
                    case ["_pay", reference]:
                        return self._pay(request, reference)
                return self.handle(request)
            except Refusal as refusal:
                _logger.info("%s: refused %s %.60r: %d", self.name, request.method, request.path, refusal.status)
                return Answer(refusal.status, refusal.body)

    def pay_url(self, payment: Payment) -> str:
        return f"{self.url}/_pay/{payment.reference}"

    def pay_page(self, payment: Payment) -> str:
        """The payment with the form that pays it or, once it is paid, with the way back to the shop."""
        state, state_en = _STATES[payment.status]
        below = ""
        if payment.status == "open":
            below = f"""<form method="post" action="{escape(self.pay_url(payment))}">
<label><input type="checkbox" name="notify" value="1" checked>
发送通知 · Send the notice <small>（取消勾选即模拟通知丢失 · untick to simulate a lost one）</small></label>
<button type="submit">确认付款 · Pay now</button></form>"""
        elif payment.status == "paid" and (back := self.way_back(payment)):
            below = f'<p><a href="{escape(back)}">返回商户 · Back to the shop</a></p>'
        return f"""<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(self.name)}</title><style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.6 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif;
  max-width: 26em; margin: 10vh auto; padding: 0 1em; text-align: center; overflow-wrap: anywhere }}
b {{ display: block; font-size: 2.2em }} label {{ display: block; margin: 1em 0 }}
button {{ font: inherit; font-weight: 600; width: 100%; padding: .7em }} small {{ opacity: .7 }}
</style></head><body><h1>{escape(self.name)}</h1>
<p>{state} · {state_en}<b>{escape(payment.amount)} {escape(payment.currency)}</b>
<small>订单号 · Order {escape(payment.number)}</small></p>{below}
<p><small>模拟支付，不会真实扣款 · Simulated payment, no money moves</small></p></body></html>
"""

    def _pay(self, request: Request, reference: str) -> Answer:
        payment = self.find(reference=reference)
        if payment is None:
            raise Refusal(404, "订单不存在 · Unknown payment")
        if request.method != "POST":
            # The shop must not learn the address from the browser.
            return Answer(200, self.pay_page(payment), headers={"Referrer-Policy": "no-referrer"})
        self.pay(payment, notify="notify" in request.form())
        back = self.way_back(payment) if payment.status in ("open", "paid") else ""
        return Answer(303, headers={"Location": back or self.pay_url(payment)})

    def _control(self, request: Request, kind: str, key: str) -> Answer:
        wanted = request.json()
        match request.method, kind, bool(key):
            case "GET", "calls", False:
                return Answer(200, dict(self._calls))
            case "POST", "outage", False:
                if not all(isinstance(on, bool) for on in wanted.values()):
                    raise Refusal(400, {"error": "An outage is true or false"})
                self._outage.update(wanted)
                return Answer(200, dict(self._outage))
            case "POST", "refunds", True:
                return self._settle(key, wanted)
            case "GET" | "POST" as method, "payments" | "pay" | "notices", True:
                payment = self.find(number=key)
                if payment is None:
                    raise Refusal(404, {"error": "Unknown payment"})
                return self._control_payment(f"{method} {kind}", payment, wanted)
        raise Refusal(404, {"error": "There is no such control"})

    def _control_payment(self, action: str, payment: Payment, wanted: dict[str, Any]) -> Answer:
        match action:
            case "GET notices":
                return Answer(200, [asdict(attempt) for attempt in self.attempts(payment.number)])
            case "POST notices":
                event = wanted.get("event")
                if not isinstance(event, str):
                    raise Refusal(400, {"error": "Which event?"})
                newest = next(reversed(payment.refunds.values()), None)
                self.tell(payment, event, newest if event.startswith("refund") else None)
            case "POST payments":
                _amend(payment, wanted)
            case "POST pay":
                received, notify = wanted.get("received"), wanted.get("notify", True)
                if not isinstance(received, str | None) or not isinstance(notify, bool):
                    raise Refusal(400, {"error": "What is received is text, notify true or false"})
                if not self.pay(payment, received, notify) and payment.status not in ("open", "paid"):
                    raise Refusal(409, {"error": f"The payment is {payment.status}"})
            case "GET pay":
                raise Refusal(404, {"error": "There is no such control"})
        return Answer(200, asdict(payment))

    def _settle(self, refund_id: str, wanted: dict[str, Any]) -> Answer:
        payment = next((each for each in self._payments.values() if refund_id in each.refunds), None)
        if payment is None:
            raise Refusal(404, {"error": "Unknown refund"})
        status, notify = wanted.get("status"), wanted.get("notify", False)
        if status not in ("done", "refused") or not isinstance(notify, bool):
            raise Refusal(400, {"error": "A refund ends as done or refused, notify is true or false"})
        self.settle(payment, payment.refunds[refund_id], status, notify=notify)
        return Answer(200, asdict(payment.refunds[refund_id]))


def _amend(payment: Payment, wanted: dict[str, Any]) -> None:
    texts = {name: value for name, value in wanted.items() if name != "extra"}
    extra = wanted.get("extra", {})
    if (
        not texts.keys() <= {"status", "received", "currency", "amount"}
        or not all(isinstance(value, str) for value in texts.values())
        or texts.get("status", "open") not in _STATES
        or not isinstance(extra, dict)
    ):
        raise Refusal(400, {"error": f"status ({', '.join(_STATES)}), received, currency, amount, extra"})
    for name, value in texts.items():
        setattr(payment, name, value)
    payment.extra.update(extra)
    # Books that call it paid without the money would be no provider's.
    if payment.status in ("paid", "refunded", "charged_back") and payment.received == "0" and "received" not in texts:
        payment.received = payment.amount
    if texts.get("status") == "refunded":
        payment.refunded = payment.received


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise Refusal(400, {"error": "The amount is not valid"})
    return value


def _send(outgoing: Outgoing) -> tuple[int, bytes]:
    """Call the shop directly, whatever proxies there are; its answer as it is, redirects included."""
    url = urlsplit(outgoing.url)
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=TIMEOUT)
    deadline = time.monotonic() + TIMEOUT
    try:
        target = urlunsplit(("", "", url.path or "/", url.query, ""))
        connection.request(outgoing.method, target, outgoing.body or None, dict(outgoing.headers))
        response = connection.getresponse()
        body = b""
        while len(body) < _BODY_BYTES and (part := response.read1(4096)):
            body += part
            # The socket's timeout starts anew with every byte; the provider's does not.
            if time.monotonic() > deadline:
                raise TimeoutError
        return response.status, body
    finally:
        connection.close()


class _Handler(BaseHTTPRequestHandler):
    """Turns HTTP into requests for the booth and back."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal() or int(length) > _BODY_BYTES:
            self.close_connection = True
            self._send(Answer(413, {"error": "The request is too large"}))
            return
        body = self.rfile.read(int(length))
        try:
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, unquote(url.path), query, headers, body)
            answer = self.server.booth.answer(request)
        except Exception:
            _logger.exception("%s: request failed", self.server.booth.name)
            answer = Answer(500, {"error": "Something went wrong here"})
        self._send(answer)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _send(self, answer: Answer) -> None:
        body, content_type = answer.content()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-store")
        if answer.status != 204:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if answer.status != 204:
            self.wfile.write(body)

    def version_string(self) -> str:
        return "nginx"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: request lines hold keys and signatures. Events are logged where they happen."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for the requests under way
    request_queue_size = 128

    def __init__(self, port: int, booth: Booth) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.booth = booth
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for connection in list(self._connections):
            # An idle client's connection ends now, one that waits for its answer still gets it.
            with suppress(OSError):  # gone already
                connection.shutdown(socket.SHUT_RD)
        super().server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):  # a client may go away when it likes
            _logger.error("%s: connection failed: %s", self.booth.name, type(error).__name__)


B = TypeVar("B", bound=Booth)


@contextmanager
def serve(booth: B, port: int = 0) -> Iterator[B]:
    """The booth on a local port, 0 for any free one, until the block ends."""
    server = _Server(port, booth)
    booth.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    booth.start()
    thread.start()
    try:
        yield booth
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        booth.stop()


def main(make: Callable[..., Booth]) -> None:
    """A provider's command line; ``make(account, time_scale=…)`` is its class."""
    parser = argparse.ArgumentParser(description="A simulated payment provider.")
    parser.add_argument("--port", type=int, required=True, help="local port, 0 for any free one")
    parser.add_argument("--account", type=Path, required=True, metavar="FILE", help="its keys and merchant, JSON")
    parser.add_argument("--time-scale", type=_scale, default=60.0, help="how much faster retries come (60)")
    options = parser.parse_args()
    try:
        booth = make(json.loads(options.account.read_bytes()), time_scale=options.time_scale)
    except KeyError as error:
        parser.error(f"{options.account}: {error} is missing")
    except (OSError, ValueError) as error:  # not its text, which may quote a key
        parser.error(f"{options.account}: {type(error).__name__}")

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    # Blocked in every thread, so that they wait here until they are asked for.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with serve(booth, options.port):
        print(f"listening on {booth.url}", flush=True)
        signal.sigwait(ends)
    _logger.info("%s: stopped", booth.name)


def _scale(text: str) -> float:
    scale = float(text)
    if not (math.isfinite(scale) and scale > 0):
        raise argparse.ArgumentTypeError("must be above zero")
    return scale
