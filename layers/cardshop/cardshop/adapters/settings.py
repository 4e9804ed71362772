"""Secrets and settings read at run time, through Powertools' cached parameters: rotated without a deploy."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from functools import cache

from aws_lambda_powertools.utilities.parameters import SecretsProvider, SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from cardshop.adapters.aws import client, reached
from cardshop.adapters.catalogue import DynamoChannelSettings
from cardshop.domain.errors import Unavailable
from cardshop.domain.payment import Channel

_SETTINGS_MAX_AGE = 60  # seconds a changed channel takes to be used everywhere
_KEY_MAX_AGE = 300
_LOOK_AGAIN = 30


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


def public_url() -> str:
    """Where the API answers from outside, without a trailing slash. Known only after the deploy, so read here."""
    try:
        return str(ssm().get(os.environ["PUBLIC_URL_PARAMETER"], max_age=_KEY_MAX_AGE)).rstrip("/")
    except GetParameterError as error:
        raise Unavailable("the parameter store did not answer") from error


class ChannelSettings:
    """`ports.Channels`: public settings from the catalogue, secrets from SecureStrings under the shop's own key.

    A channel is kept whole for a minute: an order and its notice ask for it three times. One that is not there is not.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._catalogue = DynamoChannelSettings()
        self._kept: dict[str, tuple[float, Channel]] = {}

    def find(self, name: str) -> Channel | None:
        until, kept = self._kept.get(name, (0.0, None))
        if kept is not None and time.monotonic() < until:
            return kept
        found = self._read(name)
        if found is not None:
            self._kept[name] = (time.monotonic() + _SETTINGS_MAX_AGE, found)
        return found

    def _read(self, name: str) -> Channel | None:
        channel = self._catalogue.find(name)
        if channel is None:
            return None
        try:
            text = ssm().get(f"{self._prefix}/{name}", decrypt=True, force_fetch=True)
        except GetParameterError as error:
            raise Unavailable("the parameter store did not answer") from error
        return Channel(name, channel.provider, channel.settings, json.loads(str(text)))


class ChannelSettingsStore:
    """`ports.ChannelStore`."""

    def __init__(self, prefix: str, kms_key: str) -> None:
        self._prefix = prefix
        self._kms_key = kms_key

    def save(self, channel: Channel) -> None:
        with reached("the parameter store"):
            client("ssm").put_parameter(
                Name=f"{self._prefix}/{channel.name}",
                Value=json.dumps(channel.secrets),
                Type="SecureString",
                KeyId=self._kms_key,
                Overwrite=True,
            )
        DynamoChannelSettings().save(channel)
