"""Which shop is asked, and where its token comes from and may go."""

from __future__ import annotations

import json

import pytest

from client import settings
from tests.client.conftest import Client
from tests.client.shop import TOKEN, Shop


def keep(url: str) -> None:
    settings.OUTPUTS.write_text(json.dumps({"api_url": url, "demo": {"operator_token": TOKEN}}))


def test_the_shop_that_runs_here_is_asked_if_no_other_is_named(client: Client, shop: Shop) -> None:
    keep(shop.url)
    assert "steam-50" in client("products", CARDSHOP_API=None, CARDSHOP_TOKEN=None).stdout


def test_an_option_names_another_shop(client: Client, shop: Shop) -> None:
    assert "steam-50" in client("--api", shop.url, "products", CARDSHOP_API="https://shop.invalid").stdout


def test_without_an_address_nothing_is_done(client: Client) -> None:
    done = client("products", CARDSHOP_API=None)
    assert done.exit_code == 2
    assert "No API address: give --api URL or CARDSHOP_API, or run `make up`" in done.stderr


def test_without_a_token_nothing_is_sent(client: Client, shop: Shop) -> None:
    done = client("products", CARDSHOP_TOKEN=None)
    assert done.exit_code == 2
    assert "No token for" in done.stderr
    assert shop.asked == []


def test_the_token_of_the_shop_here_is_sent_to_no_other(client: Client, shop: Shop) -> None:
    keep("http://127.0.0.1:9/api")
    done = client("products", CARDSHOP_TOKEN=None)
    assert done.exit_code == 2
    assert shop.asked == []


@pytest.mark.parametrize(
    "url", ["http://shop.example/api", "shop.example/api", "https://", "ftp://127.0.0.1", "http://["]
)
def test_a_token_goes_encrypted_or_stays_on_this_machine(client: Client, url: str) -> None:
    done = client("products", CARDSHOP_API=url)
    assert done.exit_code == 2
    assert url in done.stderr


@pytest.mark.parametrize(
    "url", ["https://shop.example/api", "http://localhost:1/api", "http://d1.cloudfront.localhost:1"]
)
def test_these_ways_are_safe(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDSHOP_TOKEN", TOKEN)
    assert settings.shop(url) == settings.Shop(url, TOKEN)


def test_a_token_is_not_taken_from_the_command_line_and_help_says_why(client: Client) -> None:
    assert client("--token", "x", "products").exit_code == 2
    assert "everyone's process list" in " ".join(client("--help").stdout.split())


def test_a_shop_does_not_show_its_token() -> None:
    assert TOKEN not in repr(settings.Shop("https://shop.example", TOKEN))
