"""Secrets and settings read at run time, through Powertools' cached parameters: rotated without a deploy."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Generic, TypeVar, cast

from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from aws_lambda_powertools.utilities.parameters.secrets import SecretsProvider
from aws_lambda_powertools.utilities.parameters.ssm import SSMProvider

from cardshop.adapters.aws import client, reached
from cardshop.adapters.catalogue import DynamoChannelSettings
from cardshop.adapters.log import logger
from cardshop.domain.errors import Unavailable
from cardshop.domain.payment import Channel, Offer
from cardshop.ports import PublicUrls

T = TypeVar("T")

_SETTINGS_MAX_AGE = 60  # seconds a changed channel takes to be used everywhere
_KEY_MAX_AGE = 300
_LOOK_AGAIN = 30
_SPREAD = 0.25  # of an age: workers that began together do not ask again together
_OLD_AT_MOST = 900  # seconds a setting is used whose parameter cannot be read any more
_OLD_FOR = 5  # … until that is tried again


@cache
def ssm() -> SSMProvider:
    return SSMProvider(boto3_client=client("ssm"))


@cache
def _secrets_manager(stage: str) -> SecretsProvider:
    """One provider a stage: Powertools' cache knows a secret by its name alone."""
    del stage
    return SecretsProvider(boto3_client=client("secretsmanager"))


def _read_secret(name: str, stage: str = "AWSCURRENT", *, fresh: bool = False) -> str | None:
    secrets_manager = _secrets_manager(stage)
    try:
        return str(secrets_manager.get(name, max_age=_KEY_MAX_AGE, force_fetch=fresh, VersionStage=stage))
    except GetParameterError as error:
        if _missing(error):
            return None
        raise Unavailable("Secrets Manager did not answer") from error


def _missing(error: GetParameterError) -> bool:
    return "NotFound" in str(error)


def fixed_secret(name: str) -> bytes:
    """A secret that never rotates: what trade ids and card ids are made with."""
    value = _read_secret(name)
    if value is None:
        raise Unavailable("a secret is missing")
    return value.encode()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs tokens. `kid` names the secret's version: the start of its own digest."""

    kid: str
    key: bytes

    @classmethod
    def of(cls, value: str) -> SigningKey:
        key = value.encode()
        return cls(hashlib.sha256(b"kid:" + key).hexdigest()[:16], key)


class SigningKeys:
    """The current signing key, and the one before it: a rotation logs nobody out."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._looked = float("-inf")

    def current(self) -> SigningKey:
        return SigningKey.of(fixed_secret(self._name).decode())

    def by_kid(self, kid: str) -> SigningKey | None:
        """The key of this name. One that is not known may be newer than the cache: worth a look, but not each time."""
        found = self._among(kid, fresh=False)
        if found is None and time.monotonic() - self._looked > _LOOK_AGAIN:
            self._looked = time.monotonic()
            found = self._among(kid, fresh=True)
        return found

    def _among(self, kid: str, *, fresh: bool) -> SigningKey | None:
        for stage in ("AWSCURRENT", "AWSPREVIOUS"):
            value = _read_secret(self._name, stage, fresh=fresh)
            if value is not None and (key := SigningKey.of(value)).kid == kid:
                return key
        return None


@dataclass(slots=True)
class _Read(Generic[T]):
    value: T
    at: float
    until: float  # fresh


class _Kept(Generic[T]):
    """What was read, for `max_age` seconds at most; longer while it cannot be read anew."""

    def __init__(self, max_age: float) -> None:
        self._max_age = max_age
        self._reads: dict[str, _Read[T]] = {}

    def get(self, name: str, read: Callable[[], T | None]) -> T | None:
        """None, which is not kept: there is no such thing. Unavailable: it cannot be read, and what was is too old."""
        now = time.monotonic()
        kept = self._reads.get(name)
        if kept is not None and now < kept.until:
            return kept.value
        try:
            found = read()
        except Unavailable:
            if kept is None or now > kept.at + _OLD_AT_MOST:
                raise
            kept.until = now + _OLD_FOR
            logger.warning("old settings", extra={"setting": name, "seconds": round(now - kept.at)}, exc_info=True)
            return kept.value
        if found is not None:
            self._reads[name] = _Read(found, now, now + self._max_age * random.uniform(1 - _SPREAD, 1))
        return found


def _parameter(name: str, *, decrypt: bool = False) -> str:
    try:
        return str(ssm().get(name, decrypt=decrypt, force_fetch=True))
    except GetParameterError as error:
        raise Unavailable("the parameter store did not answer") from error


@cache
def _urls() -> _Kept[PublicUrls]:
    return _Kept(_KEY_MAX_AGE)


def public_urls() -> PublicUrls:
    """Known only after the deploy, so read here: both by one call."""
    name = os.environ["PUBLIC_URLS_PARAMETER"]
    return cast(PublicUrls, _urls().get(name, lambda: PublicUrls(**json.loads(_parameter(name)))))


class ChannelSettings:
    """`ports.Channels`: public settings from the catalogue, secrets from SecureStrings under the shop's own key.

    A channel is kept whole for a minute: an order and its notice ask for it three times.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._catalogue = DynamoChannelSettings()
        self._kept: _Kept[Channel] = _Kept(_SETTINGS_MAX_AGE)

    def find(self, name: str) -> Channel | None:
        return self._kept.get(name, lambda: self._read(name))

    def _read(self, name: str) -> Channel | None:
        channel = self._catalogue.find(name)
        if channel is None:
            return None
        return replace(channel, secrets=json.loads(_parameter(f"{self._prefix}/{name}", decrypt=True)))


class ChannelSettingsStore:
    """`ports.ChannelStore`."""

    def __init__(self, prefix: str, kms_key: str) -> None:
        self._prefix = prefix
        self._kms_key = kms_key

    def save(self, channel: Channel, offer: Offer) -> None:
        with reached("the parameter store"):
            client("ssm").put_parameter(
                Name=f"{self._prefix}/{channel.name}",
                Value=json.dumps(channel.secrets),
                Type="SecureString",
                Tier="Standard",  # whatever the account's default is: an advanced one would want kms:GenerateDataKey
                KeyId=self._kms_key,
                Overwrite=True,
            )
        DynamoChannelSettings().save(channel, offer)

    @staticmethod
    def offer(name: str, *, offered: bool, title: str | None) -> bool:
        return DynamoChannelSettings().offer(name, offered=offered, title=title)
