"""Secrets and settings, read at run time: rotated without a deploy and without logging anybody out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.settings import (
    ChannelSettings,
    ChannelSettingsStore,
    SigningKey,
    SigningKeys,
    fixed_secret,
    public_url,
)
from cardshop.domain.errors import Unavailable
from cardshop.domain.payment import Channel

from tests.adapters.cloud import items, kms_key, secret

pytestmark = pytest.mark.usefixtures("cloud")

PREFIX = "/cardshop/channels"
CHANNEL = Channel("epay", "epay", {"url": "https://pay.example", "pid": "1001"}, {"key": "merchant-key"})


# ---- secrets ----


def test_a_fixed_secret_is_read_as_it_is() -> None:
    assert fixed_secret(secret("trade-id", "shop's own secret")) == b"shop's own secret"


def test_a_secret_that_is_not_there_is_unavailable_and_its_name_stays_in_the_log() -> None:
    with pytest.raises(Unavailable) as refused:
        fixed_secret("nowhere")
    assert "nowhere" not in refused.value.detail


def test_tokens_are_signed_with_the_current_key() -> None:
    keys = SigningKeys(secret("token-key", "first", "second"))
    assert keys.current() == SigningKey.of("second")
    assert keys.current().key == b"second"


def test_the_key_before_the_rotation_is_still_good_and_no_other() -> None:
    keys = SigningKeys(secret("token-key", "oldest", "before", "now"))
    assert keys.by_kid(SigningKey.of("now").kid) == SigningKey.of("now")
    assert keys.by_kid(SigningKey.of("before").kid) == SigningKey.of("before")
    assert keys.by_kid(SigningKey.of("oldest").kid) is None


def test_a_process_that_has_not_seen_the_rotation_knows_the_new_key_when_it_meets_it() -> None:
    """Given a process with the old key in its cache, a token that another process has just signed is good here too."""
    name = secret("token-key", "old")
    keys = SigningKeys(name)
    assert keys.by_kid(SigningKey.of("old").kid) == keys.current()
    client("secretsmanager").put_secret_value(SecretId=name, SecretString="new")
    assert keys.by_kid(SigningKey.of("new").kid) == SigningKey.of("new")
    assert keys.by_kid(SigningKey.of("old").kid) == SigningKey.of("old")


def test_a_key_that_was_never_rotated_has_none_before_it() -> None:
    keys = SigningKeys(secret("token-key", "only"))
    assert keys.by_kid("unknown") is None
    assert keys.by_kid(SigningKey.of("only").kid) == SigningKey.of("only")


def test_a_key_is_named_without_showing_it() -> None:
    assert "first" not in SigningKey.of("first").kid
    assert SigningKey.of("first").kid != SigningKey.of("second").kid


# ---- the public address ----


def test_the_public_url_has_no_slash_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    client("ssm").put_parameter(Name="/cardshop/public-url", Value="https://shop.example/api/", Type="String")
    monkeypatch.setenv("PUBLIC_URL_PARAMETER", "/cardshop/public-url")
    assert public_url() == "https://shop.example/api"


def test_a_public_url_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL_PARAMETER", "/nowhere")
    with pytest.raises(Unavailable):
        public_url()


# ---- channels ----


def test_a_saved_channel_is_found_whole() -> None:
    ChannelSettingsStore(PREFIX, kms_key()).save(CHANNEL)
    assert ChannelSettings(PREFIX).find("epay") == CHANNEL
    assert ChannelSettings(PREFIX).find("unknown") is None


def test_a_channels_secrets_lie_encrypted_and_nowhere_else() -> None:
    key = kms_key()
    ChannelSettingsStore(PREFIX, key).save(CHANNEL)
    (described,) = client("ssm").describe_parameters()["Parameters"]
    assert (described["Name"], described["Type"], described["KeyId"]) == (f"{PREFIX}/epay", "SecureString", key)
    assert "merchant-key" not in str(items("CatalogueTable"))


def test_a_channel_without_its_secrets_is_unavailable_not_open() -> None:
    ChannelSettingsStore(PREFIX, kms_key()).save(CHANNEL)
    client("ssm").delete_parameter(Name=f"{PREFIX}/epay")
    with pytest.raises(Unavailable):
        ChannelSettings(PREFIX).find("epay")


def test_a_channel_is_kept_whole_for_a_minute_and_then_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings and its key change together, or a payment would be signed with the one and sent to the other."""
    store, settings, now = ChannelSettingsStore(PREFIX, kms_key()), ChannelSettings(PREFIX), [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    store.save(CHANNEL)
    assert settings.find("epay") == CHANNEL
    changed = replace(CHANNEL, settings={**CHANNEL.settings, "pid": "1002"}, secrets={"key": "another"})
    store.save(changed)
    now[0] += 59
    assert settings.find("epay") == CHANNEL
    now[0] += 2
    assert settings.find("epay") == changed


def test_a_channel_that_is_not_there_is_looked_for_each_time() -> None:
    settings = ChannelSettings(PREFIX)
    assert settings.find("epay") is None
    ChannelSettingsStore(PREFIX, kms_key()).save(CHANNEL)
    assert settings.find("epay") == CHANNEL
