"""Who uses the shop: a buyer and an operator who try again when they are not answered, and whoever audits it all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from boto3.dynamodb.types import TypeDeserializer
from cardshop.adapters.settings import SigningKeys
from cardshop.api import tokens
from cardshop.domain.payment import RefundState

from faults.calls import images
from faults.clock import DAY, HOUR, MINUTE
from faults.line import Connection
from faults.platform import Answer, Platform
from faults.providers import Providers, received, sent_back
from faults.template import PUBLIC_URL
from simulators.booth import Booth, Payment
from tests.adapters.cloud import table_name
from tests.invariants.checker import Snapshot, violations

SKU, PRICE = "steam-50", 990
_PATIENCE = 40 * MINUTE  # seconds for which somebody goes on trying
_RESTS = 3 * HOUR
_HEARS = 80 * MINUTE  # what comes late comes within that, and no connection has ended by then
_plain = TypeDeserializer()


class Failure(Exception):
    """The shop did not do what it must."""


@dataclass
class Order:
    """As its buyer knows it."""

    trade_id: str
    token: str
    channel: str
    payment: dict[str, Any]


@dataclass
class Terminal:
    """Listens to an order, or to the whole shop; keeps the greatest version, and comes back when it is cut off."""

    shop: Shop
    order: Order
    feed: str  # order | shop
    connection: Connection | None = None
    read: int = 0  # the order's version when it was last read: what comes after that is pushed

    def ticket(self) -> str:
        answer = self.shop.manages("POST", "/tickets") if self.feed == "shop" else self.shop.act(self.order, "/tickets")
        return str(_ok(answer)["ticket"])

    def comes(self, ticket: str | None = None) -> None:
        """A ticket that is refused leaves it with what it reads."""
        self.connection = self.shop.platform.line.connect(ticket or self.ticket())
        self.read = int(_ok(self.shop.act(self.order, "", method="GET"))["version"])

    def leaves(self) -> None:
        if self.connection is not None:
            self.shop.platform.line.leave(self.connection)

    @property
    def misses(self) -> set[int]:
        """Versions that it knows nothing of: each change is pushed to a connection that has been open since before."""
        heard = {each["version"] for each in self._heard}
        return set(range(self.read + 1, int(self.shop.stored(self.order)["version"]) + 1)) - heard

    @property
    def _heard(self) -> list[dict[str, Any]]:
        told = self.connection.heard if self.connection is not None else []
        return [each for each in told if each["trade_id"] == self.order.trade_id]

    def hears(self) -> None:
        """Until it knows how the order stands."""
        waited = 0.0
        while self.misses:
            if waited > _HEARS:
                raise Failure(f"a terminal that listens knows nothing of versions {sorted(self.misses)}")
            if self.connection is None or not self.connection.is_open:
                self.comes()
            self.shop.platform.wait(30)
            waited += 30


@dataclass
class Shop:
    platform: Platform
    providers: Providers
    revealed: dict[str, list[str]] = field(default_factory=dict)  # trade → its codes, once they were read
    reads_of: Counter[str] = field(default_factory=Counter)
    codes: dict[str, str] = field(default_factory=dict)  # code → its batch
    kept: dict[str, int] = field(default_factory=dict)  # trade → minor units, where it is not the whole price
    _keys: int = 0

    # ---- anybody

    def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Sent again, as it was, until it is answered by anything but a 5xx."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        waited, pause = 0.0, 1.0
        while True:
            answer = self.platform.call(method, f"{PUBLIC_URL}{path}", headers, raw)
            if answer.status < 500:
                return answer
            if waited > _PATIENCE:
                raise Failure(f"{method} {path}: {answer.status} for {_PATIENCE} s: {answer.text}")
            self.platform.wait(pause)
            waited, pause = waited + pause, min(60.0, pause * 2)

    # ---- the operator

    @property
    def _operator(self) -> dict[str, str]:
        token = tokens.issue(SigningKeys("OperatorTokenKey"), audience="operator", subject="alice", lifetime=3600)
        return {"Authorization": f"Bearer {token}"}

    def manages(self, method: str, path: str, body: Any = None, key: str | None = None) -> Answer:
        headers = {**self._operator, **({"Idempotency-Key": key} if key else {})}
        return self.send(method, f"/admin{path}", body, headers)

    def opens(self) -> None:
        """Its channels and its product, without a card."""
        for name, settings in self.providers.settings.items():
            _ok(self.manages("PUT", f"/channels/{name}", settings))
        product = {"name": "Steam 50 元", "price": {"minor": PRICE, "currency": "CNY"}, "status": "on_sale"}
        _ok(self.manages("PUT", f"/products/{SKU}", product))

    def imports(self, *codes: str) -> str:
        """The batch."""
        answer = _ok(self.manages("POST", f"/products/{SKU}/cards", "\n".join(codes).encode()))
        self.codes.update(dict.fromkeys(codes, answer["batch"]))
        return str(answer["batch"])

    def moves(self, batch: str, status: str) -> None:
        _ok(self.manages("PUT", f"/products/{SKU}/batches/{batch}", {"status": status}))

    # ---- the buyer

    def order(self, channel: str = "stripe", quantity: int = 1) -> Order:
        order = self.tries_to_order(channel, quantity)
        if order is None:
            raise Failure("no such order can be placed")
        return order

    def tries_to_order(self, channel: str, quantity: int) -> Order | None:
        """None if there are too few cards."""
        self._keys += 1
        wish = {"items": [{"sku": SKU, "quantity": quantity}], "channel": channel, "terminal": "pc"}
        answer = self.send("POST", "/orders", wish, {"Idempotency-Key": f"0f6c9a3e-1f7e-4d55-8a5b-{self._keys:012}"})
        if answer.status == 409 and answer.json["code"] == "out_of_stock":
            return None
        placed = _ok(answer)
        return Order(placed["trade_id"], placed["token"], channel, placed["payment"])

    def act(self, order: Order, path: str, body: Any = None, method: str = "POST") -> Answer:
        headers = {"Authorization": f"Bearer {order.token}"}
        return self.send(method, f"/orders/{order.trade_id}{path}", body, headers)

    def page(self, order: Order) -> tuple[Booth, Payment]:
        """Where it is paid, once the shop can say so."""
        while "redirect_url" not in order.payment:
            order.payment = _ok(self.act(order, "/payments", {"channel": order.channel}))["payment"]
        return self.providers.opened(order.payment["redirect_url"])

    def pays(self, order: Order, *, notify: bool = True) -> None:
        """At the provider, where a page waits for it."""
        booth, payment = self.page(order)
        if not booth.pay(payment, notify=notify):
            raise Failure("it cannot be paid")

    def listens(self, order: Order, feed: str = "order") -> Terminal:
        """With its own ticket, which somebody else has seen and tries as well."""
        terminal = Terminal(self, order, feed)
        ticket, line = terminal.ticket(), self.platform.line
        others: list[Connection | None] = []
        self.platform.at(0.1, lambda: others.append(line.connect(ticket)))
        terminal.comes(ticket)
        self.platform.wait(1)
        if terminal.connection is not None and any(others):
            raise Failure("one ticket let two in")
        for other in others:
            if other is not None:
                line.leave(other)
        return terminal

    def forgets(self, *terminals: Terminal) -> None:
        """All places of connections but these are given up: nobody listens there."""
        kept = {f"CONNECTION#{each.connection.name}" for each in terminals if each.connection is not None}

        def are_forgotten() -> bool:
            there = {each["name"] for each in self.table("ConnectionsTable")}
            return {each for each in there if each.startswith("CONNECTION#")} <= kept

        self.waits_for(are_forgotten, "a connection that is gone keeps its place", patience=_HEARS)

    def hands_over(self, order: Order) -> Order:
        """To another terminal, by a code that a third one brings at the same time: one of them is let in."""
        for _ in range(5):
            let_in = [each for each in self._bring(_ok(self.act(order, "/handoffs"))["code"]) if each.status == 200]
            if len(let_in) > 1:
                raise Failure("one code let two in")
            if let_in:
                return Order(order.trade_id, let_in[0].json["token"], order.channel, order.payment)
        raise Failure("no code lets anybody in")

    def _bring(self, code: str) -> list[Answer]:
        body = json.dumps({"code": code, "terminal": "mobile"}).encode()
        answers: list[Answer] = []
        self.platform.at(0.1, lambda: answers.append(self.platform.call("POST", f"{PUBLIC_URL}/handoffs", None, body)))
        answers.append(self.send("POST", "/handoffs", body))
        self.platform.wait(1)
        return answers

    def waits(self, order: Order, *statuses: str, patience: float = _RESTS) -> str:
        """Until it is in one of these; the state it is in then."""
        waited = 0.0
        while (status := self.stored(order)["status"]) not in statuses:
            if waited > patience:
                raise Failure(f"still {status} after {patience:.0f} s, instead of {' or '.join(statuses)}")
            self.platform.wait(1 if waited < 10 else 30)
            waited += 1 if waited < 10 else 30
        return str(status)

    def waits_for(self, holds: Callable[[], bool], otherwise: str, patience: float = _RESTS) -> None:
        waited = 0.0
        while not holds():
            if waited > patience:
                raise Failure(otherwise)
            self.platform.wait(30)
            waited += 30

    def refunds(self, order: Order) -> list[str]:
        """How those of its first payment stand."""
        return [str(each["state"]) for each in self.stored(order)["payments"][0].get("refunds") or ()]

    def reads(self, order: Order) -> list[str]:
        """Its codes, which are some that the operator has loaded."""
        answer = _ok(self.act(order, "/cards"))
        codes = [each["code"] for each in answer["cards"]]
        if set(codes) - self.codes.keys():
            raise Failure("a code that nobody has loaded")
        self.reads_of[order.trade_id] += 1
        known = self.revealed.setdefault(order.trade_id, codes)
        if known != codes:
            raise Failure("other codes than the time before")
        return codes

    # ---- whoever audits

    def stored(self, order: Order) -> dict[str, Any]:
        return next(each for each in self.table("OrdersTable") if each["trade_id"] == order.trade_id)

    @staticmethod
    def table(name: str) -> list[dict[str, Any]]:
        return [{key: _plain.deserialize(value) for key, value in each.items()} for each in images(table_name(name))]

    def snapshot(self) -> Snapshot:
        executions = self.platform.machine.executions.values()
        return Snapshot(
            orders=self.table("OrdersTable"),
            timeline=self.table("TimelineTable"),
            pool=self.table("StockTable"),
            sealed=self.table("SealedTable"),
            catalogue=self.table("CatalogueTable"),
            holdings=self.table("HoldingsTable"),
            running={each.given["trade_id"]: each.state for each in executions if each.status == "RUNNING"},
            queues={name: len(queue.messages) for name, queue in self.platform.queues.items()},
        )

    def comes_to_rest(self) -> list[str]:
        """What is not as it must be some hours later, and what when every window is over and the books are audited."""
        self.platform.wait(_RESTS)
        found = self._faults()
        self.platform.wait(9 * DAY)
        found += [f"in the end, {each}" for each in self._faults()]
        unfinished = [each.name for each in self.platform.machine.executions.values() if each.status == "RUNNING"]
        found += [f"in the end, execution {name} runs" for name in unfinished]
        self.platform.plan.end()
        audited = self.platform.invoke("audit_stock", {})
        if audited.error is not None or audited.value["missing"]:
            found.append(f"the audit says {audited.value or audited.error}")
        return list(dict.fromkeys([*self.platform.complaints, *found]))

    def _faults(self) -> list[str]:
        shop = self.snapshot()
        return [*violations(shop), *self._money(shop), *self._reveals(shop), *self._pushes(shop)]

    def _money(self, shop: Snapshot) -> list[str]:
        """What came in at the providers is on the orders, what went back too, and nothing is given for nothing."""
        found, known = [], {}
        for order in shop.orders:
            name, kept = order["trade_id"], 0
            for payment in order["payments"]:
                number = known[payment["id"]] = payment["id"]
                there = self.providers.payments.get(number)
                came = received(there) if there else 0
                went = sent_back(there) if there else 0
                refunds = payment.get("refunds") or []
                told = sum(int(each["minor"]) for each in refunds if each["state"] == RefundState.DONE)
                owed = sum(int(each["minor"]) for each in refunds if each["state"] == RefundState.BY_HAND)
                if came != int(payment.get("paid_minor") or 0):
                    found.append(f"payment {number}: {came} came in, {payment.get('paid_minor')} is on the order")
                if went != told:
                    found.append(f"payment {number}: {went} went back, {told} is on the order")
                kept += came - went - owed
            gives = order["status"] in {"delivered", "completed"}
            if kept != (self.kept.get(name, int(order["minor"])) if gives else 0):
                found.append(f"{name} is {order['status']}, and {kept} was kept for it")
        for number, payment in self.providers.payments.items():
            if received(payment) and number not in known:
                found.append(f"payment {number} is on no order")
        return found

    def _pushes(self, shop: Snapshot) -> list[str]:
        """Nothing that a terminal was told is untrue."""
        true = {(each["trade_id"], each["entry"]): (each["what"], each.get("status")) for each in shop.timeline}
        return [
            f"version {each['version']} of {each['trade_id']} was pushed as {each['status']}"
            for connection in self.platform.line.connections.values()
            for each in connection.heard
            if true.get((each["trade_id"], f"EVENT#{each['version']:06}")) != (each["change"]["what"], each["status"])
        ]

    def _reveals(self, shop: Snapshot) -> list[str]:
        """Codes are read after it is on record, and each by one trade."""
        found = []
        told = Counter(each["trade_id"] for each in shop.timeline if each["what"] == "cards_revealed")
        for trade_id, times in self.reads_of.items():
            if told[trade_id] < times:
                found.append(f"{trade_id} was read {times} times, its timeline says {told[trade_id]}")
        read = [code for codes in self.revealed.values() for code in codes]
        if len(set(read)) != len(read):
            found.append("a code was read by two trades")
        return found


def _ok(answer: Answer) -> dict[str, Any]:
    if not 200 <= answer.status < 300:
        raise Failure(f"{answer.status}: {answer.text}")
    return answer.json
