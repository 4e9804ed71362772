"""A notice meets its order: believed only if the provider says so too, counted once, and never dropped."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from cardshop.domain.errors import Busy, InvalidNotice, NotFound, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import Channel, Notice, Payment, PaymentEvent, PaymentState, payment_id
from cardshop.domain.trade import Status
from cardshop.ports import QueuedNotice
from cardshop.usecases.confirm_payment import ConfirmPayment, Outcome
from cardshop.usecases.settle_payment import RecordPayment, SettlePayment, UnknownPayment

from tests.domain.builders import BUYER, NOW, PAYMENT_ID, PRICE, SKU, TRADE_ID, delivered, paid, placed
from tests.usecases.fakes import Shop

TOKEN = "token-1"


@dataclass
class Till:
    """One shop's confirm_payment, and the notices its provider sends."""

    shop: Shop

    def __call__(
        self,
        *,
        amount: Money | None = PRICE,
        received: Money | None = PRICE,
        account: str | None = "1001",
        channel: str = "epay",
        payment: str = PAYMENT_ID,
    ) -> Outcome:
        """A notice that says `amount` was paid, of a provider whose books say `received`."""
        if received is not None:
            self.shop.bank.receives(payment, received)
        notice = self.shop.bank.says(PaymentEvent(payment, True, amount, "bank-1", account))
        (outcome,) = self.take(notice, channel)
        return outcome

    def take(self, notice: Notice, channel: str = "epay") -> list[Outcome]:
        shop = self.shop
        record = RecordPayment(shop.orders, shop.stock, shop.catalogue, shop.clock)
        settle = SettlePayment(record, shop.machine)
        confirm = ConfirmPayment(shop.orders, shop.timeline, shop.channels, shop.provider, settle, shop.clock)
        return confirm(QueuedNotice(channel, notice, NOW))

    @property
    def order(self) -> Order:
        return self.shop.orders.by_id[TRADE_ID]

    @property
    def judged(self) -> PaymentState:
        return self.order.payments[0].state


@pytest.fixture
def till(shop: Shop) -> Till:
    """A shop with one unpaid order, whose machine waits."""
    shop.orders.put(placed())
    shop.orders.write_token(TRADE_ID, TOKEN)
    shop.machine.start(TRADE_ID)
    shop.machine.waiting.add(TOKEN)
    return Till(shop)


def test_a_confirmed_payment_is_accepted_and_the_machine_goes_on(shop: Shop, till: Till) -> None:
    assert till() is Outcome.ACCEPTED
    assert (till.order.status, till.order.version) == (Status.PAID, 2)
    assert till.order.payments[0] == Payment(PAYMENT_ID, "epay", PRICE, PaymentState.ACCEPTED, PRICE, "bank-1")
    assert shop.machine.woken == [TOKEN]
    assert shop.machine.executions == {TRADE_ID: True}
    assert shop.timeline.noted == {}


def test_a_repeated_notice_changes_nothing_but_wakes_the_machine_again(shop: Shop, till: Till) -> None:
    """Given a payment that was recorded by somebody who died before waking the machine, a second notice does it."""
    till()
    shop.machine.waiting.add(TOKEN)
    before = till.order
    assert till() is Outcome.REPEATED
    assert till.order == before
    assert shop.machine.woken == [TOKEN, TOKEN]


def test_a_token_that_nobody_waits_with_is_enough_while_an_execution_runs(shop: Shop, till: Till) -> None:
    """It was woken already, and is on its way."""
    shop.machine.waiting.clear()
    assert till() is Outcome.ACCEPTED
    assert shop.machine.executions == {TRADE_ID: True}


def test_a_trade_whose_execution_was_stopped_is_taken_over_by_another(shop: Shop, till: Till) -> None:
    shop.machine.waiting.clear()
    shop.machine.executions[TRADE_ID] = False
    assert till() is Outcome.ACCEPTED
    assert till() is Outcome.REPEATED
    assert list(shop.machine.executions.values()) == [False, True]  # one more, however often


def test_an_order_whose_machine_has_not_begun_gets_an_execution(shop: Shop) -> None:
    """Whoever starts it first, the stream or the payment, it is one."""
    shop.orders.put(placed())
    assert Till(shop)() is Outcome.ACCEPTED
    assert Till(shop)() is Outcome.REPEATED
    assert len(shop.machine.executions) == 1


def test_a_token_written_at_the_very_moment_of_payment_is_not_missed(shop: Shop) -> None:
    """Given a machine that begins to wait between the payment's read and its write, it is woken all the same."""
    shop.orders.put(placed())
    shop.machine.waiting.add(TOKEN)
    shop.orders.once(lambda _: shop.orders.write_token(TRADE_ID, TOKEN))
    assert Till(shop)() is Outcome.ACCEPTED
    assert shop.machine.woken == [TOKEN]


def test_a_delivered_order_is_not_woken_again(shop: Shop, till: Till) -> None:
    till()
    shop.orders.record(till.order, delivered(till.order))
    shop.machine.woken.clear()
    shop.machine.executions[TRADE_ID] = False  # it is past its end
    assert till() is Outcome.REPEATED
    assert (shop.machine.woken, shop.machine.executions) == ([], {TRADE_ID: False})


# ---- not as it should be: recorded beside the order, which stays as it was ----


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("wrong_account", {"account": "1002"}),
        ("wrong_channel", {"channel": "other"}),
        ("wrong_amount", {"amount": Money(1, "CNY")}),
        ("denied", {"received": None}),
    ],
)
def test_a_notice_that_does_not_fit_is_an_incident(shop: Shop, till: Till, kind: str, said: dict[str, object]) -> None:
    shop.channels["other"] = Channel("other", "bank", {"pid": "1001"}, {})
    before = till.order
    expected = Outcome.DENIED if kind == "denied" else Outcome.MISMATCH
    assert till(**said) is expected  # type: ignore[arg-type]
    assert till.order == before
    assert shop.machine.woken == []
    (incident,) = shop.timeline.noted.values()
    assert (incident.trade_id, incident.kind, incident.payment_id) == (TRADE_ID, kind, PAYMENT_ID)
    assert (incident.channel, incident.at) == (said.get("channel", "epay"), NOW)
    # the same notice again is the same incident
    till(**said)  # type: ignore[arg-type]
    assert shop.timeline.kinds == [kind]


@pytest.mark.parametrize("said", [{"account": "1002"}, {"amount": Money(1, "CNY")}, {"received": None}])
def test_the_genuine_notice_after_a_false_one_is_accepted(shop: Shop, till: Till, said: dict[str, object]) -> None:
    till(**said)  # type: ignore[arg-type]
    assert till() is Outcome.ACCEPTED
    assert till.order.status is Status.PAID
    assert len(shop.timeline.kinds) == 1


def test_a_provider_whose_notices_name_neither_account_nor_amount_is_asked(till: Till) -> None:
    assert till(amount=None, account=None) is Outcome.ACCEPTED


@pytest.mark.parametrize(
    "said", [PaymentEvent(PAYMENT_ID, True, None, "bank-1"), PaymentEvent(PAYMENT_ID, False, PRICE, "bank-1")]
)
def test_books_that_name_no_amount_or_no_payment_confirm_nothing(shop: Shop, till: Till, said: PaymentEvent) -> None:
    shop.bank.books[PAYMENT_ID] = said
    assert till(received=None) is Outcome.DENIED
    assert till.order.status is Status.PENDING_PAYMENT


# ---- money that is not what was asked for: recorded on the order ----


@pytest.mark.parametrize("received", [Money(989, "CNY"), Money(990, "USD")])
def test_too_little_or_another_currency_is_recorded_and_not_delivered(shop: Shop, till: Till, received: Money) -> None:
    assert till(amount=received, received=received) is Outcome.IRREGULAR
    assert (till.order.status, till.judged) == (Status.PENDING_PAYMENT, PaymentState.SHORT)
    assert till.order.payments[0].paid == received
    assert shop.machine.woken == []


def test_too_much_is_accepted_and_the_surplus_is_on_record(shop: Shop, till: Till) -> None:
    assert till(amount=Money(1000, "CNY"), received=Money(1000, "CNY")) is Outcome.IRREGULAR
    assert (till.judged, till.order.payments[0].paid) == (PaymentState.SURPLUS, Money(1000, "CNY"))
    assert till.order.status is Status.PAID
    assert shop.machine.woken == [TOKEN]


def test_what_the_books_say_counts_not_what_the_notice_says(till: Till) -> None:
    assert till(amount=Money(99_000, "CNY"), received=Money(1, "CNY")) is Outcome.IRREGULAR
    assert till.order.payments[0].paid == Money(1, "CNY")


def test_money_for_a_closed_order_gets_cards_of_those_for_sale(shop: Shop, till: Till) -> None:
    shop.sells(SKU, 1, PRICE)
    shop.orders.record(till.order, till.order.closed(NOW))
    assert till() is Outcome.ACCEPTED
    assert (till.order.status, till.judged) == (Status.PAID, PaymentState.ACCEPTED)
    assert till.order.has_its_cards


def test_money_for_a_closed_order_without_cards_for_sale_awaits_some(shop: Shop, till: Till) -> None:
    shop.orders.record(till.order, till.order.closed(NOW))
    assert till() is Outcome.AWAITS_STOCK
    assert (till.order.status, till.judged, till.order.lacking) == (Status.AWAITING_STOCK, PaymentState.ACCEPTED, SKU)
    assert till() is Outcome.REPEATED


def test_a_short_payment_is_topped_up(shop: Shop, till: Till) -> None:
    assert till(amount=Money(900, "CNY"), received=Money(900, "CNY")) is Outcome.IRREGULAR
    shop.orders.record(till.order, till.order.reopened("epay", BUYER, NOW))
    rest = till.order.payments[1]
    assert till(payment=rest.payment_id, amount=Money(90, "CNY"), received=Money(90, "CNY")) is Outcome.ACCEPTED
    assert (till.order.status, shop.machine.woken) == (Status.PAID, [TOKEN])


def test_money_for_an_order_that_is_paid_already_is_a_duplicate(shop: Shop, till: Till) -> None:
    shop.orders.record(till.order, till.order.reopened("epay", BUYER, NOW))
    again = payment_id(TRADE_ID, 2)
    assert till() is Outcome.ACCEPTED
    assert till(payment=again) is Outcome.IRREGULAR
    assert [payment.state for payment in till.order.payments] == [PaymentState.ACCEPTED, PaymentState.DUPLICATE]
    assert till.order.status is Status.PAID


# ---- what is not this order's, or not to be known yet ----


@pytest.mark.parametrize("unknown", [f"{TRADE_ID}02", f"{'z' * 26}01", "20160806151343349", ""])
def test_a_payment_of_no_order_is_unknown(till: Till, unknown: str) -> None:
    before = till.order
    with pytest.raises(UnknownPayment):
        till(payment=unknown)
    assert till.order == before


def test_a_provider_that_does_not_answer_leaves_the_order_as_it_is(shop: Shop, till: Till) -> None:
    before = till.order
    shop.bank.down = True
    with pytest.raises(Unavailable):
        till()
    assert till.order == before
    assert shop.timeline.noted == {}


def test_a_notice_that_cannot_be_verified_any_more_is_not_believed(till: Till) -> None:
    before = till.order
    with pytest.raises(InvalidNotice):
        till.take(Notice("POST", (), {}, b"forged"))
    assert till.order == before


def test_a_channel_that_is_gone_is_not_found(till: Till) -> None:
    with pytest.raises(NotFound):
        till(channel="gone")


def test_a_notice_that_does_not_say_paid_is_nothing_to_confirm(shop: Shop, till: Till) -> None:
    before = till.order
    assert till.take(shop.bank.says(PaymentEvent(PAYMENT_ID, False, PRICE, None))) == []
    assert till.order == before


def test_one_notice_may_tell_of_several_payments(shop: Shop, till: Till) -> None:
    other = placed(trade_id="z" * 26)
    shop.orders.put(other)
    events = [PaymentEvent(each.payments[0].payment_id, True, PRICE, None) for each in (till.order, other)]
    for event in events:
        shop.bank.receives(event.payment_id, PRICE)
    assert till.take(shop.bank.says(*events)) == [Outcome.ACCEPTED, Outcome.ACCEPTED]
    assert {order.status for order in shop.orders.by_id.values()} == {Status.PAID}


# ---- somebody else changes the order meanwhile ----


def test_an_order_revealed_or_otherwise_changed_meanwhile_is_loaded_again(shop: Shop, till: Till) -> None:
    shop.orders.once(lambda _: shop.orders.record(till.order, till.order.revealed(NOW, BUYER)))
    assert till() is Outcome.ACCEPTED
    assert (till.order.status, till.order.version) == (Status.PAID, 3)


def test_an_order_closed_meanwhile_is_paid_late_with_cards_of_those_for_sale(shop: Shop, till: Till) -> None:
    (card,) = shop.sells(SKU, 1, PRICE)
    shop.orders.once(lambda _: shop.orders.record(till.order, till.order.closed(NOW)))
    assert till() is Outcome.ACCEPTED
    assert (till.order.status, till.judged, till.order.version) == (Status.PAID, PaymentState.ACCEPTED, 3)
    assert [each.card_id for each in till.order.cards] == [card.card_id]


def test_a_twin_that_was_faster_leaves_one_payment_and_no_second_version(shop: Shop, till: Till) -> None:
    shop.orders.once(lambda _: shop.orders.record(till.order, paid(till.order)))
    assert till() is Outcome.REPEATED
    assert (till.order.status, till.order.version) == (Status.PAID, 2)
    assert shop.machine.woken == [TOKEN]


def test_an_order_that_never_stops_changing_is_tried_again_later(shop: Shop, till: Till) -> None:
    def always_faster(_: Order) -> None:
        shop.orders.by_id[TRADE_ID] = till.order.revealed(NOW, BUYER)

    shop.orders.meanwhile = always_faster
    with pytest.raises(Busy):
        till()
    assert till.judged is PaymentState.OPEN
