"""The time of a run, which passes only when somebody lets it pass. Installed before the shop is imported."""

from __future__ import annotations

import datetime
import importlib
import time
from typing import Any

MINUTE, HOUR, DAY = 60, 3600, 86_400  # seconds
START = 1_763_800_000_000
SKEW = 10 * MINUTE  # of a clock that is off


class Clock:
    """`now` in milliseconds since the epoch; `told` is what whoever is at work hears, who may be some seconds `off`."""

    def __init__(self) -> None:
        self.now = START
        self.off = 0

    @property
    def seconds(self) -> float:
        return self.now / 1000

    @property
    def told(self) -> int:
        return self.now + self.off * 1000

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


clock = Clock()


class Skewed:
    """What a module elsewhere takes for `time`: the same clock, so many seconds off."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def time(self) -> float:
        return clock.seconds + self.ahead

    monotonic = time
    sleep = staticmethod(clock.wait)


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> _Datetime:
        return cls.fromtimestamp(clock.told / 1000, tz)


def install() -> None:
    """Whoever asks for the time from here on is answered by this clock; measuring (`perf_counter`) is left alone."""
    replaced: dict[str, Any] = {
        "time": lambda: clock.told / 1000,
        "time_ns": lambda: clock.told * 1_000_000,
        "monotonic": lambda: clock.seconds,
        "sleep": clock.wait,
    }
    for name, value in replaced.items():
        setattr(time, name, value)
    for module in ("jwt.api_jwt", "aws_lambda_powertools.utilities.parameters.base"):
        vars(importlib.import_module(module))["datetime"] = _Datetime
