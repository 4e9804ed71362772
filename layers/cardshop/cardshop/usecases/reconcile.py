"""Looks at every trade that is due, and puts right what nobody else did: lost notices, lost wake-ups, lost executions.

Each repair is the same use case that the machine or a notice would have run, so looking twice changes nothing.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from cardshop.domain import looks
from cardshop.domain.errors import ShopError, Unavailable
from cardshop.domain.order import Order
from cardshop.domain.payment import EventKind, PaymentEvent, PaymentState
from cardshop.domain.trade import HOLDS_CARDS, UNPAID, Status
from cardshop.ports import Clock, Orders, Workflow
from cardshop.usecases.ask_provider import AskProvider
from cardshop.usecases.cancel_order import PAYMENT_FAILED
from cardshop.usecases.change import change
from cardshop.usecases.close_trade import CloseTrade, OrderAwaitsStock, OrderPaid, PaymentConfirming
from cardshop.usecases.complete_trade import CompleteTrade
from cardshop.usecases.fill_orders import FillOrders
from cardshop.usecases.refund_payment import ReturnMoney
from cardshop.usecases.settle_payment import SettlePayment

_STOPPED_WITHIN = 3_600_000  # milliseconds: an execution that ended so long ago has been looked at
_UNANSWERED = 3  # times in a row; then the channel's provider is not asked any more in this run
_MAY_BE_PAID = UNPAID | {Status.CLOSED}


@dataclass(slots=True)
class Report:
    """What one run saw and did: `looked`, `settled`, `irregular`, `ended` payments, `filled`, `awaiting_stock`,
    `without_cards`, `unanswered`, `tasks` that wait for an operator, `failed`.
    """

    counts: Counter[str] = field(default_factory=Counter)
    errors: list[tuple[str, str]] = field(default_factory=list)  # (trade id, code or what is not right with it)
    kinds: dict[str, str] = field(default_factory=dict)  # by trade id: what failed, where, and what was behind it
    silence: Counter[str] = field(default_factory=Counter)  # by channel: asks in a row that were not answered


@dataclass(frozen=True, slots=True)
class Reconcile:
    orders: Orders
    ask: AskProvider
    settle: SettlePayment
    close: CloseTrade
    complete: CompleteTrade
    fill: FillOrders
    return_money: ReturnMoney
    workflow: Workflow
    clock: Clock

    def __call__(self, go_on: Callable[[], bool] = lambda: True) -> Report:
        """One run; `go_on` says whether there is time for one more trade (the rest is due the next time)."""
        report = Report()
        seen: set[str] = set()
        for trade_id in self._trades(report):
            if trade_id in seen:
                continue
            if not go_on():
                break
            seen.add(trade_id)
            with self._apart(trade_id, report):
                self._look(trade_id, report, go_on)
        return report

    def _trades(self, report: Report) -> Iterator[str]:
        now = self.clock()
        yield from self.orders.due(now)
        with self._apart("-", report):
            yield from self.workflow.stopped(now - _STOPPED_WITHIN)

    @staticmethod
    @contextmanager
    def _apart(trade_id: str, report: Report) -> Iterator[None]:
        """One trade's trouble is not the others', be it a bug: it is counted, told and alarmed."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            report.counts["failed"] += 1
            report.errors.append((trade_id, error.code if isinstance(error, ShopError) else type(error).__name__))
            report.kinds[trade_id] = _kind(error)

    def _look(self, trade_id: str, report: Report, go_on: Callable[[], bool]) -> None:
        order = self.orders.find(trade_id)
        if order is None:
            return
        report.counts["looked"] += 1
        due = order.due_at is not None and order.due_at <= self.clock()
        answered = counts = False
        try:
            if due:
                order, answered = self._asked(order, report)
                if not answered and order.status in _MAY_BE_PAID:
                    raise Unavailable("a provider has not answered")
            if order.status in HOLDS_CARDS and not order.has_its_cards:
                report.counts["without_cards"] += 1
                report.errors.append((trade_id, "without_cards"))
            self._drive(order, report, go_on)
            if due and any(payment.paid for payment in order.payments):
                self._return_money(trade_id, report)
            counts = answered
        finally:
            if due:
                self._note_next_look(trade_id, counts=counts)

    def _asked(self, order: Order, report: Report) -> tuple[Order, bool]:
        """The order, with the money of payments whose notice never came, and whether every provider answered."""
        tired = {channel for channel, times in report.silence.items() if times >= _UNANSWERED}
        answers = self.ask(order, close=order.status is not Status.PENDING_PAYMENT, without=tired)
        for channel in {payment.channel for payment in order.unsettled}:
            report.silence[channel] = report.silence[channel] + 1 if channel in answers.silent else 0
        report.counts["unanswered"] += bool(answers.silent - tired)
        for said in answers.paid:
            order, new = self.settle(said, order)
            report.counts["settled"] += new
            payment = order.payment(said.payment_id or "")
            report.counts["irregular"] += new and payment is not None and payment.state is not PaymentState.ACCEPTED
        for said in answers.ended:
            order = self._ended(said, order, report)
        return order, not answers.silent

    def _ended(self, said: PaymentEvent, order: Order, report: Report) -> Order:
        """The order, without hope in a payment that failed; one that is over anyway is left as it is by that."""
        number, before = said.payment_id or "", order
        if said.kind is EventKind.REFUNDED:
            order = change(self.orders, order.trade_id, lambda there: there.came_and_went(number, self.clock()))
        elif order.status is Status.PENDING_PAYMENT:
            order = change(self.orders, order.trade_id, lambda there: there.declined(number, self.clock()))
        report.counts["ended"] += order.version > before.version
        return order

    def _return_money(self, trade_id: str, report: Report) -> None:
        """Once nothing else could be done with it: as the order is now, for it may have got its cards."""
        order = self.orders.find(trade_id)
        if order is not None:
            report.counts["tasks"] += len(self.return_money(order).tasks)

    def _drive(self, order: Order, report: Report, go_on: Callable[[], bool]) -> None:
        """See that the trade goes on: by the machine if that waits or can, else here and now."""
        now = self.clock()
        match order.status:
            case Status.PENDING_PAYMENT if now < order.expires_at + looks.GRACE:
                self.workflow.take_over(order.trade_id)
            case Status.PENDING_PAYMENT | Status.PAYMENT_FAILED:
                if not self._waits(order, self._fail):
                    self._close(order)
            case Status.PAID:
                self.settle.wake(order)
            case Status.AWAITING_STOCK:
                if not self._fill(order, report, go_on):
                    report.counts["awaiting_stock"] += 1
                    self.workflow.take_over(order.trade_id)
            case Status.DELIVERED if now < (order.after_sale_until or 0):
                self.workflow.take_over(order.trade_id)
            case Status.DELIVERED:
                if not self._waits(order, self.workflow.succeed):
                    self._waits_by_now(order, self.complete(order.trade_id), self.workflow.succeed)
            case Status.REFUNDED:
                self._waits(order, self.workflow.succeed)

    def _fill(self, order: Order, report: Report, go_on: Callable[[], bool]) -> bool:
        """Whether it got its cards now: if there are any, whoever has waited longer for such a card is tried first."""
        if not self.fill.finds(order):
            return False
        for trade_id in self.orders.awaiting(order.lacking or ""):
            if trade_id == order.trade_id:
                break
            if not go_on():
                return False
            with self._apart(trade_id, report):
                report.counts["filled"] += self.fill.one(trade_id)
        filled = self.fill.one(order.trade_id)
        report.counts["filled"] += filled
        return filled

    def _fail(self, token: str) -> bool:
        return self.workflow.fail(token, PAYMENT_FAILED)

    @staticmethod
    def _waits(order: Order, wake: Callable[[str], bool]) -> bool:
        return order.task_token is not None and wake(order.task_token)

    def _waits_by_now(self, order: Order, ended: Order, wake: Callable[[str], bool]) -> None:
        """A machine that began to wait meanwhile finds its trade at its end, and ends too."""
        if ended.task_token != order.task_token:
            self._waits(ended, wake)

    def _close(self, order: Order) -> None:
        try:
            self._waits_by_now(order, self.close(order.trade_id), self._fail)
        except (OrderPaid, OrderAwaitsStock):
            self.workflow.take_over(order.trade_id, anew=True)
        except PaymentConfirming:
            return  # asked again at the next look

    def _note_next_look(self, trade_id: str, *, counts: bool) -> None:
        """A look at which somebody did not answer does not count: the next one is soon."""
        order, now = self.orders.find(trade_id), self.clock()
        if order is not None and order.due_at is not None and order.due_at <= now:
            self.orders.note(replace(order, due_at=looks.after_look(order, now) if counts else now + looks.SOON))


def _kind(error: BaseException) -> str:
    """`Unavailable at settings.py:120 < ClientError at …`: not a word of their texts, which may hold a secret."""
    said = type(error).__name__
    for frame in traceback.extract_tb(error.__traceback__)[-1:]:
        said += f" at {PurePath(frame.filename).name}:{frame.lineno}"
    return said if error.__cause__ is None else f"{said} < {_kind(error.__cause__)}"
