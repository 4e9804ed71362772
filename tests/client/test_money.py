"""Sending money back, keeping it, and confirming what was seen at the provider."""

from __future__ import annotations

import pytest

from tests.client.conftest import TRADE, Client
from tests.client.shop import Shop

PAYMENT = f"{TRADE}01"


def test_a_refund_says_what_became_of_it_and_carries_a_key_of_its_own(client: Client, shop: Shop) -> None:
    for _ in range(2):
        done = client("refund", TRADE, "--amount", "100:CNY", "--payment", PAYMENT, "--note", "asked for")
        assert done.exit_code == 0
        assert "by_hand 待人工" in done.stdout
        assert "1.00 CNY" in done.stdout
    (_, body, first), (_, _, second) = shop.deeds
    assert body == {"note": "asked for", "payment_id": PAYMENT, "amount": {"minor": 100, "currency": "CNY"}}
    assert first
    assert second
    assert first != second


def test_a_refund_that_broke_off_tells_the_key_to_try_it_again_with(client: Client, shop: Shop) -> None:
    failed = client("refund", "z" * 26, "--note", "asked for")
    assert failed.exit_code == 1
    key = failed.stderr.split("--key ")[1].split()[0]
    assert client("refund", TRADE, "--note", "asked for", "--key", key).exit_code == 0
    assert shop.deeds == [("refunds", {"note": "asked for"}, key)]


def test_a_refund_sent_by_hand_is_told_with_its_number(client: Client, shop: Shop) -> None:
    assert client("refund", TRADE, "--done", "B-17", "--note", "at the bank").exit_code == 0
    assert shop.deeds[0][1] == {"note": "at the bank", "provider_ref": "B-17"}


def test_money_is_kept_and_confirmed_with_a_reason(client: Client, shop: Shop) -> None:
    assert client("keep", TRADE, PAYMENT, "--note", "a tip").exit_code == 0
    assert client("confirm", TRADE, "--ref", "T-1", "--amount", "990:CNY", "--note", "seen there").exit_code == 0
    kept, confirmed = shop.deeds
    assert kept[:2] == (f"payments/{PAYMENT}/keep", {"note": "a tip"})
    said = {"note": "seen there", "amount": {"minor": 990, "currency": "CNY"}, "provider_ref": "T-1"}
    assert confirmed[:2] == ("confirm-payment", said)


@pytest.mark.parametrize("amount", ["9.90:CNY", "-1:CNY", "CNY", "", "１:CNY"])
def test_an_amount_that_is_none_is_refused_before_anybody_is_asked(client: Client, shop: Shop, amount: str) -> None:
    assert client("refund", TRADE, "--amount", amount, "--note", "asked for").exit_code == 2
    assert (shop.deeds, shop.asked) == ([], [])


@pytest.mark.parametrize("command", [["refund", TRADE], ["keep", TRADE, PAYMENT], ["confirm", TRADE, "--ref", "T-1"]])
def test_nothing_is_done_without_a_reason(client: Client, shop: Shop, command: list[str]) -> None:
    assert client(*command).exit_code == 2
    assert shop.asked == []


def test_the_trades_that_wait_for_an_operator_are_asked_for(client: Client, shop: Shop) -> None:
    assert client("orders", "--tasks").exit_code == 0
    assert shop.queries[0]["tasks"] == "open"


def test_a_trades_story_shows_what_is_to_be_done_and_which_cards_are_gone(client: Client, shop: Shop) -> None:
    shop.orders[TRADE]["tasks"] = [{"payment_id": PAYMENT, "task": "refund_by_hand"}]
    shop.orders[TRADE]["cards"] = [{"card_id": "c-1", "sku": "steam-50", "state": "forfeited"}]
    shown = client("orders", TRADE).stdout
    assert "cardshop refund --done" in shown
    assert "forfeited 已失效" in shown
