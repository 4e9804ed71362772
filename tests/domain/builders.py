"""Domain objects to start a test from, and Hypothesis strategies for any of them."""

from __future__ import annotations

from dataclasses import replace

from cardshop.domain.card import Card, Pool, card_id
from cardshop.domain.money import Money
from cardshop.domain.order import Actor, Line, Order
from cardshop.domain.payment import Payment, PaymentState, RefundState, RefundWord, payment_id
from cardshop.domain.trade import HOLDS_CARDS, SETTLED_OR_MOVING, Status
from hypothesis import settings
from hypothesis import strategies as st

# No deadline: a loaded machine is slow, which is no finding. No database: a run leaves nothing behind.
settings.register_profile("cardshop", deadline=None, database=None)
settings.load_profile("cardshop")

NOW = 1_763_800_000_000  # milliseconds
WINDOW_MS = 1_800_000
FIRST_LOOK_MS = 60_000
AFTER_SALE_MS = 604_800_000
STOCK_PATIENCE_MS = 259_200_000
TRADE_ID = "m5qk7c2xj3zv6n4wtyb2hdgl5e"
PAYMENT_ID = f"{TRADE_ID}01"
SKU = "steam-50"
BATCH = "Qm9p2sVtX7yLr4kEw0dZ3A"
FINGERPRINT = "q3VbX0nT6mE9sWk2LrYd7A"
PRICE = Money(990, "CNY")
BUYER = Actor("buyer", "pc", "device-1", "203.0.113.7")
OPERATOR = Actor("operator")


def cards(count: int, sku: str = SKU, batch: str = BATCH) -> tuple[Card, ...]:
    """Cards that lie in one pool, each in a place of its own."""
    pool = Pool(sku, batch, 0)
    return tuple(Card(pool, card_id(b"cards", f"{batch} {number}"), f"{number:016x}") for number in range(count))


def placed(count: int = 1, *, trade_id: str = TRADE_ID, held: tuple[Card, ...] | None = None) -> Order:
    """An unpaid order for `count` cards."""
    return Order.placed(
        trade_id=trade_id,
        lines=(Line(SKU, "Steam 50 元", count, PRICE),),
        cards=cards(count) if held is None else held,
        payment=Payment(payment_id(trade_id, 1), "epay", Money(PRICE.minor * count, PRICE.currency), PaymentState.OPEN),
        actor=BUYER,
        at=NOW,
        window_ms=WINDOW_MS,
        fingerprint=FINGERPRINT,
        due_at=NOW + FIRST_LOOK_MS,
    )


def paid(order: Order, at: int = NOW + 1000) -> Order:
    payment = order.payments[0]
    return order.settled(payment.payment_id, payment.amount, "provider-1", at)


def delivered(order: Order | None = None, at: int = NOW + 2000) -> Order:
    """A paid order (a fresh one if none is given) whose cards were given."""
    return (order or paid(placed())).delivered(at, AFTER_SALE_MS)


def refunding(order: Order, minor: int | None = None, *, number: int = 0, at: int = NOW + 3000) -> Order:
    """An operator asked for one of its payments, or so much of it, to be sent back."""
    payment = order.payments[number]
    assert payment.paid is not None
    amount = replace(payment.paid, minor=payment.left if minor is None else minor)
    asked = payment.next_refund(amount, RefundState.REQUESTED, OPERATOR.by)
    return order.refund_noted(payment, asked, at, OPERATOR)


def refund_told(order: Order, state: RefundState, *, number: int = 0, at: int = NOW + 4000) -> Order:
    """The provider says so of the last refund of one of its payments."""
    payment = order.payments[number]
    return order.refund_told(payment.payment_id, RefundWord(state, payment.refunds[-1].refund_id), at)


def in_status(status: Status) -> Order:
    """An order in any state, those included that no method leads to yet, with the money and cards that go with it."""
    order = paid(placed()) if status in SETTLED_OR_MOVING else placed()
    if status in {Status.REFUNDING, Status.REFUNDED}:
        order = refunding(order)
        return order if status is Status.REFUNDING else refund_told(order, RefundState.DONE).gone(NOW + 5000)
    return replace(
        order,
        status=status,
        cards=order.cards if status in HOLDS_CARDS else (),
        lacking=SKU if status is Status.AWAITING_STOCK else None,
    )


skus = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
trade_ids = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26)
currencies = st.sampled_from(["CNY", "USD", "JPY", "KRW", "KWD", "BHD"])
#: Text as a store can keep it: no lone surrogates, not empty.
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
moments = st.integers(min_value=1_500_000_000_000, max_value=2_500_000_000_000)
url_safe = st.from_regex(r"[A-Za-z0-9_-]{22}", fullmatch=True)
pools = st.builds(Pool, skus, url_safe, st.integers(0, 63))
actors = st.builds(
    Actor,
    st.sampled_from(["buyer", "provider", "operator", "shop"]),
    st.none() | st.sampled_from(["pc", "mobile", "miniapp", "api"]),
    st.none() | texts,
    st.none() | st.sampled_from(["203.0.113.7", "2001:db8::7"]),
)


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """Any order that has just been placed."""
    currency = draw(currencies)
    prices = st.builds(Money, st.integers(1, 10**11), st.just(currency))
    lines = draw(st.lists(st.builds(Line, skus, texts, st.integers(1, 50), prices), min_size=1, max_size=3))
    held = draw(st.lists(st.builds(Card, pools, url_safe), max_size=5, unique_by=lambda card: card.card_id))
    trade_id = draw(trade_ids)
    amount = Money(sum(line.price.minor * line.quantity for line in lines), currency)
    return Order.placed(
        trade_id=trade_id,
        lines=tuple(lines),
        cards=tuple(held),
        payment=Payment(payment_id(trade_id, 1), draw(texts), amount, PaymentState.OPEN),
        actor=draw(actors),
        at=draw(moments),
        window_ms=draw(st.integers(2000, 10**9)),
        fingerprint=draw(url_safe),
        due_at=draw(st.none() | moments),
        email=draw(st.none() | texts),
        password=draw(st.none() | texts),
    )
