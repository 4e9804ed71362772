"""Operators' tokens, minted with the rights of whoever may read the stack's key."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from engine import stacks
from engine.processes import PROJECT, EngineError, Home

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


def token_of_stack(home: Home, stack: str) -> str:
    """A one-hour operator token. `stack`: its name, here or on AWS (`stacks.opened`)."""
    with stacks.opened(home, stack) as found:
        (described,) = found.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", ())}
        if "OperatorTokenKey" not in outputs:
            raise EngineError(f"the stack {stack} is not a Cardshop")
        return token(found.client("secretsmanager"), outputs["OperatorTokenKey"], getpass.getuser())
