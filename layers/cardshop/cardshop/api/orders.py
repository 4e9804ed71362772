"""How an order is shown to its holder."""

from __future__ import annotations

from typing import Any

from cardshop.api.http import money, rfc3339
from cardshop.domain.order import Change, Order
from cardshop.domain.payment import Payment, PaymentSession, Refund
from cardshop.domain.trade import UNPAID
from cardshop.ports import Incident


def session(payment: Payment, how: PaymentSession | None) -> dict[str, Any]:
    """`unavailable`: the provider did not answer; `POST /orders/{trade_id}/payments` asks it again."""
    if how is None:
        return {"payment_id": payment.payment_id, "unavailable": True}
    ways = {"redirect_url": how.redirect_url, "qr_code": how.qr_code, "form": how.form, "app": how.app}
    return {"payment_id": payment.payment_id, **{name: way for name, way in ways.items() if way is not None}}


def order(shown: Order, changes: list[Change]) -> dict[str, Any]:
    return {**summary(shown), "timeline": [_change(change) for change in changes]}


def pushed(shown: Order) -> dict[str, Any]:
    """Its last change, to a terminal that listens: nothing that `order` would not tell its holder."""
    return {
        "trade_id": shown.trade_id,
        "version": shown.version,
        "status": shown.status.value,
        "change": _change(shown.last_change),
        "order": summary(shown),
    }


def summary(shown: Order) -> dict[str, Any]:
    return {
        "trade_id": shown.trade_id,
        "status": shown.status.value,
        "version": shown.version,
        "amount": money(shown.amount),
        **({"due": money(shown.amount_due)} if shown.amount_due != shown.amount else {}),
        "items": [
            {"sku": line.sku, "name": line.name, "quantity": line.quantity, "price": money(line.price)}
            for line in shown.lines
        ],
        "terminal": shown.terminal,
        "created_at": rfc3339(shown.created_at),
        "expires_at": rfc3339(shown.expires_at),
        "payments": [_payment(payment) for payment in shown.payments],
    }


def _payment(payment: Payment) -> dict[str, Any]:
    return {
        "payment_id": payment.payment_id,
        "channel": payment.channel,
        "state": payment.state.value,
        "amount": money(payment.amount),
        **({"paid": money(payment.paid)} if payment.paid else {}),
        **({"refunds": [refund(each) for each in payment.refunds]} if payment.refunds else {}),
    }


def refund(shown: Refund) -> dict[str, Any]:
    return {"refund_id": shown.refund_id, "state": shown.state.value, "amount": money(shown.amount), "by": shown.by}


def inside(shown: Order) -> dict[str, Any]:
    """What only an operator sees: where money waits for a decision, and which cards went out for money that is gone."""
    state = "held" if shown.status in UNPAID else "given"
    if shown.revealed_at is not None:
        state = "forfeited" if shown.forfeited else "revealed"
    return {
        "tasks": [
            {"payment_id": each.payment_id, "task": "refund_by_hand" if each.by_hand else "decide_on_surplus"}
            for each in shown.tasks
        ],
        "cards": [{"card_id": each.card_id, "sku": each.pool.sku, "state": state} for each in shown.cards],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "version": change.version,
        "what": change.what,
        "status": change.status.value,
        "when": rfc3339(change.at),
        "by": change.actor.by,
        "terminal": change.actor.terminal,
        **({"device": change.actor.device} if change.actor.device else {}),
        **({"address": change.actor.address} if change.actor.address else {}),
    }


def incident(noted: Incident) -> dict[str, Any]:
    return {
        "kind": noted.kind,
        "channel": noted.channel,
        "payment_id": noted.payment_id,
        "at": rfc3339(noted.at),
        "detail": noted.detail,
    }
