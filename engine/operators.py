"""Operators' tokens, minted with the rights of whoever may read the stack's key."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

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
    """From the local engine if it is up and no AWS profile or endpoint was chosen; else from AWS itself."""
    chosen = any(os.environ.get(name) for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"))
    if not chosen and (home.path / "engine.pid").exists():
        os.environ.update({name: value for name, value in home.aws_env.items() if name.startswith("AWS_")})
    session = boto3.Session()
    try:
        (described,) = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        key = {each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]}["OperatorTokenKey"]
        return token(session.client("secretsmanager"), key, getpass.getuser())
    except KeyError as error:
        raise EngineError(f"the stack {stack} is not a Cardshop") from error
    except (BotoCoreError, ClientError) as error:
        raise EngineError(f"no token of the stack {stack}: {error}") from error
