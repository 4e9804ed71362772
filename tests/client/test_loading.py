"""`cardshop import`: what is sent, what is shown meanwhile, and what happens when the way there breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from client import loading
from tests.client.conftest import Client
from tests.client.shop import Shop, made_batch

CARDS = "".join(f"CODE-{number}\n" for number in range(1000)).encode()

pytestmark = pytest.mark.usefixtures("_at_once")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "cards.txt"
    path.write_bytes(CARDS)
    return str(path)


def test_a_file_arrives_byte_for_byte(client: Client, shop: Shop, tmp_path: Path) -> None:
    raw = "充值卡-1\r\n\r\n充值卡-2".encode("gbk") + b"\r\n" * 10_000
    (tmp_path / "gbk.txt").write_bytes(raw)
    done = client("import", str(tmp_path / "gbk.txt"), "--sku", "steam-50")
    assert done.exit_code == 0
    assert shop.files == [raw]
    assert shop.headers[0]["Content-Length"] == str(len(raw))


def test_standard_input_is_a_file_too(client: Client, shop: Shop) -> None:
    assert client("import", "-", "--sku", "steam-50", stdin=CARDS).exit_code == 0
    assert shop.files == [CARDS]


def test_the_summary_names_the_batch_the_counts_and_the_duplicates(client: Client, shop: Shop, file: str) -> None:
    shop.duplicates = [3, 17]
    done = client("import", file, "--sku", "steam-50")
    assert [" ".join(line.split()) for line in done.stdout.splitlines()] == [
        "已上架 On sale now",
        "货号 SKU steam-50",
        "批次 Batch batch-of-1000",
        "状态 Status on_sale 在售",
        "导入 Imported 998",
        "编码 Encoding utf-8",
        "重复 Duplicates 2: 行 lines 3, 17",
    ]


@pytest.mark.parametrize(("count", "more"), [(20, ""), (27, " … and 7 more")])
def test_twenty_duplicates_are_named_and_the_others_counted(
    client: Client, shop: Shop, file: str, count: int, more: str
) -> None:
    shop.duplicates = list(range(101, 101 + count))
    named = ", ".join(str(number) for number in range(101, 121))
    assert f"{count}: 行 lines {named}{more}\n" in client("import", file, "--sku", "steam-50").stdout


def test_a_file_that_was_imported_before_is_said_to_be(client: Client, shop: Shop, file: str) -> None:
    client("import", file, "--sku", "steam-50")
    done = client("import", file, "--sku", "steam-50")
    assert done.exit_code == 0
    assert "This file was imported already" in done.stdout
    assert "On sale now" not in done.stdout


def test_no_code_and_no_bar_is_printed_where_no_terminal_is(client: Client, shop: Shop, file: str) -> None:
    shop.duplicates = [1]
    done = client("import", file, "--sku", "steam-50")
    said = done.stdout + done.stderr
    assert "CODE-" not in said
    assert not {"\x1b", "\r", "━"} & set(said)
    assert done.stderr == f"上传 uploading {len(CARDS):,} bytes, 1,000 cards\n"


def test_the_cards_sealed_so_far_are_shown_while_the_shop_works(client: Client, shop: Shop, file: str) -> None:
    """The shop answers at the third look; the second one found a quarter. An import that broke off is not ours."""
    left = made_batch("broken-off", "importing", imported=700, created_at="2026-11-25T00:00:00.000Z")
    shop.batches["steam-50"]["broken-off"] = left
    shop.looks = 3
    done = client("import", file, "--sku", "steam-50")
    assert done.exit_code == 0
    assert "sealed 250 of 1,000 cards\n" in done.stderr
    assert "700" not in done.stderr


def test_an_import_that_is_taken_up_again_goes_on_from_where_it_broke_off(
    client: Client, shop: Shop, file: str
) -> None:
    shop.batches["steam-50"]["batch-of-1000"] = made_batch("batch-of-1000", "importing", imported=500)
    shop.looks = 3
    assert "sealed 750 of 1,000 cards\n" in client("import", file, "--sku", "steam-50").stderr


@pytest.mark.parametrize("failure", [503, 504, None], ids=["busy", "timeout", "connection lost"])
def test_the_same_file_is_sent_again_when_the_shop_breaks(
    client: Client, shop: Shop, file: str, failure: int | None
) -> None:
    shop.failures = [failure, failure]
    done = client("import", file, "--sku", "steam-50")
    assert done.exit_code == 0
    assert shop.files == [CARDS] * 3
    assert "Sending the same file again" in done.stderr
    assert "(2/3)" in done.stderr
    assert "On sale now" in done.stdout


def test_after_three_more_tries_it_is_given_up_and_said_how_to_go_on(client: Client, shop: Shop, file: str) -> None:
    shop.failures = [503] * 9
    done = client("import", file, "--sku", "steam-50")
    assert done.exit_code == 1
    assert len(shop.files) == 4
    assert done.stderr.splitlines()[-2:] == ["繁忙,请重试 Busy, try again: send it again (busy)", loading.LATER]
    assert done.stdout == ""


def test_a_file_that_is_refused_is_not_sent_again(client: Client, shop: Shop) -> None:
    done = client("import", "-", "--sku", "steam-50", stdin=b"\n \n")
    assert done.exit_code == 1
    assert len(shop.files) == 1
    assert done.stderr.splitlines()[-1] == "请求内容无法处理 Unprocessable: no card in the file (unprocessable)"


def test_a_product_that_is_not_there_is_not_found(client: Client, file: str) -> None:
    done = client("import", file, "--sku", "nothing-here")
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (1, "未找到 Not found (not_found)")


def test_what_no_gateway_would_take_is_not_sent(client: Client, shop: Shop) -> None:
    done = client("import", "-", "--sku", "steam-50", stdin=b"x" * (loading.MOST + 1))
    assert done.exit_code == 1
    assert "at most 4,194,304 bytes" in done.stderr
    assert shop.asked == []


@pytest.mark.parametrize(
    ("raw", "cards"), [(b"", 0), (b"\xef\xbb\xbf\r\na\r\n \r\nb", 2), (b"a\n\n\nb\n", 2)], ids=["empty", "bom", "blank"]
)
def test_blank_lines_are_no_cards(raw: bytes, cards: int) -> None:
    assert loading.cards_in(raw) == cards
