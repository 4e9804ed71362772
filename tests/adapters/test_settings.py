"""Secrets and settings, read at run time: rotated without a deploy and without logging anybody out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError
from cardshop.adapters.aws import client
from cardshop.adapters.log import logger
from cardshop.adapters.settings import (
    ChannelSettings,
    ChannelSettingsStore,
    SigningKey,
    SigningKeys,
    fixed_secret,
    public_urls,
)
from cardshop.domain.errors import Unavailable
from cardshop.domain.payment import Channel, Offer
from cardshop.ports import PublicUrls

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


def test_a_secret_is_read_once_in_five_minutes_and_never_used_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even while it cannot be read anew: whoever rotates a key that has leaked counts on it."""
    name, now = secret("token-key", "old"), wall_clock(monkeypatch)
    assert fixed_secret(name) == b"old"
    client("secretsmanager").put_secret_value(SecretId=name, SecretString="new")
    now[0] += 299
    assert fixed_secret(name) == b"old"
    now[0] += 2
    assert fixed_secret(name) == b"new"
    with monkeypatch.context() as broken:
        broken.setattr(client("secretsmanager"), "get_secret_value", _no_answer)
        now[0] += 299
        assert fixed_secret(name) == b"new"
        now[0] += 2
        with pytest.raises(Unavailable):
            fixed_secret(name)


def test_a_key_that_may_be_newer_is_not_denied_while_nobody_can_look(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = SigningKeys(secret("token-key", "only"))
    keys.current()
    monkeypatch.setattr(client("secretsmanager"), "get_secret_value", _no_answer)
    with pytest.raises(Unavailable):
        keys.by_kid("unknown")


def _no_answer(**_: str) -> None:
    raise EndpointConnectionError(endpoint_url="https://secretsmanager")


def test_a_key_that_was_never_rotated_has_none_before_it() -> None:
    keys = SigningKeys(secret("token-key", "only"))
    assert keys.by_kid("unknown") is None
    assert keys.by_kid(SigningKey.of("only").kid) == SigningKey.of("only")


def test_a_key_is_named_without_showing_it() -> None:
    assert "first" not in SigningKey.of("first").kid
    assert SigningKey.of("first").kid != SigningKey.of("second").kid


# ---- the public address ----


URLS = PublicUrls("https://api.example/api", "https://shop.example")


def put_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the template puts them."""
    name, value = "/cardshop/public-urls", '{"api": "https://api.example/api", "pages": "https://shop.example"}'
    client("ssm").put_parameter(Name=name, Value=value, Type="String")
    monkeypatch.setenv("PUBLIC_URLS_PARAMETER", name)


def test_the_api_and_the_pages_are_found_by_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    put_urls(monkeypatch)
    assert public_urls() == URLS


def test_a_public_url_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URLS_PARAMETER", "/nowhere")
    with pytest.raises(Unavailable):
        public_urls()


def test_a_public_url_that_was_read_once_outlives_the_parameter_store(monkeypatch: pytest.MonkeyPatch) -> None:
    put_urls(monkeypatch)
    now = clock(monkeypatch)
    public_urls()
    client("ssm").delete_parameter(Name="/cardshop/public-urls")
    now[0] += 301
    assert public_urls() == URLS


# ---- channels ----


def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds now, to be moved; workers keep settings as long as they may."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    return now


def wall_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds now, to be moved, as Powertools counts them."""
    now = [1000.0]
    told = SimpleNamespace(now=lambda: datetime.fromtimestamp(now[0], UTC))
    monkeypatch.setattr("aws_lambda_powertools.utilities.parameters.base.datetime", told)
    return now


def save(channel: Channel, key: str | None = None) -> None:
    offer = Offer(channel.name, channel.provider, ("pc",), (), ("CNY",))
    ChannelSettingsStore(PREFIX, key or kms_key()).save(channel, offer)


def test_a_saved_channel_is_found_whole() -> None:
    save(CHANNEL)
    assert ChannelSettings(PREFIX).find("epay") == CHANNEL
    assert ChannelSettings(PREFIX).find("unknown") is None


def test_a_channels_secrets_lie_encrypted_and_nowhere_else() -> None:
    key = kms_key()
    save(CHANNEL, key)
    (described,) = client("ssm").describe_parameters()["Parameters"]
    assert (described["Name"], described["Type"], described["KeyId"]) == (f"{PREFIX}/epay", "SecureString", key)
    assert "merchant-key" not in str(items("CatalogueTable"))


def test_a_channel_without_its_secrets_is_unavailable_not_open() -> None:
    save(CHANNEL)
    client("ssm").delete_parameter(Name=f"{PREFIX}/epay")
    with pytest.raises(Unavailable):
        ChannelSettings(PREFIX).find("epay")


def test_a_channel_is_kept_whole_for_a_minute_and_then_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings and its key change together, or a payment would be signed with the one and sent to the other."""
    settings, now = ChannelSettings(PREFIX), clock(monkeypatch)
    save(CHANNEL)
    assert settings.find("epay") == CHANNEL
    changed = replace(CHANNEL, settings={**CHANNEL.settings, "pid": "1002"}, secrets={"key": "another"})
    save(changed)
    now[0] += 59
    assert settings.find("epay") == CHANNEL
    now[0] += 2
    assert settings.find("epay") == changed


def test_a_channel_whose_secrets_cannot_be_read_anew_is_used_for_a_quarter_of_an_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And each time that it is, somebody can see; the secrets themselves nobody can."""
    save(CHANNEL)
    settings, now, told = ChannelSettings(PREFIX), clock(monkeypatch), StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", told)
    settings.find("epay")
    client("ssm").delete_parameter(Name=f"{PREFIX}/epay")
    now[0] += 61
    assert settings.find("epay") == CHANNEL
    now[0] += 838
    assert settings.find("epay") == CHANNEL
    assert told.getvalue().count('"old settings"') == 2
    assert "merchant-key" not in told.getvalue()
    now[0] += 6
    with pytest.raises(Unavailable):
        settings.find("epay")


def test_secrets_that_cannot_be_read_are_tried_again_after_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at each call: a store that is asked too much would be asked more. Once it answers, what it says is used."""
    settings, now = ChannelSettings(PREFIX), clock(monkeypatch)
    save(CHANNEL)
    settings.find("epay")
    client("ssm").delete_parameter(Name=f"{PREFIX}/epay")
    now[0] += 61
    settings.find("epay")
    changed = replace(CHANNEL, secrets={"key": "another"})
    save(changed)
    now[0] += 4
    assert settings.find("epay") == CHANNEL
    now[0] += 2
    assert settings.find("epay") == changed


def test_workers_that_began_together_ask_again_at_different_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the minute that a changed channel may take, and not much more often than once in it."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    save(CHANNEL)
    workers = [ChannelSettings(PREFIX) for _ in range(40)]
    for worker in workers:
        worker.find("epay")
    save(replace(CHANNEL, secrets={"key": "another"}))

    def changed(after: float) -> int:
        now[0] = 1000.0 + after
        return sum(worker.find("epay") != CHANNEL for worker in workers)

    assert changed(44.9) == 0
    assert 0 < changed(52.5) < len(workers)
    assert changed(60) == len(workers)


def test_a_channel_that_is_not_there_is_looked_for_each_time() -> None:
    settings = ChannelSettings(PREFIX)
    assert settings.find("epay") is None
    save(CHANNEL)
    assert settings.find("epay") == CHANNEL
