"""The time of a run, which passes only when somebody lets it pass. Installed before the shop is imported."""

from __future__ import annotations

import datetime
import importlib
import time
from typing import Any

MINUTE, HOUR, DAY = 60, 3600, 86_400  # seconds
START = 1_763_800_000_000


class Clock:
    """`now` in milliseconds since the epoch."""

    def __init__(self) -> None:
        self.now = START

    @property
    def seconds(self) -> float:
        return self.now / 1000

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
        return cls.fromtimestamp(clock.seconds, tz)


def install() -> None:
    """Whoever asks for the time from here on is answered by this clock; measuring (`perf_counter`) is left alone."""
    replaced: dict[str, Any] = {
        "time": lambda: clock.seconds,
        "time_ns": lambda: clock.now * 1_000_000,
        "monotonic": lambda: clock.seconds,
        "sleep": clock.wait,
    }
    for name, value in replaced.items():
        setattr(time, name, value)
    vars(importlib.import_module("jwt.api_jwt"))["datetime"] = _Datetime
