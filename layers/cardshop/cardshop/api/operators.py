"""Operators' sessions: a short token, minted by whoever may read its key (`make operator-token`)."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.settings import SigningKeys
from cardshop.api import tokens
from cardshop.api.http import Door
from cardshop.domain.errors import NotFound
from cardshop.domain.payment import is_trade_id


@cache
def _keys() -> SigningKeys:
    return SigningKeys(os.environ["OPERATOR_TOKEN_KEY"])


def operator(door: Door) -> str:
    """Who the operator is; Unauthorized without a valid operator token."""
    return tokens.verify(_keys(), door.header("Authorization"), audience="operator").subject


def operator_on(door: Door, trade_id: str) -> str:
    """The operator, who asks about one trade; NotFound for what can be none."""
    who = operator(door)
    if not is_trade_id(trade_id):
        raise NotFound("no such order")
    return who
