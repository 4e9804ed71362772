"""Every channel on the deployed stack, each with its simulated provider: paid, found without a notice, and refunded."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest

from simulators import booth
from tests.channels.rows import SUBJECTS, account
from tests.channels.subject import Subject
from tests.house import PATIENCE, House, bearer, ok, wait_until
from tests.invariants.checker import assert_sound

PRICE = 990


@pytest.fixture(scope="module")
def channels(house: House) -> Iterator[list[Subject]]:
    """A stand for every row, and the channel saved that leads there."""
    with ExitStack() as stands:
        served = [kind(stands.enter_context(booth.serve(kind.stand(account(kind))))) for kind in SUBJECTS]
        for subject in served:
            subject.booth.time_scale = 1000  # a cold worker answers too late, and Stripe would wait for an hour
            open_channel(house, subject)
        yield served
    assert_sound(house)


@pytest.fixture(scope="module")
def products(house: House) -> dict[str, str]:
    """A product for each currency."""
    currencies = {kind.currency for kind in SUBJECTS}
    return {currency: house.product(6 * len(SUBJECTS), PRICE, currency)[0] for currency in currencies}


def open_channel(house: House, subject: Subject) -> None:
    """Beside the house's own channels, under a name of its own: the stand is gone when the test is over."""
    subject.channel = replace(subject.channel, name=f"stand-{subject.channel.name}")
    body = {"provider": subject.provider_name, **subject.settings()}
    ok(house.api.put(f"/admin/channels/{subject.channel.name}", headers=house.operator, json=body))
    if hasattr(subject.booth, "webhook_url"):  # told at the provider, not with each payment
        subject.booth.webhook_url = f"{house.outputs['ApiUrl']}/webhooks/{subject.channel.name}"


def seen(subject: Subject, payment: dict[str, Any]) -> None:
    """The buyer opens the pay page: with some protocols that is what opens the payment."""
    assert "unavailable" not in payment, f"{subject.name} did not answer"
    if subject.booth.find(number=payment["payment_id"]) is None:
        with urllib.request.urlopen(payment["redirect_url"], timeout=10):
            pass


def pays(subject: Subject, payment: dict[str, Any], *, notify: bool) -> None:
    there = subject.booth.find(number=payment["payment_id"])
    assert there is not None
    assert subject.booth.pay(there, notify=notify)


def _ordered(house: House, subject: Subject, sku: str) -> dict[str, Any]:
    payer: dict[str, Any] = {"payer": {"openid": subject.payer}} if subject.payer else {}
    placed = house.placed(sku, channel=subject.channel.name, terminal=subject.terminal, **payer)
    seen(subject, placed["payment"])
    return placed


def _bought(house: House, subject: Subject, sku: str) -> dict[str, Any]:
    """An order that was paid and told in the usual way."""
    placed = _ordered(house, subject, sku)
    pays(subject, placed["payment"], notify=True)
    house.until(placed, "delivered")
    return placed


def test_a_buyer_pays_through_every_channel_and_holds_the_card(
    house: House, channels: list[Subject], products: dict[str, str]
) -> None:
    for subject in channels:
        placed = _bought(house, subject, products[subject.currency])
        assert len(house.cards(placed)) == 1, subject.name
        subject.booth.quiet(PATIENCE)
        attempts = subject.booth.attempts(placed["payment"]["payment_id"])
        assert attempts[-1].accepted, f"{subject.name}: {attempts[-1]}"


def test_a_lost_notice_is_found_on_every_channel_within_two_runs_and_comes_too_late_then(
    house: House, channels: list[Subject], products: dict[str, str]
) -> None:
    bought = [(subject, _ordered(house, subject, products[subject.currency])) for subject in channels]
    for subject, placed in bought:
        pays(subject, placed["payment"], notify=False)
        house.make_due(placed["trade_id"])
    settled = 0
    for _ in range(2):
        settled += house.reconcile()["settled"]
        if settled == len(bought):
            break
        for _, placed in bought:
            house.make_due(placed["trade_id"])
    found = {subject.name: house.until(placed, "delivered")["version"] for subject, placed in bought}
    assert settled == len(bought)
    for subject, placed in bought:
        there = subject.booth.find(number=placed["payment"]["payment_id"])
        assert there is not None
        subject.booth.tell(there, "paid")
        subject.booth.quiet(PATIENCE)
        assert subject.booth.attempts(there.number)[-1].accepted, subject.name
    wait_until(lambda: house.messages(house.outputs["NoticesQueue"]) == 0, lambda: "notices are still queued")
    assert {subject.name: house.view(placed)["version"] for subject, placed in bought} == found


def test_a_refund_goes_through_every_channel_that_can_and_waits_for_hands_where_none_can(
    house: House, channels: list[Subject], products: dict[str, str]
) -> None:
    for subject in channels:
        placed = _bought(house, subject, products[subject.currency])
        number = placed["payment"]["payment_id"]
        refund = _refund(house, placed)
        there = subject.booth.find(number=number)
        assert there is not None
        if refund["state"] == "by_hand":
            assert there.status == "paid"
            sent = _refund(house, placed, provider_ref="by-hand-1")
            assert sent["state"] == "done"
        elif refund["state"] == "pending":
            for each in list(there.refunds.values()):
                subject.booth.settle(there, each, "done")
            house.make_due(placed["trade_id"])
            house.reconcile()
        assert house.until(placed, "refunded")["payments"][0]["state"] == "refunded"
        assert house.api.post(f"/orders/{placed['trade_id']}/cards", headers=bearer(placed)).status_code == 409


def _refund(house: House, placed: dict[str, Any], **more: str) -> dict[str, Any]:
    answer: httpx.Response | None = None
    for _ in range(2):  # the same request again is the same refund
        answer = house.api.post(
            f"/admin/orders/{placed['trade_id']}/refunds",
            headers={**house.operator, "Idempotency-Key": f"refund-{placed['trade_id']}"},
            json={"note": "the buyer asked for it", **more},
        )
    assert answer is not None
    return dict(ok(answer)["refund"])
