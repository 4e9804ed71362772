"""The shop's use cases on whatever tables the repositories point at, and what those tables then hold."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import TypeVar

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.clock import clock
from cardshop.adapters.orders import DynamoOrders, _order
from cardshop.adapters.payments.epay import Epay
from cardshop.adapters.stock import DynamoPool, DynamoSealedCards
from cardshop.adapters.tables import OrderItem, PoolItem, SealedItem
from cardshop.domain.card import Card, Pool
from cardshop.domain.money import Money
from cardshop.domain.order import Actor, Change, Order
from cardshop.domain.payment import Channel, EventKind, Payment, PaymentEvent
from cardshop.domain.product import Product
from cardshop.domain.trade import HOLDS_CARDS, SETTLED_OR_MOVING, Status
from cardshop.ports import CardPool, Catalogue, Orders, PublicUrls, SealedCards, WrappedKey
from cardshop.usecases.ask_provider import AskProvider
from cardshop.usecases.cancel_order import CancelOrder
from cardshop.usecases.close_trade import CloseTrade
from cardshop.usecases.deliver_cards import DeliverCards
from cardshop.usecases.fill_orders import FillOrders
from cardshop.usecases.import_cards import ImportCards, Imported
from cardshop.usecases.manage_batches import ManageBatches
from cardshop.usecases.open_payment import OpenPayment
from cardshop.usecases.pay_order import PayOrder
from cardshop.usecases.place_order import PlaceOrder, Wish
from cardshop.usecases.put_on_sale import PutOnSale
from cardshop.usecases.settle_payment import RecordPayment, SettlePayment

PRICE = Money(990, "CNY")
BUYER = Actor("buyer", "pc")
AFTER_SALE_MS = 604_800_000
_CHANNEL = Channel("epay", "epay", {"url": "https://pay.example", "pid": "1001", "type": "alipay"}, {"key": "k"})
_T = TypeVar("_T")


class OneChannel:
    """`ports.Channels`."""

    def find(self, name: str) -> Channel | None:
        return _CHANNEL if name == _CHANNEL.name else None


class PlainSealer:
    """`ports.Sealer` and `ports.Opener`, in memory: a sealed code names the key it was sealed with."""

    def new_key(self, sku: str, batch: str) -> tuple[WrappedKey, bytes]:
        key_id = secrets.token_hex(8)
        return WrappedKey(key_id, sku, batch, key_id.encode()), key_id.encode()

    def seal(self, key: bytes, sku: str, card_id: str, code: str) -> bytes:
        return b"|".join([key, sku.encode(), card_id.encode(), code.encode()])

    def unwrap(self, key: WrappedKey) -> bytes:
        return key.wrapped

    def open(self, key: bytes, sku: str, card_id: str, sealed: bytes) -> str:
        *bound, code = sealed.split(b"|")
        assert bound == [key, sku.encode(), card_id.encode()], "opened as the card it was sealed as"
        return code.decode()


class Books(Epay):
    """A provider that closes nothing: it says what is in its books, and what happens meanwhile happens first."""

    def __init__(self, happens: Callable[[], object] = lambda: None) -> None:
        self.paid: set[str] = set()
        self.asked: list[str] = []
        self.happens = happens

    def query_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        self.asked.append(payment.payment_id)
        paid = payment.payment_id in self.paid
        self.happens()
        if not paid:
            return PaymentEvent(payment.payment_id, EventKind.OPEN)
        return PaymentEvent(payment.payment_id, EventKind.PAID, PRICE, "provider-1")


@dataclass
class Machine:
    """`ports.Workflow`: remembers who was woken."""

    woken: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)

    def start(self, trade_id: str) -> None:
        self.started.append(trade_id)

    def take_over(self, trade_id: str, *, anew: bool = False) -> None:
        self.started.append(trade_id)

    def succeed(self, task_token: str) -> bool:
        self.woken.append(task_token)
        return True

    def fail(self, task_token: str, error: str) -> bool:
        self.woken.append(task_token)
        return True

    def stopped(self, since: int) -> Iterator[str]:
        return iter(())


class Noted(DynamoOrders):
    """The real repository; notes every change that was written, in a list that several may share."""

    def __init__(self, changes: list[Change] | None = None) -> None:
        self.changes: list[Change] = [] if changes is None else changes

    def record(self, before: Order, after: Order) -> Order:
        recorded = super().record(before, after)
        self.changes.append(after.last_change)
        return recorded


class Interrupted(Noted):
    """Something happens once, right after its first load."""

    def __init__(self, happens: Callable[[], object], changes: list[Change] | None = None) -> None:
        super().__init__(changes)
        self._happens: Callable[[], object] | None = happens

    def find(self, trade_id: str) -> Order | None:
        found = super().find(trade_id)
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()
        return found


class Overtaken(DynamoPool):
    """The real pool; something happens once, between a consistent look and the claim of what was seen."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self._happens: Callable[[], object] | None = happens

    def look(self, pool: Pool, wanted: int, *, consistent: bool) -> list[Card]:
        seen = super().look(pool, wanted, consistent=consistent)
        if consistent and self._happens is not None:
            happens, self._happens = self._happens, None
            happens()
        return seen


def product() -> str:
    """A fresh product on sale, without a card; answers its SKU."""
    sku = f"sku-{secrets.token_hex(4)}"
    DynamoCatalogue().save(Product(sku, f"商品 {sku}", PRICE, on_sale=True))
    return sku


def codes(count: int) -> list[str]:
    return [f"CODE-{secrets.token_hex(10)}" for _ in range(count)]


def load(
    sku: str, lines: Sequence[str], cards: SealedCards | None = None, catalogue: Catalogue | None = None
) -> Imported:
    """Import a file of these lines."""
    import_cards = ImportCards(
        catalogue=DynamoCatalogue(),
        sealed=cards or DynamoSealedCards(),
        sealer=PlainSealer(),
        put_on_sale=put_on_sale(catalogue),
        secret=b"cards",
        clock=clock,
    )
    return import_cards(sku, list(enumerate(lines, start=1)))


def stocked(cards: int) -> str:
    sku = product()
    assert load(sku, codes(cards)).batch.cards == cards
    return sku


def place_order(
    orders: Orders | None = None, *, pool: CardPool | None = None, pause: Callable[[float], None] = time.sleep
) -> PlaceOrder:
    return PlaceOrder(
        orders=orders or DynamoOrders(),
        pool=pool or DynamoPool(),
        catalogue=DynamoCatalogue(),
        open=_open_payment(),
        secret=b"trades",
        hold_caps={"address": 0, "device": 0, "contact": 0},
        window_ms=1_800_000,
        first_look_ms=60_000,
        clock=clock,
        pause=pause,
    )


def pay_order() -> PayOrder:
    return PayOrder(DynamoOrders(), _open_payment(), clock)


def _open_payment() -> OpenPayment:
    return OpenPayment(
        DynamoOrders(),
        OneChannel(),
        lambda _: Epay(),
        lambda: PublicUrls("https://shop.example/api", "https://shop.example"),
    )


def wish(*items: tuple[str, int], key: str | None = None) -> Wish:
    return Wish(key or secrets.token_hex(16), items, "epay", BUYER, None, None, None, body=repr(items))


def placed(sku: str, quantity: int = 1) -> Order:
    """An order whose cards nobody else claims meanwhile."""
    return place_order(pause=lambda _: None)(wish((sku, quantity))).order


def settle_payment(
    machine: Machine | None = None, orders: Orders | None = None, pool: CardPool | None = None
) -> SettlePayment:
    return SettlePayment(_record_payment(orders, pool), machine or Machine())


def _record_payment(orders: Orders | None, pool: CardPool | None = None) -> RecordPayment:
    return RecordPayment(orders or DynamoOrders(), pool or DynamoPool(), DynamoCatalogue(), clock)


def close_trade(orders: Orders | None = None, books: Books | None = None) -> CloseTrade:
    provider = books or Books()
    ask = AskProvider(OneChannel(), lambda _: provider)
    return CloseTrade(orders or DynamoOrders(), ask, _record_payment(orders), clock)


def cancel_order(machine: Machine | None = None, orders: Orders | None = None) -> CancelOrder:
    return CancelOrder(orders or DynamoOrders(), machine or Machine(), clock)


def deliver_cards() -> DeliverCards:
    return DeliverCards(DynamoOrders(), DynamoCatalogue(), AFTER_SALE_MS, clock)


def fill_orders(
    machine: Machine | None = None, orders: Orders | None = None, pool: CardPool | None = None
) -> FillOrders:
    return FillOrders(
        orders or DynamoOrders(), pool or DynamoPool(), DynamoCatalogue(), machine or Machine(), AFTER_SALE_MS, clock
    )


def put_on_sale(catalogue: Catalogue | None = None) -> PutOnSale:
    return PutOnSale(catalogue or DynamoCatalogue(), DynamoPool(), fill_orders())


def manage_batches() -> ManageBatches:
    return ManageBatches(DynamoCatalogue(), put_on_sale())


def said(order: Order) -> PaymentEvent:
    """The provider's word that the order's first payment was received in full."""
    payment = order.payments[0]
    return PaymentEvent(payment.payment_id, EventKind.PAID, payment.amount, "provider-1")


def waiting_for_stock(orders: int = 1) -> tuple[str, list[Order], list[Order]]:
    """A product that is sold out; orders for a card each that were paid late, the oldest first; and as many orders that
    hold the cards, not paid yet."""
    sku = stocked(orders)
    late = [placed(sku) for _ in range(orders)]
    for order in late:
        close_trade()(order.trade_id)
    holding = [placed(sku) for _ in range(orders)]
    for order in late:
        after, _ = settle_payment()(said(order))
        assert after.status is Status.AWAITING_STOCK
    return sku, late, holding


def stored(trade_id: str) -> Order:
    found = DynamoOrders().find(trade_id)
    assert found is not None
    return found


def all_orders() -> list[Order]:
    return [_order(item) for item in OrderItem.scan(consistent_read=True)]


def in_pool(sku: str) -> Counter[str]:
    """How often each card of the product lies in a pool."""
    items = PoolItem.scan(PoolItem.pool.startswith(f"{sku}#"), consistent_read=True)
    return Counter(str(item.card_id) for item in items)


def on_orders(sku: str) -> Counter[str]:
    """How often each card of the product is named on an order."""
    return Counter(card.card_id for order in all_orders() for card in order.cards if card.pool.sku == sku)


def sealed(sku: str) -> Counter[str]:
    """How often each card of the product is sealed."""
    items = SealedItem.scan(SealedItem.sku == sku, consistent_read=True)
    return Counter(str(item.item_id) for item in items if not item.item_id.startswith("KEY#"))


def assert_sound(sku: str) -> None:
    """Each card is in a pool or on one order, and each order has what its state says, its money included."""
    assert in_pool(sku) + on_orders(sku) == sealed(sku)
    for order in all_orders():
        if order.wanted.keys() == {sku}:
            assert order.has_its_cards == (order.status in HOLDS_CARDS), f"{order.status} with {order.cards}"
            assert order.has_its_cards or not order.cards, f"{order.status} with {order.cards}"
            assert not order.funded or order.status in SETTLED_OR_MOVING, f"{order.status} with {order.payments}"


def listed(sku: str) -> Product:
    found = DynamoCatalogue().find(sku, consistent=True)
    assert found is not None
    return found


def true_counts(sku: str) -> dict[Pool, int]:
    """Cards by pool, as they lie there."""
    items = PoolItem.scan(PoolItem.pool.startswith(f"{sku}#"), consistent_read=True)
    return dict(Counter(Pool.parse(item.pool) for item in items))


def at_once(threads: int, work: Callable[[int], _T], *expected: type[Exception]) -> list[_T | Exception]:
    """What `work(0)`, `work(1)`, … came to, all begun at the same moment. Only `expected` errors are answers."""
    barrier = Barrier(threads)

    def begin(number: int) -> _T | Exception:
        barrier.wait()
        try:
            return work(number)
        except expected as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


def together(*acts: Callable[[], object]) -> list[object]:
    """What each of these came to, all begun at the same moment."""
    return at_once(len(acts), lambda number: acts[number]())
