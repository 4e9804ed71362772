"""An order is accepted whole or refused whole, and the same request is the same order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from cardshop.domain import passwords
from cardshop.domain.card import Card
from cardshop.domain.errors import (
    Busy,
    IdempotencyKeyReused,
    OutOfStock,
    TooManyCards,
    TooManyHolds,
    UnknownChannel,
    UnknownProduct,
    Unprocessable,
)
from cardshop.domain.money import Money
from cardshop.domain.order import Actor, Order, trade_id
from cardshop.domain.payment import PaymentState
from cardshop.domain.trade import Status
from cardshop.usecases.open_payment import OpenPayment
from cardshop.usecases.place_order import Placed, PlaceOrder, Wish

from tests.domain.builders import BUYER, FIRST_LOOK_MS, PRICE, SKU, WINDOW_MS
from tests.usecases.fakes import SECRET, SHOP_URL, URLS, Shop

KEY = "6c1cb2f0-8f0f-4a58-9f0c-2f6f1c0d9e11"


@dataclass
class Buyer:
    """Sends wishes to one shop."""

    shop: Shop
    caps: dict[str, int]
    pauses: list[float] = field(default_factory=list)

    def __call__(
        self,
        *items: tuple[str, int],
        key: str = KEY,
        actor: Actor = BUYER,
        email: str | None = None,
        password: str | None = None,
        channel: str = "epay",
    ) -> Placed:
        place = PlaceOrder(
            orders=self.shop.orders,
            pool=self.shop.stock,
            catalogue=self.shop.catalogue,
            open=OpenPayment(self.shop.orders, self.shop.channels, self.shop.provider, lambda: URLS),
            secret=SECRET,
            hold_caps=self.caps,
            window_ms=WINDOW_MS,
            first_look_ms=FIRST_LOOK_MS,
            clock=self.shop.clock,
            pause=self.pauses.append,
        )
        asked = items or ((SKU, 1),)
        return place(Wish(key, asked, channel, actor, email, password, None, body=f"{asked} {channel} {email}"))


@pytest.fixture
def buy(shop: Shop) -> Buyer:
    return Buyer(shop, {"address": 0, "device": 0, "contact": 0})


def test_an_order_takes_its_cards_out_of_the_pool_and_opens_a_payment(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 5, PRICE)
    placed = buy((SKU, 2), password="hunter2")
    order = placed.order
    assert placed.claims == 1
    assert (order.trade_id, order.status, order.version) == (trade_id(SECRET, KEY), Status.PENDING_PAYMENT, 1)
    assert (order.amount, order.expires_at) == (Money(1980, "CNY"), shop.clock.now + WINDOW_MS)
    assert order.due_at == shop.clock.now + FIRST_LOOK_MS
    (payment,) = order.payments
    assert (payment.payment_id, payment.channel, payment.state) == (f"{order.trade_id}01", "epay", PaymentState.OPEN)
    held = [card.card_id for card in order.cards]
    assert len(held) == 2
    assert sorted([*held, *shop.stock.card_ids]) == [f"{SKU}-{number}" for number in range(5)]
    stored = shop.orders.by_id[order.trade_id]
    assert [card.card_id for card in stored.cards] == held
    assert stored.password is not None
    assert "hunter2" not in stored.password
    assert passwords.matches("hunter2", stored.password)
    assert placed.session is not None
    assert placed.session.redirect_url == (
        f"https://bank.example/{order.trade_id}01?pay=19.80 CNY&for=商品 {SKU}"
        f"&notify={SHOP_URL}/webhooks/epay&back={URLS.pages}/orders/{order.trade_id}&on=pc"
    )


def test_a_buyer_of_a_well_stocked_product_is_not_kept_waiting(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 200, PRICE)
    assert (buy().claims, buy.pauses) == (1, [])


def test_an_order_of_several_products_is_one_order(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 3, PRICE, shards=3)
    shop.sells("other", 1, Money(5, "CNY"))
    order = buy((SKU, 3), ("other", 1)).order
    assert order.amount == Money(3 * 990 + 5, "CNY")
    assert [(line.sku, line.quantity, line.price) for line in order.lines] == [
        (SKU, 3, PRICE),
        ("other", 1, Money(5, "CNY")),
    ]
    assert sorted(card.pool.sku for card in order.cards) == ["other", SKU, SKU, SKU]
    assert shop.stock.card_ids == []


def test_a_provider_that_does_not_answer_leaves_an_order_that_is_payable_later(shop: Shop, buy: Buyer) -> None:
    """Given a provider that is down, the order is accepted with its cards; the same request later says how to pay."""
    shop.sells(SKU, 1, PRICE)
    shop.bank.down = True
    first = buy()
    assert (first.session, first.claims, shop.stock.card_ids) == (None, 1, [])
    assert shop.orders.by_id[first.order.trade_id].status is Status.PENDING_PAYMENT
    shop.bank.down = False
    again = buy()
    assert (again.order.trade_id, again.claims) == (first.order.trade_id, 0)
    assert again.session is not None


# ---- the same request again ----


def _nothing_left(shop: Shop, order: Order) -> None:
    shop.stock.pools.clear()
    shop.catalogue.products[SKU] = replace(shop.catalogue.products[SKU], batches=())


def _hidden(shop: Shop, order: Order) -> None:
    shop.catalogue.products[SKU] = replace(shop.catalogue.products[SKU], on_sale=False)


def _gone(shop: Shop, order: Order) -> None:
    del shop.catalogue.products[SKU]


def _paid(shop: Shop, order: Order) -> None:
    shop.orders.put(order.settled(order.payments[0].payment_id, order.amount, None, shop.clock()))


def _repriced(shop: Shop, order: Order) -> None:
    shop.catalogue.products[SKU] = replace(shop.catalogue.products[SKU], price=Money(1, "CNY"))


@pytest.mark.parametrize("since", [_nothing_left, _hidden, _gone, _paid, _repriced])
def test_the_same_request_again_is_the_same_order_whatever_happened_since(
    shop: Shop, buy: Buyer, since: object
) -> None:
    """Given an order, when the shop changed and its request comes again, then it is that order and no card more."""
    assert callable(since)
    shop.sells(SKU, 5, PRICE)
    first = buy()
    since(shop, first.order)
    left = shop.stock.card_ids
    again = buy()
    assert (again.order, again.claims) == (shop.orders.by_id[first.order.trade_id], 0)
    assert again.session == (None if since is _paid else first.session)
    assert shop.stock.card_ids == left


@pytest.mark.parametrize("since", ["closed", "over", "judged"])
def test_the_same_request_again_opens_no_payment_for_an_order_that_cannot_be_paid_any_more(
    shop: Shop, buy: Buyer, since: str
) -> None:
    """Given that the provider did not answer when it was placed, else there would be a page already."""
    shop.sells(SKU, 1, PRICE)
    shop.bank.down = True
    order = buy().order
    shop.bank.down = False
    if since == "closed":
        shop.orders.put(order.closed(shop.clock()))
    elif since == "over":
        shop.clock.now = order.expires_at
    else:
        shop.orders.put(order.settled(order.payments[0].payment_id, Money(1, "CNY"), None, shop.clock()))
    assert buy().session is None


def test_the_same_request_again_is_the_same_order_when_the_caps_are_reached(shop: Shop) -> None:
    shop.sells(SKU, 5, PRICE)
    buy = Buyer(shop, {"address": 1, "device": 1, "contact": 1})
    first = buy(email="buyer@example.com")
    assert buy(email="buyer@example.com").order.trade_id == first.order.trade_id
    assert len(shop.stock.card_ids) == 4


def test_the_same_request_again_is_the_same_order_when_one_product_changed_its_currency(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 2, PRICE)
    shop.sells("other", 2, PRICE)
    first = buy((SKU, 1), ("other", 1))
    shop.catalogue.products["other"] = replace(shop.catalogue.products["other"], price=Money(990, "USD"))
    assert buy((SKU, 1), ("other", 1)).order.trade_id == first.order.trade_id


def test_a_key_used_for_another_request_is_refused(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 5, PRICE)
    first = buy((SKU, 1))
    with pytest.raises(IdempotencyKeyReused):
        buy((SKU, 2))
    assert list(shop.orders.by_id) == [first.order.trade_id]
    assert len(shop.stock.card_ids) == 4


# ---- refused: nothing written ----


def test_more_than_there_is_is_out_of_stock(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 2, PRICE)
    shop.sells("other", 1, PRICE)
    with pytest.raises(OutOfStock, match="other"):
        buy((SKU, 2), ("other", 2))
    assert shop.orders.by_id == {}
    assert len(shop.stock.card_ids) == 3


def test_a_listing_a_moment_behind_does_not_refuse_a_buyer(shop: Shop, buy: Buyer) -> None:
    """Given fresh stock that an eventually consistent read does not list yet, it is sold all the same."""
    shop.sells(SKU, 1, PRICE)
    shop.catalogue.behind[SKU] = replace(shop.catalogue.products[SKU], batches=())
    assert buy().order.cards[0].card_id == f"{SKU}-0"


def test_a_listing_a_moment_ahead_sells_nothing_that_is_not_there(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 1, PRICE)
    shop.stock.pools.clear()
    with pytest.raises(OutOfStock):
        buy()
    assert shop.orders.by_id == {}


def test_an_order_may_have_fifty_cards_and_no_more(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 101, PRICE)
    with pytest.raises(TooManyCards):
        buy((SKU, 50), ("other", 1))
    assert shop.orders.by_id == {}
    assert len(buy((SKU, 50)).order.cards) == 50


@pytest.mark.parametrize("sku", ["unknown", "hidden"])
def test_what_is_not_on_sale_cannot_be_ordered(shop: Shop, buy: Buyer, sku: str) -> None:
    shop.sells(SKU, 1, PRICE)
    shop.sells("hidden", 1, PRICE, on_sale=False)
    with pytest.raises(UnknownProduct, match=sku):
        buy((SKU, 1), (sku, 1))
    assert shop.orders.by_id == {}


def test_an_unknown_channel_is_refused(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 1, PRICE)
    with pytest.raises(UnknownChannel):
        buy(channel="nowhere")
    assert shop.orders.by_id == {}


def test_products_in_different_currencies_are_not_one_order(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 1, PRICE)
    shop.sells("dollars", 1, Money(990, "USD"))
    with pytest.raises(Unprocessable, match="currencies"):
        buy((SKU, 1), ("dollars", 1))
    assert shop.orders.by_id == {}
    assert len(shop.stock.card_ids) == 2


def test_a_price_in_a_currency_the_provider_does_not_take_is_refused(shop: Shop, buy: Buyer) -> None:
    """The provider would be asked for the bare number, and 9.90 CNY would buy what costs 9.90 USD."""
    shop.sells(SKU, 1, Money(990, "USD"))
    with pytest.raises(Unprocessable):
        buy()
    assert shop.orders.by_id == {}


# ---- unpaid orders at a time ----


@pytest.mark.parametrize("subject", ["address", "device", "contact"])
def test_a_buyer_has_only_so_many_unpaid_orders(shop: Shop, subject: str) -> None:
    """Given a cap of two, when a third is asked for, then it waits until the first of them expires."""
    shop.sells(SKU, 5, PRICE)
    buy = Buyer(shop, {"address": 0, "device": 0, "contact": 0, subject: 2})
    for key in ("first", "second"):
        buy(key=key, email="buyer@example.com")
        shop.clock.now += 1000
    with pytest.raises(TooManyHolds) as refused:
        buy(key="third", email="buyer@example.com")
    assert refused.value.retry_after == (WINDOW_MS - 2000) // 1000
    assert len(shop.orders.by_id) == 2

    stranger = Actor("buyer", "pc", "device-2", "198.51.100.1")
    assert buy(key="stranger", actor=stranger, email="other@example.com").claims == 1

    first = shop.orders.by_id[trade_id(SECRET, "first")]
    shop.orders.record(first, first.closed(shop.clock()))
    assert buy(key="third", email="buyer@example.com").claims == 1


def test_a_cap_of_zero_is_no_cap_and_keeps_no_hold(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 10, PRICE)
    for number in range(10):
        buy(key=f"key {number}", email="buyer@example.com")
    assert len(shop.orders.by_id) == 10
    assert all(held == {} for held in shop.orders.held_by.values())


def test_a_hold_names_nobody(shop: Shop) -> None:
    shop.sells(SKU, 1, PRICE)
    order = Buyer(shop, {"address": 1, "device": 1, "contact": 1})(email="buyer@example.com").order
    held = shop.orders.held_by[order.trade_id]
    assert held.keys() == {"address", "device", "contact"}
    assert not {BUYER.address, BUYER.device, "buyer@example.com"} & set(held.values())


# ---- others want the same cards ----


def test_a_card_lost_to_another_buyer_is_replaced_by_the_next(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 2, PRICE)
    lost: list[Card] = []

    def rival(order: Order) -> None:
        lost.extend(order.cards)
        shop.stock.take(order.cards[0])

    shop.orders.once(rival)
    placed = buy()
    assert placed.claims == 2
    assert [pause for pause in buy.pauses if 0 <= pause < 1] == buy.pauses != []
    assert placed.order.cards[0].card_id != lost[0].card_id
    assert shop.stock.card_ids == []


def test_the_last_card_lost_to_another_buyer_is_out_of_stock(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 1, PRICE)
    shop.orders.once(lambda order: shop.stock.take(order.cards[0]))
    with pytest.raises(OutOfStock):
        buy()
    assert shop.orders.by_id == {}


def test_a_product_hidden_during_the_struggle_is_not_sold(shop: Shop, buy: Buyer) -> None:
    shop.sells(SKU, 2, PRICE)

    def rival(order: Order) -> None:
        shop.stock.take(order.cards[0])
        _hidden(shop, order)

    shop.orders.once(rival)
    with pytest.raises(UnknownProduct):
        buy()
    assert shop.orders.by_id == {}


def test_a_storm_is_told_to_try_again(shop: Shop, buy: Buyer) -> None:
    """Given somebody who is always faster, then nothing is written and the buyer is told when to come back."""
    shop.sells(SKU, 3, PRICE)

    def always_faster(order: Order) -> None:
        shop.stock.take(order.cards[0])
        shop.stock.put(order.cards[0].returned())

    shop.orders.meanwhile = always_faster
    with pytest.raises(Busy) as refused:
        buy()
    assert sum(buy.pauses) < 15  # half of what the gateway waits, at most
    assert refused.value.retry_after == 1
    assert shop.orders.by_id == {}
    assert len(shop.stock.card_ids) == 3


def test_two_equal_requests_at_once_are_one_order(shop: Shop, buy: Buyer) -> None:
    """Given a twin that is written between this request's read and its write, both are answered with the twin's."""
    shop.sells(SKU, 3, PRICE)
    twin: list[Placed] = []
    shop.orders.once(lambda _: twin.append(buy()))
    assert buy().order.cards == shop.orders.by_id[twin[0].order.trade_id].cards
    assert len(shop.orders.by_id) == 1
    assert len(shop.stock.card_ids) == 2
