"""The machine's paths, run: on the local engine, with the deployed stack's own orders, cards and functions."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.stock import DynamoPool
from cardshop.domain import order as orders
from cardshop.domain.card import Card
from cardshop.domain.money import Money
from cardshop.domain.order import Line, Order
from cardshop.domain.payment import Payment, PaymentState, payment_id
from cardshop.domain.trade import Status
from cardshop.usecases.cancel_order import PAYMENT_FAILED

from tests.contention.pointing import MODELS, pointed
from tests.domain.builders import AFTER_SALE_MS, BUYER
from tests.house import House, ok, wait_until
from tests.invariants.checker import assert_sound
from tests.statemachines.definition import SUBSTITUTIONS, filled

_LONG = 600  # seconds: nobody waits for the end of this window
_SHORT = 1
_TIME_TO_PAY = 5

AWAIT_PAYMENT, DELIVER, AWAIT_STOCK, AWAIT_RECEIPT, COMPLETE, CLOSE = (
    "AwaitPayment",
    "DeliverCards",
    "AwaitStock",
    "AwaitReceipt",
    "CompleteTrade",
    "CloseTrade",
)
#: The local engine has one name for every class, so a refusal there finds its way from state to state: each of these
#: refuses what is not its own. AWS goes straight to the last one.
_FROM_CLOSE_TO_DELIVER = [CLOSE, AWAIT_STOCK, DELIVER]
_FROM_DELIVER_TO_STOCK = [DELIVER, CLOSE, AWAIT_STOCK]


@dataclass
class Ended:
    """What an execution came to."""

    states: list[str]
    status: str
    output: dict[str, Any]


class Machines:
    """The trade's machine with windows of a test's own, beside the deployed one."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._client = house.aws("stepfunctions")
        self._deployed = house.outputs["StateMachineArn"]
        self._role = self._client.describe_state_machine(stateMachineArn=self._deployed)["roleArn"]
        self._made: dict[tuple[int, int], str] = {}
        stack = house.aws("cloudformation").describe_stack_resources(StackName=house.stack)
        #: The stack's resources by logical id.
        self.physical = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in stack["StackResources"]}
        self._over = self._a_trade_that_is_over()

    def start(self, order: Order, *, payment_window: int, after_sale: int = _SHORT) -> str:
        """An execution for this order; answers its ARN."""
        machine = self._machine(payment_window, after_sale)
        given = json.dumps({"trade_id": order.trade_id})
        name = f"{order.trade_id}-{secrets.token_hex(2)}"
        started = self._client.start_execution(stateMachineArn=machine, name=name, input=given)
        return str(started["executionArn"])

    def end(self, execution: str) -> Ended:
        """As soon as it has ended."""
        found: dict[str, Any] = {}

        def over() -> bool:
            found.update(self._client.describe_execution(executionArn=execution))
            return bool(found["status"] != "RUNNING")

        wait_until(over, lambda: f"{execution} is in {self.states(execution)}")
        return Ended(self.states(execution), found["status"], json.loads(found.get("output") or "{}"))

    def states(self, execution: str) -> list[str]:
        """The states it has entered, in turn."""
        pages = self._client.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [
            event["stateEnteredEventDetails"]["name"]
            for page in pages
            for event in page["events"]
            if "stateEnteredEventDetails" in event
        ]

    def wake(self, token: str) -> None:
        self._client.send_task_success(taskToken=token, output="{}")

    def fail(self, token: str, error: str) -> None:
        self._client.send_task_failure(taskToken=token, error=error)

    def take_from_the_deployed_one(self, trade_id: str) -> None:
        """Every new order starts an execution of the deployed machine, of this name. It has had one, for another trade.

        It ended well: whose execution was stopped gets a new one of `reconcile`.
        """
        given = json.dumps({"trade_id": self._over})
        started = self._client.start_execution(stateMachineArn=self._deployed, name=trade_id, input=given)
        assert self.end(started["executionArn"]).status == "SUCCEEDED"

    def _a_trade_that_is_over(self) -> str:
        placed = self.house.placed(self.house.product(1)[0])
        ok(self.house.act(placed, "cancel"))
        self.house.until(placed, "closed")
        return str(placed["trade_id"])

    def delete(self) -> None:
        for machine in self._made.values():
            self._client.delete_state_machine(stateMachineArn=machine)

    def _machine(self, payment_window: int, after_sale: int) -> str:
        windows = (payment_window, after_sale)
        if windows not in self._made:
            values = {"PaymentWindowSeconds": payment_window, "AfterSaleSeconds": after_sale, **self._resources()}
            made = self._client.create_state_machine(
                name=f"trade-{secrets.token_hex(4)}", definition=filled(values), roleArn=self._role
            )
            self._made[windows] = made["stateMachineArn"]
        return self._made[windows]

    def _resources(self) -> dict[str, str]:
        """What the template would put into the definition for this stack."""
        found = self.house.aws("lambda").get_function
        functions = {
            name: found(FunctionName=self.physical[name])["Configuration"]["FunctionArn"]
            for name in SUBSTITUTIONS
            if name.endswith("Function")
        }
        return {"OrdersTable": self.physical["OrdersTable"], **functions}


@pytest.fixture(scope="module")
def machines(house: House) -> Iterator[Machines]:
    """The repositories are the stack's own while these tests run, and the shop is sound after them."""
    machines = Machines(house)
    with pointed(house.home.endpoint, {logical: machines.physical[logical] for logical in MODELS}):
        yield machines
    machines.delete()
    assert_sound(house)


def _clock() -> int:
    return time.time_ns() // 1_000_000


def _placed(machines: Machines) -> Order:
    """A pending order for one card of a fresh product, which only the tests' own machines drive."""
    sku, _ = machines.house.product(1)
    product = DynamoCatalogue().find(sku, consistent=True)
    assert product is not None
    ((pool, _),) = product.pools()
    trade_id = orders.trade_id(b"tests", secrets.token_hex(16))
    machines.take_from_the_deployed_one(trade_id)
    order = Order.placed(
        trade_id=trade_id,
        lines=(Line(sku, product.name, 1, product.price),),
        cards=tuple(DynamoPool().look(pool, 1, consistent=True)),
        payment=Payment(payment_id(trade_id, 1), "epay", product.price, PaymentState.OPEN),
        actor=BUYER,
        at=_clock(),
        window_ms=1_800_000,
        fingerprint="-",
    )
    DynamoOrders().place(order, {})
    return order


def _stored(order: Order) -> Order:
    found = DynamoOrders().find(order.trade_id)
    assert found is not None
    return found


def _changed(order: Order, after: Order) -> Order:
    return DynamoOrders().record(order, after)


def _paid(order: Order) -> Order:
    """Paid, and nobody woken."""
    (payment,) = order.payments
    return _changed(order, order.settled(payment.payment_id, Money(payment.amount.minor, "CNY"), "1", _clock()))


def _late(order: Order, *, cards: tuple[Card, ...] | None = None, lacking: str | None = None) -> Order:
    """The closed order, paid for after all."""
    (payment,) = order.payments
    return order.settled(payment.payment_id, payment.amount, "1", _clock(), cards=cards, lacking=lacking)


def _token(order: Order, *, since: str | None = None) -> str:
    """The task token on the order, as soon as there is one, or another than it had."""
    tokens: list[str] = []

    def there() -> bool:
        tokens[:] = [token for token in [_stored(order).task_token] if token not in (None, since)]
        return bool(tokens)

    wait_until(there, lambda: f"{order.trade_id} has no task token")
    return tokens[0]


def _pool_of(order: Order) -> int:
    """Cards for sale where this order's card came from."""
    return DynamoPool().count(order.cards[0].pool)


def test_paid_while_the_machine_waits(machines: Machines) -> None:
    order = _placed(machines)
    execution = machines.start(order, payment_window=_LONG)
    token = _token(order)
    assert _stored(order).version == 1, "a task token is no change"

    _paid(_stored(order))
    machines.wake(token)

    ended = machines.end(execution)
    assert ended == Ended([AWAIT_PAYMENT, DELIVER, AWAIT_RECEIPT, COMPLETE], "SUCCEEDED", {"status": "completed"})
    after = _stored(order)
    assert (after.status, after.version) == (Status.COMPLETED, 4)
    assert [card.card_id for card in after.cards] == [card.card_id for card in order.cards]
    assert _pool_of(order) == 0


def test_paid_before_the_machine_has_begun(machines: Machines) -> None:
    order = _placed(machines)
    _paid(order)
    ended = machines.end(machines.start(order, payment_window=_LONG))
    assert ended == Ended([AWAIT_PAYMENT, DELIVER, AWAIT_RECEIPT, COMPLETE], "SUCCEEDED", {"status": "completed"})
    assert (_stored(order).status, _stored(order).version) == (Status.COMPLETED, 4)


def test_nobody_pays(machines: Machines) -> None:
    order = _placed(machines)
    ended = machines.end(machines.start(order, payment_window=_SHORT))
    assert ended == Ended([AWAIT_PAYMENT, CLOSE], "SUCCEEDED", {"status": "closed"})
    after = _stored(order)
    assert (after.status, after.version, after.cards) == (Status.CLOSED, 2, ())
    assert _pool_of(order) == 1, "its card is for sale again"


def test_paid_at_the_moment_of_closing(machines: Machines) -> None:
    """The payment is in, and its wake-up did not come before the window's end."""
    order = _placed(machines)
    execution = machines.start(order, payment_window=_TIME_TO_PAY)
    _token(order)
    _paid(_stored(order))
    ended = machines.end(execution)
    assert ended == Ended(
        [AWAIT_PAYMENT, *_FROM_CLOSE_TO_DELIVER, AWAIT_RECEIPT, COMPLETE], "SUCCEEDED", {"status": "completed"}
    )
    after = _stored(order)
    assert (after.status, after.version) == (Status.COMPLETED, 4)
    assert _pool_of(order) == 0, "the buyer's card did not go back on sale"


def test_a_buyer_who_cancels_ends_the_wait(machines: Machines) -> None:
    order = _placed(machines)
    execution = machines.start(order, payment_window=_LONG)
    token = _token(order)
    failed = _changed(_stored(order), _stored(order).failed(_clock(), BUYER))
    assert failed.task_token == token, "it is there for whoever wakes the machine, and for a second try"
    machines.fail(token, PAYMENT_FAILED)
    ended = machines.end(execution)
    assert ended == Ended([AWAIT_PAYMENT, CLOSE], "SUCCEEDED", {"status": "closed"})
    after = _stored(order)
    assert (after.status, after.version, after.cards) == (Status.CLOSED, 3, ())
    assert _pool_of(order) == 1, "its card is for sale again"


def test_money_that_is_late_is_delivered_by_a_new_execution(machines: Machines) -> None:
    order = _placed(machines)
    machines.end(machines.start(order, payment_window=_SHORT))
    closed = _stored(order)
    (card,) = DynamoPool().look(order.cards[0].pool, 1, consistent=True)
    _changed(closed, _late(closed, cards=(card,)))
    ended = machines.end(machines.start(order, payment_window=_LONG))
    assert ended == Ended([AWAIT_PAYMENT, DELIVER, AWAIT_RECEIPT, COMPLETE], "SUCCEEDED", {"status": "completed"})
    after = _stored(order)
    assert (after.status, after.version) == (Status.COMPLETED, 5)
    assert [each.card_id for each in after.cards] == [card.card_id]
    assert _pool_of(order) == 0


def _waiting_for_stock(machines: Machines) -> tuple[Order, str]:
    """An order that was paid late, when its card was sold to somebody else; and an execution that waits for stock."""
    order = _placed(machines)
    machines.end(machines.start(order, payment_window=_SHORT))
    buyer = machines.house.placed(order.lines[0].sku)
    machines.house.pay(buyer)
    machines.house.until(buyer, "delivered")
    late = _changed(_stored(order), _late(_stored(order), lacking=order.lines[0].sku))
    execution = machines.start(order, payment_window=_LONG)
    _token(order, since=late.task_token)
    return order, execution


def test_who_awaits_stock_is_delivered_when_an_import_brings_some(machines: Machines) -> None:
    """By the deployed import, which wakes whichever machine's token is on the order."""
    order, execution = _waiting_for_stock(machines)
    assert machines.states(execution) == [AWAIT_PAYMENT, *_FROM_DELIVER_TO_STOCK]
    assert (_stored(order).status, _stored(order).version) == (Status.AWAITING_STOCK, 3), "waiting is no change"

    sku, house = order.lines[0].sku, machines.house
    ok(house.api.post(f"/admin/products/{sku}/cards", headers=house.operator, content=f"CODE-{secrets.token_hex(8)}"))

    ended = machines.end(execution)
    assert ended == Ended(
        [AWAIT_PAYMENT, *_FROM_DELIVER_TO_STOCK, AWAIT_RECEIPT, COMPLETE], "SUCCEEDED", {"status": "completed"}
    )
    after = _stored(order)
    assert (after.status, after.version, len(after.cards)) == (Status.COMPLETED, 5, 1)
    assert DynamoPool().count(after.cards[0].pool) == 0


def test_who_was_given_cards_while_the_machine_was_on_its_way_to_wait_for_some_is_not_kept(machines: Machines) -> None:
    order = _placed(machines)
    (card,) = order.cards
    closed = _changed(order, order.closed(_clock()))
    waiting = _changed(closed, _late(closed, lacking=order.lines[0].sku))
    (card,) = DynamoPool().look(card.pool, 1, consistent=True)
    _changed(waiting, waiting.delivered(_clock(), AFTER_SALE_MS, cards=(card,)))
    ended = machines.end(machines.start(order, payment_window=_LONG))
    assert ended.states == [AWAIT_PAYMENT, DELIVER, AWAIT_RECEIPT, COMPLETE]
    assert (_stored(order).status, _stored(order).version) == (Status.COMPLETED, 5)


def test_two_executions_of_a_trade_that_awaits_stock_complete_it_once(machines: Machines) -> None:
    """The second wrote its token over the first one's; the first, woken by anyone, finds everything done."""
    order, first = _waiting_for_stock(machines)
    stale = _token(order)
    second = machines.start(order, payment_window=_LONG)
    _token(order, since=stale)
    sku, house = order.lines[0].sku, machines.house
    ok(house.api.post(f"/admin/products/{sku}/cards", headers=house.operator, content=f"CODE-{secrets.token_hex(8)}"))
    assert machines.end(second).output == {"status": "completed"}
    before = _stored(order)
    machines.wake(stale)
    assert machines.end(first).output == {"status": "completed"}
    assert _stored(order) == before


def test_a_delivered_order_is_taken_over_by_a_new_execution(machines: Machines) -> None:
    order = _placed(machines)
    paid = _paid(order)
    _changed(paid, paid.delivered(_clock(), AFTER_SALE_MS))
    ended = machines.end(machines.start(order, payment_window=_LONG))
    assert ended == Ended([AWAIT_PAYMENT, DELIVER, AWAIT_RECEIPT, COMPLETE], "SUCCEEDED", {"status": "completed"})
    assert (_stored(order).status, _stored(order).version) == (Status.COMPLETED, 4), "completed, and nothing else"


def test_a_delivered_order_that_the_buyer_confirms(machines: Machines) -> None:
    order = _placed(machines)
    paid = _paid(order)
    delivered = _changed(paid, paid.delivered(_clock(), AFTER_SALE_MS))
    execution = machines.start(order, payment_window=_LONG, after_sale=_LONG)
    token = _token(order)
    _changed(delivered, delivered.completed(_clock(), BUYER))
    machines.wake(token)
    ended = machines.end(execution)
    assert ended.states == [AWAIT_PAYMENT, DELIVER, AWAIT_RECEIPT, COMPLETE]
    assert (_stored(order).status, _stored(order).version) == (Status.COMPLETED, 4)


def test_a_completed_order_is_left_alone(machines: Machines) -> None:
    order = _placed(machines)
    paid = _paid(order)
    delivered = _changed(paid, paid.delivered(_clock(), AFTER_SALE_MS))
    _changed(delivered, delivered.completed(_clock()))
    before = _stored(order)
    ended = machines.end(machines.start(order, payment_window=_LONG, after_sale=_LONG))
    assert ended == Ended([AWAIT_PAYMENT, DELIVER, AWAIT_RECEIPT, COMPLETE], "SUCCEEDED", {"status": "completed"})
    assert _stored(order) == before


def test_a_failed_payment_closes_the_order(machines: Machines) -> None:
    order = _placed(machines)
    _changed(order, order.failed(_clock(), BUYER))
    ended = machines.end(machines.start(order, payment_window=_LONG))
    assert ended == Ended([AWAIT_PAYMENT, DELIVER, CLOSE], "SUCCEEDED", {"status": "closed"})
    after = _stored(order)
    assert (after.status, after.version, after.cards) == (Status.CLOSED, 3, ())
    assert _pool_of(order) == 1


def test_a_closed_order_is_left_alone(machines: Machines) -> None:
    order = _placed(machines)
    _changed(order, order.closed(_clock()))
    before = _stored(order)
    ended = machines.end(machines.start(order, payment_window=_LONG))
    assert ended == Ended([AWAIT_PAYMENT, DELIVER, CLOSE], "SUCCEEDED", {"status": "closed"})
    assert _stored(order) == before
    assert _pool_of(order) == 1, "its card came back once"


def test_two_executions_of_one_trade_deliver_once(machines: Machines) -> None:
    """The second wrote its token over the first one's; whichever is woken later finds everything done."""
    order = _placed(machines)
    first = machines.start(order, payment_window=_LONG)
    stale = _token(order)
    second = machines.start(order, payment_window=_LONG)
    token = _token(order, since=stale)
    _paid(_stored(order))
    machines.wake(token)
    assert machines.end(second).states == [AWAIT_PAYMENT, DELIVER, AWAIT_RECEIPT, COMPLETE]
    before = _stored(order)
    assert (before.status, before.version) == (Status.COMPLETED, 4)

    machines.wake(stale)
    assert machines.end(first).states == [AWAIT_PAYMENT, DELIVER, AWAIT_RECEIPT, COMPLETE]
    assert _stored(order) == before
    assert _pool_of(order) == 0
