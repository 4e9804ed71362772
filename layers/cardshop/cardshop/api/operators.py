"""Operators' sessions: a short token, minted by whoever may read its key (`make operator-token`)."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.settings import SigningKeys
from cardshop.api import tokens
from cardshop.api.http import Door


@cache
def _keys() -> SigningKeys:
    return SigningKeys(os.environ["OPERATOR_TOKEN_KEY"])


def operator(door: Door) -> str:
    """Who the operator is; Unauthorized without a valid operator token."""
    return tokens.verify(_keys(), door.header("Authorization"), audience="operator").subject
