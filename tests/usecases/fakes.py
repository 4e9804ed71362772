"""The ports in memory. The stores compare and set as the real ones do: a write that comes second is refused.

`Orders.meanwhile` lets a test step in between a use case's read and its write, once or every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Any, TypeVar, cast

from cardshop.domain.card import Card, Pool
from cardshop.domain.connection import Connection
from cardshop.domain.errors import (
    Changed,
    Confirming,
    InvalidNotice,
    InvalidRequest,
    NotFound,
    PaymentSpent,
    Unavailable,
)
from cardshop.domain.holding import Holding
from cardshop.domain.money import Money
from cardshop.domain.order import SHOP, Change, Order
from cardshop.domain.payment import (
    Channel,
    EventKind,
    Notice,
    Offer,
    Payment,
    PaymentEvent,
    PaymentRequest,
    PaymentSession,
    Refund,
    Refunds,
    RefundState,
    RefundWord,
    Reply,
    Terms,
)
from cardshop.domain.product import Batch, BatchStatus, Listed, Product
from cardshop.domain.trade import Status
from cardshop.ports import (
    Attempts,
    CardTaken,
    Handoff,
    Incident,
    OrderExists,
    Provider,
    PublicUrls,
    QueuedNotice,
    SealedCard,
    WrappedKey,
)

from tests.domain.builders import NOW

Port = TypeVar("Port")

SECRET = b"a secret of the tests' own"
SHOP_URL = "https://shop.example/api"
URLS = PublicUrls(SHOP_URL, "https://shop.example")


@dataclass
class Clock:
    now: int = NOW

    def __call__(self) -> int:
        return self.now


class Stock:
    """`ports.CardPool`: the cards for sale, by pool and place."""

    def __init__(self) -> None:
        self.pools: dict[str, dict[str, str]] = {}

    def put(self, card: Card) -> None:
        self.pools.setdefault(card.pool.key, {})[card.place] = card.card_id

    def has(self, card: Card) -> bool:
        return self.pools.get(card.pool.key, {}).get(card.place) == card.card_id

    def take(self, card: Card) -> None:
        del self.pools[card.pool.key][card.place]

    @property
    def card_ids(self) -> list[str]:
        return sorted(identity for pool in self.pools.values() for identity in pool.values())

    def look(self, pool: Pool, wanted: int, *, consistent: bool) -> list[Card]:
        found = [Card(pool, identity, place) for place, identity in self.pools.get(pool.key, {}).items()]
        return found[:wanted]

    def count(self, pool: Pool) -> int:
        return len(self.pools.get(pool.key, {}))


class Orders:
    """`ports.Orders` on one stock."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self.by_id: dict[str, Order] = {}
        self.held_by: dict[str, dict[str, str]] = {}
        self.meanwhile: Callable[[Order], None] | None = None  # called with what is about to be written

    def find(self, trade_id: str) -> Order | None:
        return self.by_id.get(trade_id)

    def place(self, order: Order, holds: Mapping[str, str]) -> None:
        self._step_aside(order)
        if order.trade_id in self.by_id:
            raise OrderExists
        self._claim(order.cards)
        self.put(order)
        self.held_by[order.trade_id] = dict(holds)

    def record(self, before: Order, after: Order) -> Order:
        self._step_aside(after)
        there = self.by_id[before.trade_id]
        if (there.version, there.status) != (before.version, before.status):
            raise Changed
        kept = {card.card_id for card in after.cards}
        named = {card.card_id for card in before.cards}
        self._claim([card for card in after.cards if card.card_id not in named])
        for card in before.cards:
            if card.card_id not in kept:
                self._stock.put(card.returned())
        by_machine = after.status is not before.status and after.last_change.actor == SHOP
        woken = {Status.AWAITING_STOCK, Status.REFUNDING}
        keeping = {Status.REFUNDING, Status.CLOSED, Status.COMPLETED}
        spent = by_machine and before.status not in woken and after.status not in keeping
        return self.put(replace(after, task_token=None if spent else there.task_token))

    def holds(self, subject: str, value: str, limit: int) -> list[int]:
        return sorted(
            self.by_id[trade_id].expires_at
            for trade_id, held in self.held_by.items()
            if held.get(subject) == value and self.by_id[trade_id].status is Status.PENDING_PAYMENT
        )[:limit]

    def due(self, until: int) -> Iterator[str]:
        found = [(order.due_at, order.trade_id) for order in self.by_id.values() if order.due_at is not None]
        yield from [trade_id for due_at, trade_id in sorted(found) if due_at <= until]

    def note(self, order: Order) -> None:
        there = self.by_id[order.trade_id]
        if (there.version, there.status) == (order.version, order.status):
            self.by_id[order.trade_id] = replace(there, due_at=order.due_at, lacking=order.lacking)

    def note_session(self, order: Order, payment: Payment) -> None:
        there = self.by_id[order.trade_id]
        payments = tuple(
            replace(each, session_ref=payment.session_ref) if each.payment_id == payment.payment_id else each
            for each in there.payments
        )
        self.by_id[order.trade_id] = replace(there, payments=payments)

    def awaiting(self, sku: str) -> Iterator[str]:
        found = [(order.created_at, order.trade_id) for order in self.by_id.values() if order.lacking == sku]
        yield from [trade_id for _, trade_id in sorted(found)]

    def under_way(self, limit: int, after: str | None) -> tuple[list[Order], str | None]:
        found = [order for key, order in sorted(self.by_id.items()) if order.due_at is not None and key > (after or "")]
        page = found[:limit]
        return page, page[-1].trade_id if len(page) == limit else None

    def put(self, order: Order) -> Order:
        """As it is stored: a card on an order has no place in the pool."""
        stored = replace(order, cards=tuple(Card(card.pool, card.card_id) for card in order.cards))
        self.by_id[order.trade_id] = stored
        return stored

    def write_token(self, trade_id: str, token: str) -> None:
        """The machine's own write: it is no change, and allowed only in the states that wait."""
        waits = {Status.PENDING_PAYMENT, Status.AWAITING_STOCK, Status.DELIVERED}
        assert self.by_id[trade_id].status in waits
        self.by_id[trade_id] = replace(self.by_id[trade_id], task_token=token)

    def once(self, step: Callable[[Order], object]) -> None:
        """Step in before the next write, and only then."""

        def and_never_again(order: Order) -> None:
            self.meanwhile = None
            step(order)

        self.meanwhile = and_never_again

    def _step_aside(self, order: Order) -> None:
        if self.meanwhile is not None:
            self.meanwhile(order)

    def _claim(self, cards: Sequence[Card]) -> None:
        if not all(self._stock.has(card) for card in cards):
            raise CardTaken
        for card in cards:
            self._stock.take(card)


class Catalogue:
    """`ports.Catalogue`; `behind` answers eventually consistent reads as they were a moment ago."""

    def __init__(self) -> None:
        self.products: dict[str, Product] = {}
        self.described: dict[str, str] = {}
        self.imported: dict[tuple[str, str], Batch] = {}
        self.behind: dict[str, Product | None] = {}
        self.meanwhile: Callable[[], object] | None = None  # called before the next list of batches is written
        self.overtaken = 0  # times that a batch going on sale finds the product just being counted

    def find(self, sku: str, *, consistent: bool = False) -> Product | None:
        if not consistent and sku in self.behind:
            return self.behind[sku]
        return self.products.get(sku)

    def on_sale(self) -> list[Product]:
        return [product for product in self.everything() if product.on_sale]

    def everything(self) -> list[Product]:
        return [product for _, product in sorted(self.products.items())]

    def descriptions(self) -> dict[str, str]:
        return self.described

    def description(self, sku: str) -> str | None:
        return self.described.get(sku)

    def save(self, product: Product, description: str | None = None) -> None:
        there = self.products.get(product.sku)
        kept = (there.batches, there.stock_version) if there else ((), 0)
        self.products[product.sku] = replace(product, batches=kept[0], stock_version=kept[1])

    def batch(self, sku: str, batch: str) -> Batch | None:
        return self.imported.get((sku, batch))

    def batches(self, sku: str) -> list[Batch]:
        found = [batch for batch in self.imported.values() if batch.sku == sku]
        return sorted(found, key=lambda batch: (batch.created_at, batch.batch))

    def begin_batch(self, batch: Batch) -> None:
        self.imported.setdefault((batch.sku, batch.batch), replace(batch, status=BatchStatus.IMPORTING, cards=0))

    def advance_batch(self, batch: Batch) -> None:
        if (there := self._importing(batch)) is not None:
            self.imported[batch.sku, batch.batch] = replace(there, cards=batch.cards)

    def drop_batch(self, batch: Batch) -> None:
        if self._importing(batch) is not None:
            del self.imported[batch.sku, batch.batch]

    def put_on_sale(self, batch: Batch, counts: tuple[int, ...]) -> bool:
        return self._move(batch, BatchStatus.ON_SALE, counts)

    def withdraw(self, batch: Batch) -> bool:
        return self._move(batch, BatchStatus.WITHDRAWN, ())

    def counted(self, product: Product, *listed: Listed) -> None:
        self._step_aside()
        if self.products[product.sku].stock_version != product.stock_version:
            raise Changed
        for each in listed:
            self._list(self.products[product.sku], each)
        self.products[product.sku] = replace(self.products[product.sku], stock_version=product.stock_version + 1)

    def _step_aside(self) -> None:
        if self.meanwhile is not None:
            step, self.meanwhile = self.meanwhile, None
            step()

    def _importing(self, batch: Batch) -> Batch | None:
        there = self.imported.get((batch.sku, batch.batch))
        return there if there is not None and there.status is BatchStatus.IMPORTING else None

    def _move(self, batch: Batch, status: BatchStatus, counts: tuple[int, ...]) -> bool:
        self._step_aside()
        there = self.imported.get((batch.sku, batch.batch))
        if there is None or there.status is not batch.status:
            return False
        product = self.products.get(batch.sku)
        if product is None:
            raise NotFound
        if self.overtaken:
            self.overtaken -= 1
            raise Changed
        self.imported[batch.sku, batch.batch] = replace(there, status=status, cards=batch.cards)
        self._list(product, Listed(batch.batch, counts))
        return True

    def _list(self, product: Product, listed: Listed) -> None:
        others = tuple(each for each in product.batches if each.batch != listed.batch)
        now = (*others, listed) if any(listed.counts) else others
        self.products[product.sku] = replace(product, batches=now, stock_version=product.stock_version + 1)


class Holdings:
    """`ports.Holdings`: of each trade the newest word about each batch."""

    def __init__(self) -> None:
        self.words: dict[tuple[str, str, str], Holding] = {}

    def note(self, holdings: Sequence[Holding]) -> None:
        for each in holdings:
            there = self.words.get((each.sku, each.batch, each.trade_id))
            if there is None or there.version < each.version:
                self.words[each.sku, each.batch, each.trade_id] = each

    def of(self, batch: Batch) -> Iterator[Holding]:
        yield from [each for each in self.words.values() if (each.sku, each.batch) == (batch.sku, batch.batch)]


class SealedCards:
    """`ports.SealedCards`; `breaks_after` lets the connection fail after so many cards of the next import."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._places = count()
        self.cards: dict[str, SealedCard] = {}
        self.wrapped: dict[str, WrappedKey] = {}
        self.breaks_after: int | None = None

    def add_key(self, key: WrappedKey) -> None:
        self.wrapped[key.key_id] = key

    def drop_key(self, key: WrappedKey) -> None:
        self.wrapped.pop(key.key_id, None)

    def add(self, cards: Sequence[SealedCard]) -> list[str]:
        duplicates = []
        for number, card in enumerate(cards):
            if number == self.breaks_after:
                self.breaks_after = None
                raise Unavailable("the store did not answer")
            there = self.cards.setdefault(card.card_id, card)
            if there is card:
                self._stock.put(Card(card.pool, card.card_id, f"{next(self._places):016x}"))
            elif there.pool.batch != card.pool.batch:
                duplicates.append(card.card_id)
        return duplicates

    def get(self, card_ids: Iterable[str]) -> dict[str, SealedCard]:
        return {each: self.cards[each] for each in card_ids if each in self.cards}

    def keys(self, key_ids: Iterable[str]) -> dict[str, WrappedKey]:
        return {each: self.wrapped[each] for each in set(key_ids)}


class Sealer:
    """`ports.Sealer` and `ports.Opener`: no secrecy, but a card opens only as what it was sealed as."""

    def __init__(self) -> None:
        self._keys = count(1)
        self.down = False

    def new_key(self, sku: str, batch: str) -> tuple[WrappedKey, bytes]:
        name = f"key-{next(self._keys)}"
        return WrappedKey(name, sku, batch, f"wrapped {name}".encode()), f"plain {name}".encode()

    def seal(self, key: bytes, sku: str, card_id: str, code: str) -> bytes:
        return b"|".join([key, sku.encode(), card_id.encode(), code.encode()])

    def unwrap(self, key: WrappedKey) -> bytes:
        if self.down:
            raise Unavailable("KMS did not answer")
        return key.wrapped.replace(b"wrapped", b"plain")

    def open(self, key: bytes, sku: str, card_id: str, sealed: bytes) -> str:
        *bound, code = sealed.split(b"|")
        assert bound == [key, sku.encode(), card_id.encode()]
        return code.decode()


class Timeline:
    """`ports.Timeline`."""

    def __init__(self) -> None:
        self.changes: dict[str, dict[int, Change]] = {}
        self.noted: dict[tuple[str, str, str], Incident] = {}

    def append(self, trade_id: str, changes: Sequence[Change]) -> None:
        self.changes.setdefault(trade_id, {}).update({change.version: change for change in changes})

    def of(self, trade_id: str) -> list[Change]:
        return [change for _, change in sorted(self.changes.get(trade_id, {}).items())]

    def note(self, incident: Incident) -> None:
        self.noted[incident.trade_id, incident.kind, incident.notice_digest] = incident

    def incidents(self, trade_id: str) -> list[Incident]:
        return [incident for incident in self.noted.values() if incident.trade_id == trade_id]

    @property
    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.noted]


class Channels(dict[str, Channel]):
    """`ports.Channels` and `ports.ChannelStore`."""

    def __init__(self, *several: Mapping[str, Channel], **channels: Channel) -> None:
        super().__init__(*several, **channels)
        self.offers: dict[str, Offer] = {}

    def find(self, name: str) -> Channel | None:
        return self.get(name)

    def save(self, channel: Channel, offer: Offer) -> None:
        there = self.get(channel.name)
        title = self.offers[channel.name].title if channel.name in self.offers else None
        self[channel.name] = replace(channel, offered=there.offered if there else True)
        self.offers[channel.name] = replace(offer, title=title)

    def offer(self, name: str, *, offered: bool, title: str | None) -> bool:
        if name not in self.offers:
            return False
        self[name] = replace(self[name], offered=offered)
        self.offers[name] = replace(self.offers[name], title=title)
        return True


class Bank(Provider):
    """A notice is one of `notices` by its body; `books` is what it answers to a query.

    `down`: it answers nothing; `silent` are payments that it answers nothing about. `takes`: its terms; `sends`:
    what it says of a refund; `sent`: the money that moved, by refund; `returned`: refunds whose money came back.
    """

    name = "bank"

    def __init__(self) -> None:
        self.notices: dict[bytes, list[PaymentEvent]] = {}
        self.books: dict[str, PaymentEvent] = {}
        self.closed: set[str] = set()
        self.asked: list[str] = []
        self.silent: set[str] = set()
        self.down = False
        self.confirming: set[str] = set()  # money on its way, too late to be closed
        self.takes = Terms(amounts={"CNY": (1, 1_000_000)}, refunds=Refunds.PARTIAL, weak=True)
        self.sends = RefundState.DONE
        self.sent: dict[str, Money] = {}
        self.returned: set[str] = set()
        self.tells_totals = True  # of what has gone back
        self.asked_back: list[str] = []  # refunds, each time that it was asked for one
        self.traces: dict[str, str] = {}  # payment id, by its own number
        self.sessions = False  # whether it gives payments numbers of its own
        self.spent: set[str] = set()  # payments that it has, and cannot say how they are paid

    def terms(self, channel: Channel) -> Terms:
        return self.takes

    def account(self, channel: Channel) -> str:
        return channel.settings["pid"]

    def check_settings(self, settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        if not settings.get("key"):
            raise InvalidRequest("key: must not be empty")
        return {name: value for name, value in settings.items() if name != "key"}, {"key": settings["key"]}

    def create_payment(self, channel: Channel, request: PaymentRequest) -> PaymentSession:
        self._answer(request.payment_id)
        if request.payment_id in self.spent and request.session_ref is None:
            raise PaymentSpent("it is there already")
        amount = f"{request.amount.decimal()} {request.amount.currency}"
        return PaymentSession(
            redirect_url=f"https://bank.example/{request.payment_id}?pay={amount}&for={request.name}"
            f"&notify={request.notify_url}&back={request.return_url}&on={request.terminal}",
            session_ref=f"session-of-{request.payment_id}" if self.sessions else None,
        )

    def read_notice(self, channel: Channel, notice: Notice, received_at: int) -> list[PaymentEvent]:
        if notice.body not in self.notices:
            raise InvalidNotice("sign")
        return self.notices[notice.body]

    def trace(self, channel: Channel, event: PaymentEvent) -> str | None:
        return self.traces.get(event.provider_ref or "")

    def query_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        self.asked.append(payment.payment_id)
        self._answer(payment.payment_id)
        return self.books.get(payment.payment_id, PaymentEvent(payment.payment_id, EventKind.OPEN))

    def close_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        said = self.query_payment(channel, payment)
        if payment.payment_id in self.confirming:
            raise Confirming("a payment is being confirmed")
        self.closed.add(payment.payment_id)
        return said

    def refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        self._answer(payment.payment_id)
        self.asked_back.append(refund.refund_id)
        if self.takes.refunds is Refunds.NONE:
            return super().refund(channel, payment, refund)
        says = RefundState.REFUSED if refund.refund_id in self.returned else self.sends
        if says is not RefundState.REFUSED:
            self.sent.setdefault(refund.refund_id, refund.amount)
        return RefundWord(says, provider_ref=f"bank-{refund.refund_id}")

    def query_total(self, channel: Channel, payment: Payment) -> Money | None:
        self._answer(payment.payment_id)
        return Money(self.sent_of(payment.payment_id), payment.amount.currency) if self.tells_totals else None

    def acknowledge(self) -> Reply:
        return Reply("received")

    def receives(self, payment_id: str, amount: Money) -> None:
        """The buyer paid: from now on a query says so."""
        self.books[payment_id] = PaymentEvent(payment_id, EventKind.PAID, amount, "bank-1")

    def takes_back(self, refund_id: str) -> None:
        """The money of a refund comes back to it."""
        del self.sent[refund_id]
        self.returned.add(refund_id)

    def sent_of(self, payment_id: str) -> int:
        """Minor units that went back, by however many refunds."""
        return sum(amount.minor for refund_id, amount in self.sent.items() if refund_id.startswith(payment_id))

    def says(self, *events: PaymentEvent) -> Notice:
        """A notice of its own that says this."""
        body = f"notice {len(self.notices)}".encode()
        self.notices[body] = list(events)
        return Notice("POST", (), {}, body)

    def _answer(self, payment_id: str) -> None:
        if self.down or payment_id in self.silent:
            raise Unavailable("the provider did not answer")


@dataclass
class Machine:
    """`ports.Workflow`: the states that wait, by token, and whether the executions that were started still run."""

    waiting: set[str] = field(default_factory=set)
    executions: dict[str, bool] = field(default_factory=dict)
    ended: list[tuple[int, str]] = field(default_factory=list)  # (when, whose execution somebody stopped)
    woken: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)  # (token, error)

    def start(self, trade_id: str) -> None:
        self.executions.setdefault(trade_id, True)

    def take_over(self, trade_id: str, *, anew: bool = False) -> None:
        if anew or not self.runs(trade_id):
            name = f"{trade_id}-{len(self.executions)}" if trade_id in self.executions else trade_id
            self.executions[name] = True

    def succeed(self, task_token: str) -> bool:
        return self._wake(task_token, lambda: self.woken.append(task_token))

    def fail(self, task_token: str, error: str) -> bool:
        return self._wake(task_token, lambda: self.failed.append((task_token, error)))

    def stopped(self, since: int) -> Iterator[str]:
        yield from [trade_id for when, trade_id in self.ended if when >= since]

    def runs(self, trade_id: str) -> bool:
        return any(runs for name, runs in self.executions.items() if name.startswith(trade_id))

    def stop(self, trade_id: str, at: int) -> None:
        """Somebody stops the trade's execution: nothing waits for it any more."""
        self.executions[trade_id] = False
        self.ended.append((at, trade_id))

    def _wake(self, task_token: str, how: Callable[[], None]) -> bool:
        if task_token not in self.waiting:
            return False
        self.waiting.remove(task_token)
        how()
        return True


class AttemptBook:
    """`ports.AttemptBook`; `meanwhile` steps in before the next try is noted."""

    def __init__(self) -> None:
        self.tries: dict[str, Attempts] = {}
        self.meanwhile: Callable[[], None] | None = None

    def of(self, subject: str) -> Attempts:
        return self.tries.get(subject, Attempts(0, 0))

    def enter(self, subject: str, seen: Attempts, now: Attempts) -> bool:
        if self.meanwhile is not None:
            step, self.meanwhile = self.meanwhile, None
            step()
        if self.of(subject) != seen:
            return False
        self.tries[subject] = now
        return True

    def clear(self, subject: str) -> None:
        self.tries.pop(subject, None)


class Handoffs(dict[str, Handoff]):
    """`ports.Handoffs`, by digest."""

    def put(self, handoff: Handoff) -> None:
        self[handoff.digest] = handoff

    def take(self, digest: str, now: int) -> Handoff | None:
        return self.pop(digest) if digest in self and self[digest].not_after > now else None


class NoticeQueue:
    """`ports.NoticeQueue`."""

    def __init__(self) -> None:
        self.messages: list[tuple[QueuedNotice, str]] = []
        self.down = False

    def put(self, notice: QueuedNotice, trade_id: str) -> None:
        if self.down:
            raise Unavailable("the queue did not answer")
        self.messages.append((notice, trade_id))


class Interruption:
    """Steps in at one call, by its number from 0, of all the ports it watches: before it or, its answer lost, after."""

    def __init__(self, number: int, step: Callable[[], object], *, after: bool = False) -> None:
        self._number = number
        self._step = step
        self._after = after
        self._calls = count()
        self.came = False

    def watch(self, port: Port) -> Port:
        return cast(Port, _Watched(port, self))

    def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        now = next(self._calls) == self._number
        self.came = self.came or now
        if now and not self._after:
            self._step()
        answer = method(*args, **kwargs)
        if now and self._after:
            self._step()
        return answer


class _Watched:
    def __init__(self, port: object, by: Interruption) -> None:
        self._port = port
        self._by = by

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._by.call, getattr(self._port, name))


@dataclass
class Shop:
    """Everything in memory, on one stock, with one channel."""

    stock: Stock = field(default_factory=Stock)
    clock: Clock = field(default_factory=Clock)
    catalogue: Catalogue = field(default_factory=Catalogue)
    timeline: Timeline = field(default_factory=Timeline)
    machine: Machine = field(default_factory=Machine)
    queue: NoticeQueue = field(default_factory=NoticeQueue)
    bank: Bank = field(default_factory=Bank)
    sealer: Sealer = field(default_factory=Sealer)
    holdings: Holdings = field(default_factory=Holdings)

    def __post_init__(self) -> None:
        self.orders = Orders(self.stock)
        self.sealed = SealedCards(self.stock)
        self.channels = Channels(epay=Channel("epay", "bank", {"pid": "1001"}, {"key": "merchant-key"}))

    def provider(self, name: str) -> Bank:
        if name != self.bank.name:
            raise InvalidRequest("provider: one of bank")
        return self.bank

    def sells(self, sku: str, cards: int, price: Money, *, shards: int = 1, on_sale: bool = True) -> list[Card]:
        """A product with so many cards, in as many pools, listed as they are."""
        batch = f"batch-of-{sku}"
        dealt = [Card(Pool(sku, batch, n % shards), f"{sku}-{n}", f"{n:016x}") for n in range(cards)]
        for card in dealt:
            self.stock.put(card)
        counts = tuple(len(range(shard, cards, shards)) for shard in range(shards))
        self.catalogue.imported[sku, batch] = Batch(sku, batch, BatchStatus.ON_SALE, shards, cards, self.clock())
        listed = (Listed(batch, counts),) if cards else ()
        self.catalogue.products[sku] = Product(sku, f"商品 {sku}", price, on_sale, listed, 1)
        return dealt


def unavailable(*_: object) -> None:
    """A step that breaks off what it steps into."""
    raise Unavailable("the connection broke")


def at_every_call(
    made: Callable[[], Shop], step: Callable[[Shop], object], *, after: bool
) -> Iterator[tuple[Shop, Interruption]]:
    """A new shop each time, and what steps in at the next call of its ports, until there is none left to step in at."""
    for number in count():
        shop = made()
        interruption = Interruption(number, partial(step, shop), after=after)
        yield shop, interruption
        if not interruption.came:
            assert number > 3, "something was watched"
            return


class Connections:
    """`ports.Connections`; `meanwhile` steps in before the next one is removed."""

    def __init__(self) -> None:
        self.places: dict[str, Connection] = {}
        self.meanwhile: Callable[[], None] | None = None

    def save(self, connection: Connection) -> None:
        self.places[connection.name] = connection

    def remove(self, connection: Connection) -> bool:
        if self.meanwhile is not None:
            step, self.meanwhile = self.meanwhile, None
            step()
        return self.places.pop(connection.name, None) is not None

    def of(self, feed: str, now: int) -> list[Connection]:
        return [each for each in self.places.values() if each.feed == feed and each.until > now]

    def listening(self, feed: str) -> list[Connection]:
        return [each for each in self.places.values() if each.feed == feed and each.is_open]

    def at(self, address: str, now: int) -> list[Connection]:
        return [each for each in self.places.values() if each.address == address and each.until > now]

    def find(self, name: str) -> Connection | None:
        return self.places.get(name)
