"""The rows of the grid: every channel that is tested."""

from __future__ import annotations

from functools import cache

from tests.channels import alipay, bepusdt, btcpay, epay, epusdt, paypal, stripe, wechat
from tests.channels.subject import Subject

SUBJECTS: list[type[Subject]] = [
    subject for module in (stripe, alipay, wechat, epay, paypal, btcpay, epusdt, bepusdt) for subject in module.SUBJECTS
]


@cache
def account(kind: type[Subject]) -> dict[str, object]:
    """Keys take a while to make: once a run."""
    return kind.account()
