"""The reading commands, and withdrawing and restoring a batch."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from client import views
from tests.client.conftest import TRADE, Client
from tests.client.shop import TOKEN, Shop, made_batch, made_order

OTHER = "zyxwvutsrqponmlkjihgfedcba"


@pytest.fixture
def _in_shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        yield
    time.tzset()


def row(output: str, begins: str) -> str:
    """The one line that begins so, with one space between its words."""
    (found,) = [" ".join(line.split()) for line in output.splitlines() if line.startswith(begins)]
    return found


def test_every_product_has_a_row_with_its_price_and_its_stock(client: Client) -> None:
    done = client("products")
    assert done.exit_code == 0
    assert row(done.stdout, "steam-50") == "steam-50 Steam 充值卡 50 元 9.90 CNY on_sale in_stock 1,998"
    assert row(done.stdout, "yen") == "yen ギフト 1,500 JPY on_sale low 3"


def test_a_products_category_stands_below_its_name(client: Client, shop: Shop) -> None:
    shop.products["steam-50"]["category"] = "游戏 Games"
    lines = client("products").stdout.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("steam-50")]
    assert lines[at + 1].strip() == "游戏 Games"


@pytest.mark.usefixtures("_in_shanghai")
def test_one_product_is_shown_with_its_batches_by_the_clock_on_the_wall(client: Client, shop: Shop) -> None:
    shop.batches["steam-50"]["C"] = made_batch("C", "importing", imported=1200, on_sale=0, held=0, sold=0)
    done = client("products", "steam-50")
    assert row(done.stdout, "steam-50").endswith(" 1,998")
    assert row(done.stdout, "A" * 22) == f"{'A' * 22} on_sale 1,000 990 4 6 2026-11-25 05:40:00"
    assert row(done.stdout, "C ") == "C importing 1,200 0 0 0 2026-11-25 05:40:00"


def test_a_product_without_a_batch_says_so(client: Client) -> None:
    assert "Nothing was imported yet." in client("products", "yen").stdout


@pytest.mark.parametrize(("command", "target"), [("withdraw", "withdrawn"), ("restore", "on_sale")])
def test_a_batch_is_taken_off_sale_and_put_back(client: Client, shop: Shop, command: str, target: str) -> None:
    before = {"withdraw": "on_sale", "restore": "withdrawn"}[command]
    shop.batches["steam-50"]["C"] = made_batch("C", before)
    done = client(command, "steam-50", "C")
    assert done.exit_code == 0
    assert shop.batches["steam-50"]["C"]["status"] == target
    assert row(done.stdout, "C ").startswith(f"C {target} ")
    assert shop.batches["steam-50"]["A" * 22]["status"] == "on_sale"


@pytest.mark.usefixtures("_in_shanghai")
def test_every_trade_under_way_has_a_row_with_its_items_and_payments(client: Client, shop: Shop) -> None:
    failed = {**shop.orders[TRADE]["payments"][0], "state": "failed"}
    shop.orders[TRADE]["payments"].insert(0, failed)
    done = client("orders")
    assert done.exit_code == 0
    assert row(done.stdout, TRADE) == f"{TRADE} delivered 9.90 failed 2026-11-25"
    assert row(done.stdout, "steam-50") == "steam-50 ×1, miniapp 发货成功 CNY accepted 05:48:05"
    assert done.stderr == ""


def test_no_trade_under_way_is_no_error(client: Client, shop: Shop) -> None:
    shop.orders.clear()
    done = client("orders")
    assert (done.exit_code, done.stdout) == (0, "没有 None.\n")


def test_a_page_says_that_there_are_more_and_all_follows_them(client: Client, shop: Shop) -> None:
    shop.orders[OTHER] = made_order(OTHER)
    one = client("orders", "--limit", "1")
    assert TRADE in one.stdout
    assert OTHER not in one.stdout
    assert "There are more: --all" in one.stderr
    everything = client("orders", "--limit", "1", "--all")
    assert everything.stdout.index(TRADE) < everything.stdout.index(OTHER)
    assert everything.stderr == ""


def test_a_status_is_looked_for_on_every_page(client: Client, shop: Shop) -> None:
    shop.orders[OTHER] = made_order(OTHER, "awaiting_stock")
    done = client("orders", "--status", "awaiting_stock", "--limit", "1", "--all")
    assert row(done.stdout, OTHER).startswith(f"{OTHER} awaiting_stock ")
    assert TRADE not in done.stdout


@pytest.mark.usefixtures("_in_shanghai")
def test_one_trade_is_told_whole(client: Client, shop: Shop) -> None:
    short = {"kind": "wrong_amount", "channel": "epay", "payment_id": f"{TRADE}01", "detail": "1.00 instead of 9.90"}
    shop.orders[TRADE]["incidents"] = [{**short, "at": "2026-11-24T21:48:03.007Z"}]
    told = client("orders", TRADE).stdout
    assert "delivered 发货成功" in told
    assert "Steam 充值卡 50 元 (steam-50) ×1, 9.90 CNY" in told
    assert row(told, f"{TRADE}01") == f"{TRADE}01 epay accepted 已入账 9.90 CNY 9.90 CNY"
    assert (
        row(told, "2026-11-25 05:48:01.120") == "2026-11-25 05:48:01.120 pending_payment buyer pc 203.0.113.7 phone-7"
    )
    assert row(told, "2026-11-25 05:48:02.120") == "2026-11-25 05:48:02.120 paid provider"
    assert (
        row(told, "2026-11-25 05:48:04.120")
        == "2026-11-25 05:48:04.120 cards_revealed buyer miniapp 2001:db8::1428:57ab"
    )
    incident = f"2026-11-25 05:48:03.007 wrong_amount epay {TRADE}01 1.00 instead of 9.90"
    assert row(told, "2026-11-25 05:48:03.007") == incident


def test_a_trade_without_incidents_says_so(client: Client) -> None:
    assert client("orders", TRADE).stdout.endswith("异常 Incidents\n没有 None.\n")


@pytest.mark.parametrize(
    "command", [["products"], ["products", "steam-50"], ["orders"], ["orders", TRADE]], ids=" ".join
)
def test_json_is_the_answer_as_it_is(client: Client, shop: Shop, command: list[str]) -> None:
    answer = httpx.get(f"{shop.url}/admin/{'/'.join(command)}", headers={"Authorization": f"Bearer {TOKEN}"})
    assert client(*command, "--json").stdout == f"{answer.text}\n"


def test_json_of_every_page_is_a_line_a_page(client: Client, shop: Shop) -> None:
    shop.orders[OTHER] = made_order(OTHER)
    first, second = client("orders", "--json", "--all", "--limit", "1").stdout.splitlines()
    assert f'"trade_id":"{TRADE}"' in first
    assert f'"trade_id":"{OTHER}"' in second


def test_a_trade_and_a_list_cannot_both_be_asked_for(client: Client, shop: Shop) -> None:
    done = client("orders", TRADE, "--status", "paid")
    assert done.exit_code == 2
    assert shop.asked == []


def test_a_problem_is_told_in_its_own_words(client: Client) -> None:
    done = client("products", CARDSHOP_TOKEN="another")
    assert done.exit_code == 1
    assert done.stdout == ""
    said = "未授权 Missing or invalid token: the token is not valid (unauthorized)"
    assert done.stderr.splitlines()[0] == said
    assert "another" not in done.stderr


def test_a_problem_that_says_the_same_twice_is_told_once(client: Client) -> None:
    done = client("products", "nothing-here")
    assert (done.exit_code, done.stderr) == (1, "未找到 Not found (not_found)\n")


def test_a_gateway_that_quotes_the_token_is_not_quoted(client: Client, shop: Shop) -> None:
    shop.quotes_the_header = True
    done = client("products")
    assert done.exit_code == 1
    assert "HTTP 403 Forbidden" in done.stderr
    assert "Bearer" not in done.stderr


def test_a_shop_that_does_not_answer_is_told_without_a_traceback(client: Client) -> None:
    done = client("orders", CARDSHOP_API="http://127.0.0.1:9/api")
    assert done.exit_code == 1
    assert "The shop cannot be reached: ConnectError" in done.stderr


def test_what_a_buyer_sends_cannot_steer_the_operators_terminal(client: Client, shop: Shop) -> None:
    shop.orders[TRADE]["timeline"][0]["device"] = "\x1b]0;owned\x07\x9b2J[bold]"
    told = client("orders", TRADE).stdout
    assert "[bold]" in told
    assert not {"\x1b", "\x07", "\x9b"} & set(told)


def test_a_name_with_a_slash_stays_one_name(client: Client, shop: Shop) -> None:
    client("withdraw", "steam-50", "../../orders?x#y")
    assert shop.asked == ["PUT /api/admin/products/steam-50/batches/..%2F..%2Forders%3Fx%23y"]


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [(990, "CNY", "9.90 CNY"), (5, "USD", "0.05 USD"), (1234567, "JPY", "1,234,567 JPY"), (1005, "KWD", "1.005 KWD")],
)
def test_money_has_the_digits_of_its_currency(minor: int, currency: str, shown: str) -> None:
    assert views.money({"minor": minor, "currency": currency}) == shown
