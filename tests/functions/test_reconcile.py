"""Every minute: what is due is looked at, and what nobody did is done, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.clock import clock
from cardshop.domain.looks import GRACE
from cardshop.domain.order import Order
from cardshop.domain.payment import PaymentState
from cardshop.domain.trade import Status

from tests.adapters.cloud import Waiting, executions, forget_settings, items
from tests.adapters.payments.platform import Platform
from tests.domain.builders import BUYER, NOW, PRICE, SKU, TRADE_ID, cards, delivered, paid, placed
from tests.functions.deployed import MERCHANT_KEY, Context, Deployed, Logs, metrics
from tests.functions.samples import sample

EVERY_MINUTE = sample("reconcile/every_minute")
_HEARD_OF = (
    "LostNotices",
    "IrregularNotices",
    "OrdersAwaitingStock",
    "OrdersWithoutCards",
    "ProviderUnanswered",
    "OperatorTasks",
    "TradesNotLookedAt",
)
NOTHING = {name: [0.0] for name in _HEARD_OF}


def run(shop: Deployed) -> dict[str, int]:
    counts: dict[str, int] = shop.invoke("reconcile", EVERY_MINUTE)
    return {name: count for name, count in counts.items() if count}


def in_time(order: Order | None = None) -> Order:
    """An unpaid order whose window has just begun, and that is due."""
    now = clock()
    return replace(order or placed(), created_at=now - 60_000, expires_at=now + 1_740_000, due_at=now - 1)


def another(letter: str) -> Order:
    return placed(trade_id=letter * 26, held=cards(1, batch=f"batch-{letter}"))


def cancelled(order: Order) -> Order:
    return order.failed(NOW, BUYER)


def closed(order: Order) -> Order:
    return order.closed(NOW)


def awaiting(order: Order) -> Order:
    """A closed order, paid late when there were no cards; the look after that is due."""
    return awaiting_since(order, clock() - 60_000)


def awaiting_since(order: Order, at: int) -> Order:
    payment = order.payments[0]
    late = order.settled(payment.payment_id, payment.amount, "T1", at, lacking=SKU)
    return replace(late, due_at=NOW)


@pytest.fixture
def unpaid(platform: Platform) -> Platform:
    """The provider, on whose books nothing is paid."""
    platform.says(code=1, status=0, money="9.90")
    return platform


# ---- nothing to do ----


def test_a_run_that_finds_nothing_says_that_it_ran(shop: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop) == {}
    assert metrics(capsys) == {"ReconcileRuns": [1.0], **NOTHING}


def test_a_trade_that_is_not_due_is_not_looked_at(shop: Deployed, platform: Platform) -> None:
    order = shop.order(replace(in_time(), due_at=clock() + 60_000))
    assert run(shop) == {}
    assert shop.stored() == order
    assert platform.asked == []


# ---- lost notices ----


def test_a_payment_whose_notice_was_lost_is_found(
    shop: Deployed, platform: Platform, waiting: Waiting, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.order(in_time())
    shop.invoke("start_trade", sample("start_trade/placed"))
    shop.wait_with("token")
    waiting.add("token")
    assert run(shop) == {"looked": 1, "settled": 1}
    order = shop.stored()
    assert (order.status, order.version, order.payments[0].provider_ref) == (Status.PAID, 2, "T1")
    assert waiting == set(), "the machine goes on"
    assert executions(shop.machine) == [TRADE_ID], "and is the only one"
    assert metrics(capsys) == {"ReconcileRuns": [1.0], **NOTHING, "LostNotices": [1.0]}


def test_money_that_came_for_a_closed_order_is_found_and_buys_a_card(shop: Deployed, platform: Platform) -> None:
    shop.stock("CODE-1")
    shop.order(placed(), closed)
    assert run(shop) == {"looked": 1, "settled": 1}
    assert (shop.stored().status, len(shop.stored().cards)) == (Status.PAID, 1)
    assert executions(shop.machine) == [TRADE_ID]


def test_who_paid_and_cancelled_is_found_too(shop: Deployed, platform: Platform) -> None:
    shop.stock("CODE-1")
    shop.order(placed(), cancelled)
    assert run(shop)["settled"] == 1
    assert [each.state for each in shop.stored().payments] == [PaymentState.ACCEPTED]
    assert shop.stored().status is Status.PAID
    assert executions(shop.machine) == [TRADE_ID]


def test_money_of_a_second_payment_whose_notice_was_lost_is_found_beside_the_first(
    shop: Deployed, platform: Platform
) -> None:
    """Given an order that was paid through another channel meanwhile, what the first payment brought is on record."""
    platform.says(code=1, status=1, money="9.90")
    shop.order(
        placed(),
        lambda order: order.reopened("epay-wx", BUYER, NOW),
        lambda order: order.settled(f"{TRADE_ID}02", PRICE, None, NOW),
        lambda order: delivered(order, NOW),
    )
    assert run(shop)["settled"] == 1
    assert [each.state for each in shop.stored().payments] == [PaymentState.DUPLICATE, PaymentState.ACCEPTED]


# ---- executions that nobody sees ----


def test_an_unpaid_order_without_an_execution_gets_one(shop: Deployed, unpaid: Platform) -> None:
    order = shop.order(in_time())
    assert run(shop) == {"looked": 1}
    assert executions(shop.machine) == [TRADE_ID]
    after = shop.stored()
    assert replace(after, due_at=order.due_at) == order, "it is not changed, but for when it is looked at again"
    assert after.due_at is not None
    assert after.due_at > clock()


def test_a_stopped_execution_is_replaced_though_its_trade_is_not_due(shop: Deployed, unpaid: Platform) -> None:
    shop.order(replace(in_time(), due_at=clock() + 60_000))
    started = client("stepfunctions").start_execution(stateMachineArn=shop.machine, name=TRADE_ID, input="{}")
    client("stepfunctions").stop_execution(executionArn=started["executionArn"])
    before = shop.stored()
    assert run(shop) == {"looked": 1}
    assert executions(shop.machine) == [TRADE_ID, f"{TRADE_ID}-1"]
    assert shop.stored() == before


def test_a_paid_order_that_nobody_delivers_gets_an_execution(shop: Deployed) -> None:
    before = shop.order(placed(), paid)
    assert run(shop) == {"looked": 1}
    assert executions(shop.machine) == [TRADE_ID]
    assert replace(shop.stored(), due_at=before.due_at) == before


def test_a_machine_that_was_not_told_of_the_payment_is_told(shop: Deployed, waiting: Waiting) -> None:
    shop.order(placed(), paid)
    shop.wait_with("token")
    waiting.add("token")
    run(shop)
    assert waiting == set()
    assert executions(shop.machine) == []


def test_a_delivered_order_in_its_after_sale_window_gets_an_execution_if_it_was_stopped(shop: Deployed) -> None:
    order = shop.order(placed(), paid, lambda order: delivered(order, clock()))
    started = client("stepfunctions").start_execution(stateMachineArn=shop.machine, name=TRADE_ID, input="{}")
    client("stepfunctions").stop_execution(executionArn=started["executionArn"])
    assert run(shop) == {"looked": 1}
    assert executions(shop.machine) == [TRADE_ID, f"{TRADE_ID}-1"]
    assert shop.stored() == order


# ---- windows that are over ----


def test_an_unpaid_order_that_nobody_closed_is_closed(shop: Deployed, unpaid: Platform) -> None:
    shop.order(placed())
    assert run(shop) == {"looked": 1}
    assert (shop.stored().status, shop.stored().cards) == (Status.CLOSED, ())
    assert len(items("StockTable")) == 1
    assert executions(shop.machine) == [], "there is nothing left to drive"


def test_an_order_at_its_windows_end_is_left_to_its_machine_for_a_moment(shop: Deployed, unpaid: Platform) -> None:
    shop.order(replace(in_time(), expires_at=clock() - GRACE // 2))
    run(shop)
    assert shop.stored().status is Status.PENDING_PAYMENT


@pytest.mark.parametrize("changes", [[], [cancelled]], ids=["unpaid", "cancelled"])
def test_a_machine_that_waits_is_told_and_closes_the_order_itself(
    shop: Deployed, unpaid: Platform, waiting: Waiting, changes: list[Callable[[Order], Order]]
) -> None:
    before = shop.order(placed(), *changes)
    shop.wait_with("token")
    waiting.add("token")
    run(shop)
    assert waiting.failed == [("token", "PaymentFailed")]
    assert shop.stored().status is before.status


def test_a_cancelled_order_that_nobody_closed_is_closed(shop: Deployed, unpaid: Platform) -> None:
    shop.order(placed(), cancelled)
    run(shop)
    assert (shop.stored().status, shop.stored().version) == (Status.CLOSED, 3)
    assert len(items("StockTable")) == 1


def test_a_delivered_order_whose_after_sale_window_is_over_is_completed(shop: Deployed) -> None:
    shop.order(placed(), paid, lambda order: order.delivered(NOW, 0))
    assert run(shop) == {"looked": 1}
    assert (shop.stored().status, shop.stored().due_at) == (Status.COMPLETED, None)


def test_a_machine_that_waits_for_a_receipt_is_told_and_completes_the_trade_itself(
    shop: Deployed, waiting: Waiting
) -> None:
    shop.order(placed(), paid, lambda order: order.delivered(NOW, 0))
    shop.wait_with("token")
    waiting.add("token")
    run(shop)
    assert waiting == set()
    assert shop.stored().status is Status.DELIVERED


# ---- orders that await stock ----


def test_an_order_that_awaits_stock_is_filled_if_there_is_some(shop: Deployed, waiting: Waiting) -> None:
    shop.stock("CODE-1")
    shop.order(placed(), closed, awaiting)
    shop.wait_with("token")
    waiting.add("token")
    assert run(shop) == {"looked": 1, "filled": 1}
    assert (shop.stored().status, len(shop.stored().cards)) == (Status.DELIVERED, 1)
    assert waiting == set()


def test_an_order_that_goes_on_waiting_is_counted_for_an_alarm(
    shop: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    before = shop.order(placed(), closed, awaiting)
    assert run(shop) == {"looked": 1, "awaiting_stock": 1}
    assert metrics(capsys) == {"ReconcileRuns": [1.0], **NOTHING, "OrdersAwaitingStock": [1.0]}
    assert replace(shop.stored(), due_at=before.due_at) == before
    assert executions(shop.machine) == [TRADE_ID]


def in_vain(order: Order) -> Order:
    return awaiting_since(order, clock() - 259_200_000)


def test_an_order_that_awaited_stock_for_too_long_is_refunded(
    shop: Deployed, platform: Platform, waiting: Waiting, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.channel("epay", url=platform.url, type="alipay", refunds="whole")
    forget_settings()
    platform.answers = [json.dumps({"code": 1, "status": status, "money": "9.90"}).encode() for status in (1, 1, 2)]
    shop.order(placed(), closed, in_vain)
    shop.wait_with("token")
    waiting.add("token")
    assert run(shop) == {"looked": 1, "awaiting_stock": 1}
    order = shop.stored()
    assert (order.status, order.payments[0].state, order.payments[0].refunds[0].by) == ("refunded", "refunded", "shop")
    assert waiting == set(), "its execution ends"
    assert metrics(capsys) == {"ReconcileRuns": [1.0], **NOTHING, "OrdersAwaitingStock": [1.0]}
    platform.says(code=1, status=2, money="9.90")
    assert run(shop).get("failed") is None
    assert len(platform.posted) == 1


def test_what_its_channel_cannot_send_back_is_counted_for_an_operator(
    shop: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.order(placed(), closed, in_vain)
    assert run(shop) == {"looked": 1, "awaiting_stock": 1, "tasks": 1}
    assert metrics(capsys)["OperatorTasks"] == [1.0]
    assert [each.payment_id for each in shop.stored().tasks] == [f"{TRADE_ID}01"]


def test_an_order_that_does_not_name_its_cards_is_counted_for_an_alarm(
    shop: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    """That would be the shop's own mistake; a paid one is given other cards by its machine, if there are any."""
    shop.order(paid(placed(2, held=placed().cards)))
    assert run(shop) == {"looked": 1, "without_cards": 1}
    assert metrics(capsys) == {"ReconcileRuns": [1.0], **NOTHING, "OrdersWithoutCards": [1.0]}


# ---- what goes wrong ----


def test_a_provider_that_does_not_answer_closes_nothing_and_is_asked_again_later(
    shop: Deployed, platform: Platform, logs: Logs, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.answer = None
    before = shop.order(placed())
    assert run(shop) == {"looked": 1, "unanswered": 1, "failed": 1}
    assert metrics(capsys) == {
        "ReconcileRuns": [1.0],
        **NOTHING,
        "ProviderUnanswered": [1.0],
        "TradesNotLookedAt": [1.0],
    }
    after = shop.stored()
    assert replace(after, due_at=before.due_at) == before
    assert after.due_at is not None
    assert after.due_at > clock()
    assert MERCHANT_KEY not in logs.text
    (told,) = [line for line in logs.lines if line.get("message") == "not right"]
    assert (told["trade_id"], told["code"]) == (TRADE_ID, "unavailable")
    assert told["kind"].startswith("Unavailable at reconcile.py:")


def test_a_provider_that_is_down_does_not_hold_up_what_needs_no_provider(shop: Deployed, platform: Platform) -> None:
    """After three in a row it is not waited for any more, and everything else is done."""
    platform.answer = None
    for letter in "abcde":
        shop.order(another(letter))
    shop.order(placed(), paid, lambda order: order.delivered(NOW, 0))
    assert run(shop) == {"looked": 6, "unanswered": 3, "failed": 5}
    assert len(set(platform.asked)) == 3, "each is asked more than once, and no more are"
    assert shop.stored().status is Status.COMPLETED


def test_one_trade_that_cannot_be_looked_at_is_not_the_others_trouble(
    shop: Deployed, unpaid: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cardshop.adapters.workflow._EXECUTIONS", 1)
    shop.order(in_time(another("a")))
    started = client("stepfunctions").start_execution(stateMachineArn=shop.machine, name="a" * 26, input="{}")
    client("stepfunctions").stop_execution(executionArn=started["executionArn"])
    shop.order(placed())
    assert run(shop) == {"looked": 2, "failed": 1}
    assert shop.stored().status is Status.CLOSED


def test_a_run_ends_in_time_and_the_next_one_goes_on(
    shop: Deployed, unpaid: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trade may take a provider's time-outs: none is begun that might not be ended."""
    for letter in "abc":
        shop.order(another(letter))
    left = iter([300_000, 21_000, 20_000])
    with monkeypatch.context() as patch:
        patch.setattr(Context, "get_remaining_time_in_millis", lambda _: next(left))
        assert run(shop) == {"looked": 2}
    assert run(shop) == {"looked": 1}
    assert {shop.stored(letter * 26).status for letter in "abc"} == {Status.CLOSED}


def test_running_twice_changes_nothing(shop: Deployed, unpaid: Platform) -> None:
    """Of every kind of trade there is one, due: what the first run left, the second leaves."""
    kinds: dict[str, list[Any]] = {
        "a": [],
        "b": [cancelled],
        "c": [closed],
        "d": [paid],
        "e": [paid, delivered],
        "f": [closed, awaiting],
        "g": [paid, lambda order: order.delivered(NOW, 0)],
        "h": [paid, delivered, lambda order: order.completed(NOW)],
    }
    for letter, changes in kinds.items():
        shop.order(another(letter), *changes)
    shop.order(in_time())
    run(shop)
    before = items("OrdersTable"), items("StockTable"), executions(shop.machine)
    assert run(shop) == {}, "nothing is due any more"
    assert (items("OrdersTable"), items("StockTable"), executions(shop.machine)) == before
