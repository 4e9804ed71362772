"""The shop's use cases on whatever tables the repositories point at, and what those tables then hold."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import TypeVar

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.orders import DynamoOrders, _order
from cardshop.adapters.payments import provider
from cardshop.adapters.stock import DynamoPool, DynamoSealedCards
from cardshop.adapters.tables import OrderItem, PoolItem, SealedItem
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.domain.card import Pool
from cardshop.domain.money import Money
from cardshop.domain.order import Actor, Order
from cardshop.domain.payment import Channel, PaymentEvent
from cardshop.domain.product import Product
from cardshop.ports import Orders, SealedCards, WrappedKey
from cardshop.usecases.close_trade import CloseTrade
from cardshop.usecases.confirm_payment import ConfirmPayment
from cardshop.usecases.import_cards import ImportCards, Imported
from cardshop.usecases.place_order import PlaceOrder, Wish

PRICE = Money(990, "CNY")
BUYER = Actor("buyer", "pc")
_CHANNEL = Channel("epay", "epay", {"url": "https://pay.example", "pid": "1001", "type": "alipay"}, {"key": "k"})
_T = TypeVar("_T")


def clock() -> int:
    return time.time_ns() // 1_000_000


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


@dataclass
class Machine:
    """`ports.Workflow`: remembers who was woken."""

    woken: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)

    def start(self, trade_id: str) -> None:
        self.started.append(trade_id)

    def take_over(self, trade_id: str) -> None:
        self.started.append(trade_id)

    def succeed(self, task_token: str) -> bool:
        self.woken.append(task_token)
        return True


def product() -> str:
    """A fresh product on sale, without a card; answers its SKU."""
    sku = f"sku-{secrets.token_hex(4)}"
    DynamoCatalogue().save(Product(sku, f"商品 {sku}", PRICE, on_sale=True))
    return sku


def codes(count: int) -> list[str]:
    return [f"CODE-{secrets.token_hex(10)}" for _ in range(count)]


def load(sku: str, lines: Sequence[str], cards: SealedCards | None = None) -> Imported:
    """Import a file of these lines."""
    import_cards = ImportCards(DynamoCatalogue(), cards or DynamoSealedCards(), PlainSealer(), b"cards", clock)
    return import_cards(sku, list(enumerate(lines, start=1)))


def stocked(cards: int) -> str:
    sku = product()
    assert load(sku, codes(cards)).batch.cards == cards
    return sku


def place_order(orders: Orders | None = None, *, pause: Callable[[float], None] = time.sleep) -> PlaceOrder:
    return PlaceOrder(
        orders=orders or DynamoOrders(),
        pool=DynamoPool(),
        catalogue=DynamoCatalogue(),
        channels=OneChannel(),
        provider=provider,
        secret=b"trades",
        public_url=lambda: "https://shop.example/api",
        hold_caps={"address": 0, "device": 0, "contact": 0},
        window_ms=1_800_000,
        clock=clock,
        pause=pause,
    )


def wish(*items: tuple[str, int], key: str | None = None) -> Wish:
    return Wish(key or secrets.token_hex(16), items, "epay", BUYER, None, None, body=repr(items))


def placed(sku: str, quantity: int = 1) -> Order:
    return place_order()(wish((sku, quantity))).order


def confirm_payment(machine: Machine, orders: Orders | None = None) -> ConfirmPayment:
    return ConfirmPayment(orders or DynamoOrders(), DynamoTimeline(), OneChannel(), provider, machine, clock)


def close_trade(orders: Orders | None = None) -> CloseTrade:
    return CloseTrade(orders or DynamoOrders(), clock)


def said(order: Order) -> PaymentEvent:
    """The provider's word that the order's payment was received in full."""
    (payment,) = order.payments
    return PaymentEvent(payment.payment_id, True, payment.amount, "provider-1")


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
