"""A shop to ask, and the client's command line in the test's process, which is no terminal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from client import loading, settings
from client.commands import cardshop
from tests.client.shop import TOKEN, Shop, made_batch, made_order, made_product

TRADE = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Client:
    """`client("products")` is `cardshop products` with the address and token of the test's shop around it."""

    shop: Shop

    def __call__(self, *arguments: str, stdin: bytes | None = None, **env: str | None) -> Result:
        around = {"CARDSHOP_API": self.shop.url, "CARDSHOP_TOKEN": TOKEN, "FORCE_COLOR": None, **env}
        done = CliRunner(mix_stderr=False).invoke(cardshop, arguments, input=stdin, env=around)
        assert TOKEN not in done.stdout + done.stderr
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done


@pytest.fixture(autouse=True)
def _nothing_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "OUTPUTS", tmp_path / "outputs.json")


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(loading, "_POLL", 0.01)


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Two products, two batches of the first, one trade."""
    shop = Shop()
    shop.products["steam-50"] = made_product()
    low = {"level": "low", "quantity": 3}
    shop.products["yen"] = made_product("yen", "ギフト", price={"minor": 1500, "currency": "JPY"}, stock=low)
    shop.batches["steam-50"] = {name: made_batch(name) for name in ("AAAAAAAAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBBBBBBBB")}
    shop.orders[TRADE] = made_order(TRADE)
    serving = threading.Thread(target=shop.serve)
    serving.start()
    yield shop
    shop.close()
    serving.join()


@pytest.fixture
def client(shop: Shop) -> Client:
    return Client(shop)
