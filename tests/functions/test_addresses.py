"""Whose address a call is said to come from: the gateway's word, or that of the pages' own distribution."""

from __future__ import annotations

import pytest

from tests.adapters.cloud import items
from tests.functions.deployed import Deployed
from tests.functions.samples import Event, sample, with_header

ORDER = sample("place_order/one_card")
SECRET, GATEWAYS = "the secret that only the distribution sends", "203.0.113.7"


@pytest.fixture(autouse=True)
def edge(monkeypatch: pytest.MonkeyPatch, shop: Deployed) -> None:
    monkeypatch.setenv("EDGE_SECRET", SECRET)
    shop.stock("CODE-1")


def address(shop: Deployed, event: Event) -> str | None:
    """Of an order that is placed by this call."""
    assert shop.call("place_order", event).status == 201
    (order,) = items("OrdersTable")
    change = order["change"]["M"]
    return change["address"]["S"] if "address" in change else None


def through(viewer: str, secret: str | None = SECRET) -> Event:
    return with_header(with_header(ORDER, "CloudFront-Viewer-Address", viewer), "cardshop-edge", secret)


@pytest.mark.parametrize(
    ("viewer", "who"),
    [
        ("198.51.100.10:46532", "198.51.100.10"),
        ("2001:db8::1:46532", "2001:db8::1"),
        ("2001:db8:0:0:0:0:0:1:443", "2001:db8::1"),
        ("nobody", None),
        ("198.51.100.10", None),
        ("", GATEWAYS),
    ],
)
def test_the_distribution_names_the_buyer(shop: Deployed, viewer: str, who: str | None) -> None:
    assert address(shop, through(viewer)) == who


@pytest.mark.parametrize("secret", [None, "", "the secret", SECRET + " ", SECRET.upper(), "秘密"])
def test_whoever_does_not_know_its_secret_names_nobody(shop: Deployed, secret: str | None) -> None:
    assert address(shop, through("198.51.100.10:46532", secret)) == GATEWAYS


def test_without_a_distribution_there_is_no_secret_to_know(shop: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_SECRET", "")
    assert address(shop, through("198.51.100.10:46532", "")) == GATEWAYS


def test_where_a_call_says_that_it_was_forwarded_from_is_nobodys_word(shop: Deployed) -> None:
    assert address(shop, with_header(ORDER, "X-Forwarded-For", "198.51.100.10, 203.0.113.9")) == GATEWAYS
