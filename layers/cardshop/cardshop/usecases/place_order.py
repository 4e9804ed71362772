"""Accept an order: its cards leave the pool and are named on it in one transaction, the one commit."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cardshop.domain import order as orders
from cardshop.domain import passwords
from cardshop.domain.card import MAX_CARDS_PER_ORDER, text_hmac
from cardshop.domain.errors import (
    Busy,
    Changed,
    IdempotencyKeyReused,
    OutOfStock,
    ShopError,
    TooManyCards,
    TooManyHolds,
    Unavailable,
    UnknownProduct,
    Unprocessable,
)
from cardshop.domain.money import Money
from cardshop.domain.order import Actor, Line, Order
from cardshop.domain.payment import Channel, Payment, PaymentSession, PaymentState, payment_id
from cardshop.domain.product import Product
from cardshop.ports import CardPool, CardTaken, Catalogue, Clock, OrderExists, Orders
from cardshop.usecases.open_payment import OpenPayment, Payer
from cardshop.usecases.pick_cards import TooFew, pick

#: Seconds over which those who must look again spread.
_PAUSE_SECONDS = 0.15
#: Each lost claim saw somebody win, so this many in a row means a storm: better told to try again than kept waiting.
_ATTEMPTS = 25


@dataclass(frozen=True, slots=True)
class Wish:
    """What the buyer asked for."""

    idempotency_key: str
    items: tuple[tuple[str, int], ...]  # (sku, quantity), each sku once
    channel: str
    actor: Actor
    email: str | None
    password: str | None
    payer: str | None  # the buyer's openid at the provider
    body: str  # canonical text of the whole request: the same key must come with the same


@dataclass(frozen=True, slots=True)
class Placed:
    order: Order
    session: PaymentSession | None  # None: the provider did not answer
    claims: int  # transactions sent


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    orders: Orders
    pool: CardPool
    catalogue: Catalogue
    open: OpenPayment
    secret: bytes
    hold_caps: Mapping[str, int]  # unpaid orders at a time, by subject; 0: no cap
    window_ms: int
    first_look_ms: int
    clock: Clock
    pause: Callable[[float], None] = time.sleep

    def __call__(self, wish: Wish) -> Placed:
        trade_id = orders.trade_id(self.secret, wish.idempotency_key)
        fingerprint = text_hmac(self.secret, "body", wish.body)
        if sum(quantity for _, quantity in wish.items) > MAX_CARDS_PER_ORDER:
            raise TooManyCards(f"at most {MAX_CARDS_PER_ORDER} cards an order")
        try:
            placed, claims = self._place(trade_id, fingerprint, wish)
        except (OrderExists, ShopError) as refusal:
            if isinstance(refusal, ShopError) and refusal.status >= 500:
                raise
            # Only now is it worth a read to see whether this very request was accepted before.
            found = self.orders.find(trade_id)
            if found is None:
                if isinstance(refusal, OrderExists):
                    raise Busy from refusal
                raise
            if found.fingerprint != fingerprint:
                raise IdempotencyKeyReused("the same key came with another body") from None
            placed, claims = found, 0
        return Placed(placed, self._session(placed, _payer(wish)), claims)

    def _session(self, order: Order, payer: Payer) -> PaymentSession | None:
        """How the order's latest payment is paid; None if the provider does not answer: the order is payable later.

        None too for one that cannot be paid any more, whose request comes again: no page is opened for that.
        """
        if not order.is_payable(self.clock()) or order.payments[-1].state is not PaymentState.OPEN:
            return None
        try:
            return self.open(order, order.payments[-1], payer)
        except Unavailable:
            return None

    def _place(self, trade_id: str, fingerprint: str, wish: Wish) -> tuple[Order, int]:
        channel = self.open.channel(wish.channel)
        products = self._products(wish, consistent=False)
        lines = tuple(Line(sku, products[sku].name, quantity, products[sku].price) for sku, quantity in wish.items)
        amount = self._amount(lines, channel, _payer(wish))
        now = self.clock()
        holds = self._holds(wish, now)
        order = Order.placed(
            trade_id=trade_id,
            lines=lines,
            cards=(),
            payment=Payment(
                payment_id(trade_id, 1),
                wish.channel,
                amount,
                PaymentState.OPEN,
                way=self.open.way(channel, _payer(wish)),
            ),
            actor=wish.actor,
            at=now,
            window_ms=self.window_ms,
            fingerprint=fingerprint,
            due_at=now + self.first_look_ms,
            email=wish.email,
            password=passwords.record(wish.password) if wish.password else None,
        )
        claims = 0
        for attempt in range(_ATTEMPTS):
            if attempt:
                # Apart in time: whoever looks while others claim sees what is left, and sends nothing in vain.
                self.pause(random.uniform(0, _PAUSE_SECONDS * min(attempt, 4)))
                products = self._products(wish, consistent=True)
            pools = {sku: product.pools() for sku, product in products.items()}
            try:
                cards, plenty = pick(self.pool, dict(wish.items), pools, consistent=attempt > 0)
            except TooFew as few:
                raise OutOfStock(f"{few.sku}: fewer left than wanted") from few
            if not plenty and attempt == 0:
                continue
            try:
                claims += 1
                self.orders.place(replace(order, cards=tuple(cards)), holds)
            except (CardTaken, Changed):
                continue
            return replace(order, cards=tuple(cards)), claims
        raise Busy("too many buyers want the same cards at this moment", retry_after=1)

    def _products(self, wish: Wish, *, consistent: bool) -> dict[str, Product]:
        found = {}
        for sku, _ in wish.items:
            product = self.catalogue.find(sku, consistent=consistent)
            if product is None or not product.on_sale:
                raise UnknownProduct(f"{sku}: not on sale")
            found[sku] = product
        return found

    def _amount(self, lines: tuple[Line, ...], channel: Channel, payer: Payer) -> Money:
        currencies = {line.price.currency for line in lines}
        if len(currencies) != 1:
            raise Unprocessable("the products are priced in different currencies")
        (currency,) = currencies
        amount = Money(sum(line.price.minor * line.quantity for line in lines), currency)
        self.open.check(channel, amount, payer)
        return amount

    def _holds(self, wish: Wish, now: int) -> dict[str, str]:
        """Whose hold this would be; TooManyHolds if one of them has its share of unpaid orders already.

        The count is read before the claim, not locked with it: a carrier's one address must not become a hot item.
        """
        subjects = {"address": wish.actor.address, "device": wish.actor.device, "contact": wish.email}
        holds = {
            subject: text_hmac(self.secret, subject, value)
            for subject, value in subjects.items()
            if value and self.hold_caps[subject]
        }
        for subject, value in holds.items():
            cap = self.hold_caps[subject]
            open_until = self.orders.holds(subject, value, cap)
            if len(open_until) >= cap:
                wait = max(1, -(-(open_until[0] - now) // 1000))
                raise TooManyHolds(f"at most {cap} unpaid orders per {subject}", retry_after=wait)
        return holds


def _payer(wish: Wish) -> Payer:
    return Payer(wish.actor.terminal or "api", wish.actor.address, wish.payer)
