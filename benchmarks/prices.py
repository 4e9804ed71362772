"""List prices of us-east-1 and what an order costs at them. Free tiers and discounts are left out."""

from __future__ import annotations

from dataclasses import dataclass, fields

#: US dollars for a million of each (a Lambda gigabyte-second on x86_64; a byte of logs taken in at $0.50 a GB).
PRICES = {
    "transitions": 25.00,
    "writes": 0.625,
    "reads": 0.125,
    "requests": 3.50,
    "invocations": 0.20,
    "gigabyte_seconds": 16.6667,
    "sqs": 0.40,
    "kms": 3.00,
    "log_bytes": 0.50 / 1024**3 * 1_000_000,
}

_ARM_GIGABYTE_SECOND = 13.3334

MEMORY_GB = 0.5
#: What an invocation is billed on average. An assumption: how long a call takes here says nothing about AWS.
BILLED_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Use:
    """What is paid for. `requests`: through the REST API; `sqs`: sent, received and deleted."""

    transitions: float = 0
    writes: float = 0
    reads: float = 0
    requests: float = 0
    invocations: float = 0
    sqs: float = 0
    kms: float = 0
    log_bytes: float = 0

    @property
    def gigabyte_seconds(self) -> float:
        return self.invocations * BILLED_SECONDS * MEMORY_GB

    def __add__(self, other: Use) -> Use:
        return Use(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __sub__(self, other: Use) -> Use:
        return Use(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))

    def by(self, orders: int) -> Use:
        return Use(*(getattr(self, each.name) / orders for each in fields(self)))

    def dollars(self) -> dict[str, float]:
        """The price of a million times this, by what is paid for."""
        return {name: getattr(self, name) * price for name, price in PRICES.items()}

    @property
    def price(self) -> float:
        return sum(self.dollars().values())

    @property
    def price_on_arm(self) -> float:
        """If an invocation takes as long there."""
        return self.price - self.gigabyte_seconds * (PRICES["gigabyte_seconds"] - _ARM_GIGABYTE_SECOND)
