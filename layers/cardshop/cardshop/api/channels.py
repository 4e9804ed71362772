"""What a buyer is told of a channel."""

from __future__ import annotations

from typing import Any

from cardshop.domain.payment import Offer


def offer(shown: Offer) -> dict[str, Any]:
    """`currency` too if it takes no other."""
    return {
        "channel": shown.channel,
        "provider": shown.provider,
        **({"title": shown.title} if shown.title else {}),
        "terminals": list(shown.terminals),
        "ways": list(shown.ways),
        "currencies": list(shown.currencies),
        **({"currency": shown.currencies[0]} if len(shown.currencies) == 1 else {}),
    }
