"""A storm: two thousand notices through five channels, half of them repeated, a tenth forged, in no order at all."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx

from simulators import booth
from tests.channels.rows import SUBJECTS, account
from tests.channels.subject import Subject
from tests.e2e.test_channels import open_channel, pays, seen
from tests.house import House, ok, wait_until
from tests.invariants.checker import assert_sound

CHANNELS = ("stripe", "alipay page", "wechat native", "epay", "btcpay")
ORDERS = 400  # each paid twice, through two channels: 800 payments
REPEATED, FORGED = 1000, 200
AT_ONCE = 12

Call = tuple[str, str, list[tuple[str, str]], dict[str, str], bytes]  # channel, method, query, headers, body


def test_a_storm_delivers_every_order_once_and_stops_the_forged_at_the_edge(house: House) -> None:
    sku, _ = house.product(ORDERS)
    with ExitStack() as stands, ThreadPoolExecutor(AT_ONCE) as threads:
        kinds = [kind for kind in SUBJECTS if kind.name in CHANNELS]
        assert len(kinds) == len(CHANNELS)
        subjects = [kind(stands.enter_context(booth.serve(kind.stand(account(kind))))) for kind in kinds]
        for subject in subjects:
            open_channel(house, subject)

        def twice_paid(number: int) -> tuple[dict[str, Any], list[tuple[Subject, str]]]:
            first, second = random.sample(subjects, 2)
            placed = house.placed(sku, channel=first.channel.name, terminal="pc")
            seen(first, placed["payment"])
            pays(first, placed["payment"], notify=False)
            again = ok(house.act(placed, "payments", {"channel": second.channel.name}))
            seen(second, again["payment"])
            pays(second, again["payment"], notify=False)
            return placed, [(first, placed["payment"]["payment_id"]), (second, again["payment"]["payment_id"])]

        bought = list(threads.map(twice_paid, range(ORDERS)))
        payments = [each for _, both in bought for each in both]
        genuine = [_call(subject, number) for subject, number in payments]
        calls = [(call, True) for call in genuine + random.choices(genuine, k=REPEATED)]
        calls += [(_forged(subject, number), False) for subject, number in random.choices(payments, k=FORGED)]
        random.shuffle(calls)
        assert len(calls) == 2000

        answers = list(threads.map(lambda each: _send(house, each[0]), calls))
        for (call, true), answer in zip(calls, answers, strict=True):
            if true:
                assert answer.is_success, f"{call[0]}: {answer.status_code} {answer.text}"
            else:
                assert (answer.is_client_error, answer.text) == (True, "fail"), f"{call[0]}: {answer.status_code}"

        for placed, _ in bought:
            house.until(placed, "delivered")
        queue = house.outputs["NoticesQueue"]
        wait_until(lambda: house.messages(queue) == 0, lambda: f"{house.messages(queue)} notices are still queued")
        assert house.messages(house.outputs["NoticesDeadLetters"]) == 0
        came = Counter(tuple(sorted(map(_kind, house.view(placed)["payments"]))) for placed, _ in bought)
        assert came == {("accepted", "beside"): ORDERS}
        assert_sound(house)


def _kind(payment: dict[str, Any]) -> str:
    """The second payment is on its way back as soon as somebody has looked."""
    return "accepted" if payment["state"] == "accepted" else "beside"


def _call(subject: Subject, number: str) -> Call:
    notice = subject.notice(number)
    return subject.channel.name, notice.method, list(notice.query), notice.headers, notice.body


def _forged(subject: Subject, number: str) -> Call:
    kinds = ("bad signature", "missing signature", "changed")
    forged = subject.forged(subject.notice(number))
    notice = forged[random.choice([kind for kind in kinds if kind in forged])]
    return subject.channel.name, notice.method, list(notice.query), notice.headers, notice.body


def _send(house: House, call: Call) -> httpx.Response:
    channel, method, query, headers, body = call
    kept = {name: value for name, value in headers.items() if name not in {"host", "content-length"}}
    params = httpx.QueryParams(list[tuple[str, str | int | float | bool | None]](query))
    return house.api.request(method, f"/webhooks/{channel}", params=params, headers=kept, content=body)
