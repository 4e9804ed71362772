"""Operators' tokens, minted with the rights of whoever may read the stack's key."""

from __future__ import annotations

import sys
from typing import Any

from engine.processes import PROJECT

sys.path.insert(0, str(PROJECT / "layers" / "cardshop"))

from cardshop.adapters.settings import SigningKey
from cardshop.api import tokens

_HOUR = 3600


class _OneKey:
    def __init__(self, value: str) -> None:
        self._key = SigningKey.of(value)

    def current(self) -> SigningKey:
        return self._key

    def by_kid(self, kid: str) -> SigningKey | None:
        return self._key if kid == self._key.kid else None


def token(secrets_manager: Any, key_arn: str, subject: str) -> str:
    """A one-hour operator token. `key_arn`: the stack's output OperatorTokenKey."""
    value = secrets_manager.get_secret_value(SecretId=key_arn)["SecretString"]
    return tokens.issue(_OneKey(value), audience="operator", subject=subject, lifetime=_HOUR)
