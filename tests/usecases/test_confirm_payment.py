"""A notice meets its order: believed only if the provider says so too, counted once, and never dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from cardshop.domain.errors import Busy, InvalidNotice, NotFound, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import (
    Channel,
    EventKind,
    Notice,
    Payment,
    PaymentEvent,
    PaymentState,
    RefundState,
    RefundWord,
    payment_id,
)
from cardshop.domain.trade import Status
from cardshop.ports import QueuedNotice
from cardshop.usecases.cancel_order import PAYMENT_FAILED
from cardshop.usecases.confirm_payment import ConfirmPayment, Outcome
from cardshop.usecases.refund_payment import RefundPayment
from cardshop.usecases.settle_payment import RecordPayment, SettlePayment, UnknownPayment

from tests.domain.builders import (
    BUYER,
    NOW,
    OPERATOR,
    PAYMENT_ID,
    PRICE,
    SKU,
    TRADE_ID,
    delivered,
    paid,
    placed,
    refunding,
)
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
        notice = self.shop.bank.says(PaymentEvent(payment, EventKind.PAID, amount, "bank-1", account))
        (outcome,) = self.take(notice, channel)
        return outcome

    def take(self, notice: Notice, channel: str = "epay") -> list[Outcome]:
        shop = self.shop
        record = RecordPayment(shop.orders, shop.stock, shop.catalogue, shop.clock)
        settle = SettlePayment(record, shop.machine)
        refund = RefundPayment(shop.orders, shop.channels, shop.provider, shop.machine, shop.clock)
        confirm = ConfirmPayment(
            shop.orders, shop.timeline, shop.channels, shop.provider, settle, refund, shop.machine, shop.clock
        )
        return confirm(QueuedNotice(channel, notice, NOW))

    def hears(
        self,
        kind: EventKind,
        *,
        payment: str | None = PAYMENT_ID,
        amount: Money | None = None,
        number: str | None = "bank-1",
        account: str | None = None,
        refund: RefundWord | None = None,
        channel: str = "epay",
    ) -> Outcome:
        """A notice of another kind than that of money that is in."""
        notice = self.shop.bank.says(PaymentEvent(payment, kind, amount, number, account, refund))
        (outcome,) = self.take(notice, channel)
        return outcome

    def changes(self, *changes: Callable[[Order], Order]) -> Order:
        """Each is written as somebody else would write it."""
        for change in changes:
            self.shop.orders.record(self.order, change(self.order))
        return self.order

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
    "said",
    [
        PaymentEvent(PAYMENT_ID, EventKind.PAID, None, "bank-1"),
        PaymentEvent(PAYMENT_ID, EventKind.OPEN, PRICE, "bank-1"),
    ],
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
    assert till.take(shop.bank.says(PaymentEvent(PAYMENT_ID, EventKind.OPEN, PRICE, None))) == []
    assert till.order == before


def test_one_notice_may_tell_of_several_payments(shop: Shop, till: Till) -> None:
    other = placed(trade_id="z" * 26)
    shop.orders.put(other)
    events = [PaymentEvent(each.payments[0].payment_id, EventKind.PAID, PRICE, None) for each in (till.order, other)]
    for order in (till.order, other):
        shop.bank.receives(order.payments[0].payment_id, PRICE)
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


# ---- whether the provider is asked ----


@pytest.fixture
def strong(shop: Shop) -> None:
    """A protocol whose notices prove enough."""
    shop.bank.takes = replace(shop.bank.takes, weak=False)


@pytest.mark.usefixtures("strong")
def test_a_notice_that_proves_enough_is_taken_at_its_word(shop: Shop, till: Till) -> None:
    assert till(received=None) is Outcome.ACCEPTED
    assert (till.order.status, shop.bank.asked) == (Status.PAID, [])


@pytest.mark.usefixtures("strong")
def test_a_provider_that_is_down_does_not_hold_up_a_notice_that_proves_enough(shop: Shop, till: Till) -> None:
    shop.bank.down = True
    assert till(received=None) is Outcome.ACCEPTED


@pytest.mark.usefixtures("strong")
@pytest.mark.parametrize("amount", [Money(1, "CNY"), Money(990, "USD")])
def test_less_than_was_asked_is_recorded_on_the_order_at_a_strong_notices_word(till: Till, amount: Money) -> None:
    assert till(amount=amount, received=None) is Outcome.IRREGULAR
    assert (till.order.status, till.judged, till.order.payments[0].paid) == (
        Status.PENDING_PAYMENT,
        PaymentState.SHORT,
        amount,
    )


@pytest.mark.usefixtures("strong")
def test_a_strong_notice_that_names_no_amount_makes_the_shop_ask(shop: Shop, till: Till) -> None:
    assert till(amount=None) is Outcome.ACCEPTED
    assert shop.bank.asked == [PAYMENT_ID]


def test_a_weak_notice_is_believed_no_further_than_the_providers_answer(shop: Shop, till: Till) -> None:
    assert till(received=None) is Outcome.DENIED
    assert (till.order.status, shop.bank.asked) == (Status.PENDING_PAYMENT, [PAYMENT_ID])
    assert till() is Outcome.ACCEPTED


@pytest.mark.parametrize("weak", [True, False])
def test_something_happened_and_the_provider_tells_what(shop: Shop, till: Till, weak: bool) -> None:
    shop.bank.takes = replace(shop.bank.takes, weak=weak)
    assert till.hears(EventKind.ASK) is Outcome.WAITING
    assert (till.order.status, shop.timeline.noted) == (Status.PENDING_PAYMENT, {})
    shop.bank.receives(PAYMENT_ID, PRICE)
    assert till.hears(EventKind.ASK) is Outcome.ACCEPTED
    assert till.order.status is Status.PAID
    assert till.hears(EventKind.ASK) is Outcome.REPEATED


def test_of_an_order_that_is_closed_nothing_is_taken_that_was_only_approved(shop: Shop, till: Till) -> None:
    till.hears(EventKind.ASK)
    assert shop.bank.closed == set()
    till.changes(lambda order: order.closed(NOW))
    assert till.hears(EventKind.ASK) is Outcome.WAITING
    assert shop.bank.closed == {PAYMENT_ID}


@pytest.mark.parametrize("kind", [EventKind.PAID, EventKind.ASK, EventKind.FAILED])
def test_money_that_had_gone_again_when_the_provider_was_asked_is_not_delivered(
    shop: Shop, till: Till, kind: EventKind
) -> None:
    shop.bank.books[PAYMENT_ID] = PaymentEvent(PAYMENT_ID, EventKind.REFUNDED)
    assert till.hears(kind, amount=PRICE if kind is EventKind.PAID else None) is Outcome.RETURNED
    assert (till.order.status, till.judged) == (Status.PENDING_PAYMENT, PaymentState.REFUNDED)
    assert shop.machine.woken == []


# ---- failed ----


@pytest.mark.usefixtures("strong")
def test_a_final_failure_ends_the_order_and_its_machine_closes_it(shop: Shop, till: Till) -> None:
    assert till.hears(EventKind.FAILED) is Outcome.FAILED
    assert (till.order.status, till.judged) == (Status.PAYMENT_FAILED, PaymentState.FAILED)
    assert shop.machine.failed == [(TOKEN, PAYMENT_FAILED)]
    version = till.order.version
    shop.machine.waiting.add(TOKEN)  # given that the first died before it woke the machine
    assert till.hears(EventKind.FAILED) is Outcome.FAILED
    assert (till.order.version, len(shop.machine.failed)) == (version, 2)


@pytest.mark.usefixtures("strong")
def test_a_failure_beside_another_open_payment_is_that_payments_alone(shop: Shop, till: Till) -> None:
    till.changes(lambda order: order.reopened("epay", BUYER, NOW))
    assert till.hears(EventKind.FAILED) is Outcome.FAILED
    assert (till.order.status, shop.machine.failed) == (Status.PENDING_PAYMENT, [])
    assert [each.state for each in till.order.payments] == [PaymentState.FAILED, PaymentState.OPEN]


@pytest.mark.usefixtures("strong")
def test_a_failure_of_what_is_paid_is_an_old_word(till: Till) -> None:
    till(received=None)
    before = till.order
    assert till.hears(EventKind.FAILED) is Outcome.REPEATED
    assert till.order == before


@pytest.mark.usefixtures("strong")
def test_money_that_comes_after_a_failure_is_taken(shop: Shop, till: Till) -> None:
    till.hears(EventKind.FAILED)
    shop.sells(SKU, 1, PRICE)
    assert till(received=None) is Outcome.ACCEPTED
    assert till.order.funded


def test_a_weak_failure_is_asked_about(shop: Shop, till: Till) -> None:
    assert till.hears(EventKind.FAILED) is Outcome.WAITING
    assert till.order.status is Status.PENDING_PAYMENT
    shop.bank.receives(PAYMENT_ID, PRICE)
    assert till.hears(EventKind.FAILED) is Outcome.ACCEPTED, "forged, or overtaken"
    other = placed(trade_id="z" * 26)
    shop.orders.put(other)
    number = other.payments[0].payment_id
    shop.bank.books[number] = PaymentEvent(number, EventKind.FAILED)
    assert till.hears(EventKind.FAILED, payment=number) is Outcome.FAILED
    assert shop.orders.by_id[other.trade_id].status is Status.PAYMENT_FAILED


@pytest.mark.usefixtures("strong")
def test_money_and_a_failure_at_once_are_money(shop: Shop, till: Till) -> None:
    shop.orders.once(lambda _: shop.orders.record(till.order, paid(till.order)))
    assert till.hears(EventKind.FAILED) is Outcome.FAILED
    assert (till.order.status, till.judged) == (Status.PAID, PaymentState.ACCEPTED)
    assert shop.machine.failed == []


# ---- refunds ----


def done(minor: int | None = None, *, total: int | None = None, **said: str) -> RefundWord:
    return RefundWord(
        RefundState.DONE,
        amount=None if minor is None else Money(minor, "CNY"),
        total=None if total is None else Money(total, "CNY"),
        **said,
    )


def test_a_refund_of_ours_that_is_done_ends_the_order(shop: Shop, till: Till) -> None:
    till()
    till.changes(delivered, refunding)
    shop.machine.waiting.add(TOKEN)
    shop.orders.by_id[TRADE_ID] = replace(till.order, task_token=TOKEN)
    assert till.hears(EventKind.REFUNDED, refund=done(refund_id=f"{PAYMENT_ID}r01")) is Outcome.RETURNED
    assert (till.order.status, till.judged) == (Status.REFUNDED, PaymentState.REFUNDED)
    assert shop.machine.woken[-1] == TOKEN, "its execution ends"


def test_a_refund_that_is_refused_lets_the_machine_go_on(shop: Shop, till: Till) -> None:
    till()
    till.changes(refunding)
    shop.machine.executions[TRADE_ID] = False  # it found nothing to deliver
    word = RefundWord(RefundState.REFUSED, f"{PAYMENT_ID}r01")
    assert till.hears(EventKind.REFUNDED, refund=word) is Outcome.RETURNED
    assert (till.order.status, [each.payment_id for each in till.order.tasks]) == (Status.PAID, [PAYMENT_ID])
    assert shop.machine.runs(TRADE_ID)


@pytest.mark.parametrize("repeat", [1, 2])
def test_a_refund_made_at_the_providers_console_is_recorded_once(shop: Shop, till: Till, repeat: int) -> None:
    till()
    till.changes(delivered)
    for _ in range(repeat):
        assert till.hears(EventKind.REFUNDED, refund=done(990, provider_ref="C1")) is Outcome.RETURNED
    assert (till.order.status, till.order.cards) == (Status.REFUNDED, ())
    assert [(each.amount, each.by) for each in till.order.payments[0].refunds] == [(PRICE, "provider")]


def test_money_that_went_back_before_its_notice_came_is_recorded_and_nothing_delivered(
    shop: Shop, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider's books still have it: what came and what went is known, and nobody is woken in between."""
    shop.bank.receives(PAYMENT_ID, PRICE)
    seen: list[Status] = []
    wake = shop.machine.succeed

    def woken(token: str) -> bool:
        seen.append(till.order.status)
        return wake(token)

    monkeypatch.setattr(shop.machine, "succeed", woken)
    assert till.hears(EventKind.REFUNDED, refund=done(total=990)) is Outcome.RETURNED
    assert (till.order.status, till.order.payments[0].paid) == (Status.REFUNDED, PRICE)
    assert seen == [Status.REFUNDED], "else it would have delivered"
    assert till() is Outcome.REPEATED


def test_a_part_that_went_back_before_its_notice_came_leaves_an_order_that_is_paid(shop: Shop, till: Till) -> None:
    shop.bank.receives(PAYMENT_ID, PRICE)
    assert till.hears(EventKind.REFUNDED, refund=done(total=300)) is Outcome.RETURNED
    assert (till.order.status, till.order.payments[0].left) == (Status.PAID, 690)
    assert shop.machine.woken == [TOKEN]


# ---- a refund that was done, and then was not


def refused(ref: str = "re_1") -> RefundWord:
    return RefundWord(RefundState.REFUSED, f"{PAYMENT_ID}r01", ref)


def refunded(till: Till) -> Order:
    word = RefundWord(RefundState.DONE, f"{PAYMENT_ID}r01", "re_1")
    return till.changes(
        paid,
        delivered,
        refunding,
        lambda order: order.refund_told(PAYMENT_ID, word, NOW),
        lambda order: order.gone(NOW),
    )


def test_a_refund_that_failed_after_it_was_done_is_an_operators_task(shop: Shop, till: Till) -> None:
    """The buyer has no money, the provider has it: the order stays refunded, and somebody sends it by hand."""
    assert refunded(till).status is Status.REFUNDED
    shop.bank.sends = RefundState.REFUSED
    assert till.hears(EventKind.REFUNDED, refund=refused()) is Outcome.RETURNED
    order = till.order
    assert (order.status, [each.state for each in order.payments[0].refunds]) == (
        Status.REFUNDED,
        [RefundState.BY_HAND],
    )
    assert [each.payment_id for each in order.tasks] == [PAYMENT_ID]
    assert (order.last_change.what, order.due_at) == ("refund_by_hand", NOW)
    sent = order.refund_told(PAYMENT_ID, RefundWord(RefundState.DONE, f"{PAYMENT_ID}r01", "wallet-1"), NOW)
    assert (sent.tasks, sent.payments[0].not_gone) == ([], 0)


def test_that_a_done_refund_failed_is_believed_only_if_the_provider_says_so(shop: Shop, till: Till) -> None:
    before = refunded(till)
    till.hears(EventKind.REFUNDED, refund=refused())
    assert till.order == before, "the bank says that it is done: an old word"


def test_that_a_refund_failed_which_somebody_has_sent_by_hand_since_is_an_old_word(shop: Shop, till: Till) -> None:
    before = refunded(till)
    shop.bank.sends = RefundState.REFUSED
    till.hears(EventKind.REFUNDED, refund=refused("another number"))
    assert till.order == before


def test_a_refund_that_failed_after_it_was_done_is_heard_later_while_the_provider_is_down(
    shop: Shop, till: Till
) -> None:
    before = refunded(till)
    shop.bank.down = True
    with pytest.raises(Unavailable):
        till.hears(EventKind.REFUNDED, refund=refused())
    assert till.order == before


def came_back(shop: Shop, till: Till) -> Order:
    """And the shop has heard that it did."""
    refunded(till)
    shop.bank.sends = RefundState.REFUSED
    till.hears(EventKind.REFUNDED, refund=refused())
    return till.order


#: What was said of it when it was done, by providers of different kinds.
OLD = {
    "by our number": done(refund_id=f"{PAYMENT_ID}r01", provider_ref="re_1"),
    "by its own": done(990, provider_ref="re_1"),
    "by all that has gone": done(total=990),
    "by all of these": done(990, total=990, refund_id=f"{PAYMENT_ID}r01", provider_ref="re_1"),
}


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("word", OLD.values(), ids=list(OLD))
def test_that_it_was_done_is_not_believed_once_it_has_come_back(
    shop: Shop, till: Till, word: RefundWord, kept: bool
) -> None:
    """Else money that the buyer never got is shown as sent."""
    before = came_back(shop, till)
    if kept:
        before = till.changes(lambda order: order.kept(PAYMENT_ID, NOW, OPERATOR))
    assert till.hears(EventKind.REFUNDED, refund=word) is Outcome.RETURNED
    assert till.order == before


@pytest.mark.parametrize("word", OLD.values(), ids=list(OLD))
def test_that_what_came_back_has_gone_is_heard_later_while_the_provider_is_down(
    shop: Shop, till: Till, word: RefundWord
) -> None:
    before = came_back(shop, till)
    shop.bank.down = True
    with pytest.raises(Unavailable):
        till.hears(EventKind.REFUNDED, refund=word)
    assert till.order == before


@pytest.mark.parametrize("word", OLD.values(), ids=list(OLD))
def test_what_came_back_and_was_sent_by_hand_since_has_gone_once(shop: Shop, till: Till, word: RefundWord) -> None:
    came_back(shop, till)
    sent = RefundWord(RefundState.DONE, f"{PAYMENT_ID}r01", "wallet-1")
    before = till.changes(lambda order: order.refund_told(PAYMENT_ID, sent, NOW, OPERATOR))
    shop.bank.down = True  # nobody needs to be asked
    till.hears(EventKind.REFUNDED, refund=word)
    assert till.order == before


def test_what_came_back_goes_after_all_if_the_provider_says_so(shop: Shop, till: Till) -> None:
    """Somebody has sent it once more in the provider's console, under the same number."""
    came_back(shop, till)
    shop.bank.sends = RefundState.DONE
    till.hears(EventKind.REFUNDED, refund=OLD["by our number"])
    assert (till.order.tasks, till.order.payments[0].not_gone, till.judged) == ([], 0, PaymentState.REFUNDED)


@pytest.mark.parametrize("minor", [300, 990])
@pytest.mark.parametrize(
    "word",
    [
        lambda minor: done(minor, provider_ref="C1"),
        lambda minor: done(minor, total=minor + 990, provider_ref="C1"),
        lambda minor: done(total=minor),
        lambda minor: done(total=minor + 990),
    ],
    ids=["by its number", "by its number and an old total", "by a total", "by an old total"],
)
def test_what_somebody_sends_at_the_console_instead_of_what_came_back_counts_as_it_is(
    shop: Shop, till: Till, word: Callable[[int], RefundWord], minor: int
) -> None:
    came_back(shop, till)
    shop.bank.sent[f"{PAYMENT_ID}-at-the-console"] = Money(minor, "CNY")
    for _ in range(2):
        till.hears(EventKind.REFUNDED, refund=word(minor))
    assert [(each.amount.minor, each.state, each.by) for each in till.order.payments[0].refunds[1:]] == [
        (minor, RefundState.DONE, "provider")
    ]


def test_what_is_known_to_have_gone_by_the_total_alone_may_come_back_too(shop: Shop, till: Till) -> None:
    """Given a refund whose answer was lost, its own number is learnt when it comes back."""
    till.changes(paid, delivered, refunding)
    till.hears(EventKind.REFUNDED, refund=done(total=990))
    assert (till.order.status, till.order.payments[0].refunds[0].provider_ref) == (Status.REFUNDED, None)
    shop.bank.sends = RefundState.REFUSED
    till.hears(EventKind.REFUNDED, refund=refused())
    before = till.order
    assert [each.state for each in before.payments[0].refunds] == [RefundState.BY_HAND]
    till.hears(EventKind.REFUNDED, refund=OLD["by our number"])
    assert till.order == before


@pytest.mark.parametrize("kind", [EventKind.REFUNDED, EventKind.FAILED])
@pytest.mark.parametrize("word", [done(990), done(total=990), done()])
def test_money_that_the_books_have_no_more_came_and_went(
    shop: Shop, till: Till, kind: EventKind, word: RefundWord
) -> None:
    shop.bank.books[PAYMENT_ID] = PaymentEvent(PAYMENT_ID, kind)
    assert till.hears(EventKind.REFUNDED, refund=word) is Outcome.RETURNED
    assert (till.order.status, till.judged, till.order.payments[0].paid) == (
        Status.PENDING_PAYMENT,
        PaymentState.REFUNDED,
        None,
    )
    shop.bank.receives(PAYMENT_ID, PRICE)
    assert till() is Outcome.REPEATED, "an old word"
    assert till.order.status is Status.PENDING_PAYMENT


@pytest.mark.parametrize("word", [done(300), done(total=300), RefundWord(RefundState.REFUSED, amount=PRICE)])
def test_books_that_tell_only_that_some_went_do_not_make_the_rest_the_shops(
    shop: Shop, till: Till, word: RefundWord
) -> None:
    """Given a provider that calls a payment refunded from its first refund on, what did not go back pays for it."""
    shop.bank.books[PAYMENT_ID] = PaymentEvent(PAYMENT_ID, EventKind.REFUNDED)
    till.hears(EventKind.REFUNDED, refund=word)
    gone = 300 if word.state is RefundState.DONE else 0
    assert (till.order.payments[0].paid, till.order.payments[0].left) == (PRICE, 990 - gone)
    assert till.order.status is Status.PAID


def test_a_refund_of_money_that_the_books_do_not_have_yet_is_heard_later(shop: Shop, till: Till) -> None:
    """Were it taken for gone, the notice of the money would come to nothing."""
    before = till.order
    with pytest.raises(UnknownPayment):
        till.hears(EventKind.REFUNDED, refund=done(990))
    assert till.order == before
    assert till() is Outcome.ACCEPTED


def test_a_refund_heard_while_the_provider_is_down_is_heard_later(shop: Shop, till: Till) -> None:
    before = till.order
    shop.bank.down = True
    with pytest.raises(Unavailable):
        till.hears(EventKind.REFUNDED, refund=done(990))
    assert till.order == before


def test_a_refund_of_money_that_came_late_is_no_reason_to_deliver(shop: Shop, till: Till) -> None:
    shop.sells(SKU, 1, PRICE)
    till.changes(lambda order: order.closed(NOW))
    shop.bank.receives(PAYMENT_ID, PRICE)
    till.hears(EventKind.REFUNDED, refund=done(total=990))
    assert (till.order.status, till.order.cards) == (Status.REFUNDED, ())


# ---- charge-backs ----


def test_a_charge_back_of_what_is_not_delivered_ends_the_order(shop: Shop, till: Till) -> None:
    till()
    assert till.hears(EventKind.CHARGED_BACK) is Outcome.CONTESTED
    assert (till.order.status, till.judged, till.order.cards) == (Status.REFUNDED, PaymentState.CHARGED_BACK, ())
    assert shop.timeline.kinds == ["charged_back"]


def test_a_charge_back_of_what_is_delivered_is_on_record_and_so_is_its_end(shop: Shop, till: Till) -> None:
    till()
    till.changes(delivered)
    for _ in range(2):
        assert till.hears(EventKind.CHARGED_BACK) is Outcome.CONTESTED
    assert (till.order.status, till.order.contested, till.order.version) == (Status.DELIVERED, True, 4)
    for _ in range(2):
        assert till.hears(EventKind.REINSTATED) is Outcome.CONTESTED
    assert (till.order.status, till.order.contested, till.order.version) == (Status.DELIVERED, False, 5)
    assert shop.timeline.kinds == ["charged_back", "reinstated"]


@pytest.mark.parametrize("kind", [EventKind.CHARGED_BACK, EventKind.REINSTATED])
def test_a_contest_of_money_that_nobody_has_heard_of_is_heard_later(till: Till, kind: EventKind) -> None:
    before = till.order
    with pytest.raises(UnknownPayment):
        till.hears(kind)
    assert till.order == before


def test_a_charge_back_that_breaks_off_is_finished_when_it_comes_again(shop: Shop, till: Till) -> None:
    till()
    assert till.changes(lambda order: order.charged_back(PAYMENT_ID, NOW)).status is Status.REFUNDING
    assert till.hears(EventKind.CHARGED_BACK) is Outcome.CONTESTED
    assert till.order.status is Status.REFUNDED


# ---- what does not fit, and what only the provider's number tells ----

OTHERS = [EventKind.ASK, EventKind.FAILED, EventKind.REFUNDED, EventKind.CHARGED_BACK, EventKind.REINSTATED]


@pytest.mark.parametrize("said", [{"account": "1002"}, {"channel": "other"}])
@pytest.mark.parametrize("kind", OTHERS)
def test_a_notice_of_any_kind_that_does_not_fit_is_an_incident(
    shop: Shop, till: Till, kind: EventKind, said: dict[str, str]
) -> None:
    shop.channels["other"] = Channel("other", "bank", {"pid": "1001"}, {})
    shop.bank.receives(PAYMENT_ID, PRICE)
    before = till.order
    assert till.hears(kind, refund=done(990), **said) is Outcome.MISMATCH  # type: ignore[arg-type]
    assert (till.order, shop.bank.asked) == (before, [])
    assert shop.timeline.kinds == ["wrong_account" if "account" in said else "wrong_channel"]


@pytest.mark.parametrize("kind", [EventKind.PAID, *OTHERS])
def test_an_event_that_names_only_the_providers_number_is_traced(shop: Shop, till: Till, kind: EventKind) -> None:
    shop.bank.traces["P1"] = PAYMENT_ID
    shop.bank.receives(PAYMENT_ID, PRICE)
    if kind in {EventKind.CHARGED_BACK, EventKind.REINSTATED}:
        till.changes(paid)
    amount = PRICE if kind is EventKind.PAID else None
    refund = done(total=990) if kind is EventKind.REFUNDED else None
    till.hears(kind, payment=None, number="P1", amount=amount, refund=refund)
    assert till.judged is {
        EventKind.REFUNDED: PaymentState.REFUNDED,
        EventKind.CHARGED_BACK: PaymentState.CHARGED_BACK,
    }.get(kind, PaymentState.ACCEPTED)


def test_an_event_of_a_number_that_nobody_knows_is_of_no_payment_of_ours(till: Till) -> None:
    with pytest.raises(UnknownPayment):
        till.hears(EventKind.CHARGED_BACK, payment=None, number="P9")
