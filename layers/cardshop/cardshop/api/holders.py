"""Buyers' sessions: an order's token, given to whoever placed it or knows its query password."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.settings import SigningKeys
from cardshop.api import tokens
from cardshop.api.http import Door
from cardshop.domain.errors import NotFound
from cardshop.domain.order import Actor


@cache
def keys() -> SigningKeys:
    return SigningKeys(os.environ["ORDER_TOKEN_KEY"])


def holder(door: Door, trade_id: str) -> tokens.Bearer:
    """The order's holder. Unauthorized without a valid token; another order's holder does not find this one."""
    bearer = tokens.verify(keys(), door.header("Authorization"), audience="order")
    if bearer.subject != trade_id:
        raise NotFound("no such order")
    return bearer


def buyer(door: Door, bearer: tokens.Bearer, terminal: str | None, device: str | None) -> Actor:
    """Who asks, from which terminal: the one that the request names, else the token's."""
    return Actor("buyer", terminal or bearer.terminal, device or bearer.device, door.address)


def token(trade_id: str, terminal: str | None, device: str | None) -> str:
    lifetime = int(os.environ["TOKEN_SECONDS"])
    return tokens.issue(keys(), audience="order", subject=trade_id, lifetime=lifetime, terminal=terminal, device=device)
