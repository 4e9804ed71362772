"""The time, as the shop counts it."""

from __future__ import annotations

import time


def clock() -> int:
    """`ports.Clock`."""
    return time.time_ns() // 1_000_000
