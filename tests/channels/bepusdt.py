"""The row of BEpusdt."""

from __future__ import annotations

from typing import Any

from simulators import bepusdt
from simulators.booth import Booth
from tests.channels.epusdt import Row
from tests.channels.subject import Subject


class BepusdtRow(Row):
    name = "bepusdt"
    provider_name = "bepusdt"
    events = frozenset({"paid", "waiting", "closed", "failed"})
    sign = staticmethod(bepusdt.sign)

    @staticmethod
    def account() -> dict[str, object]:
        return bepusdt.new_account()

    @staticmethod
    def stand(account: dict[str, Any]) -> Booth:
        return bepusdt.Bepusdt(account)


SUBJECTS: list[type[Subject]] = [BepusdtRow]
