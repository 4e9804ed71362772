"""Loading cards, seeing where they are, and taking them off sale: on the deployed stack."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.house import House, ok, wait_until
from tests.invariants.checker import assert_sound

_MOST = 10_000


@pytest.fixture(autouse=True)
def sound_at_the_end(house: House) -> Iterator[None]:
    yield
    assert_sound(house)


def _codes(count: int) -> list[str]:
    return [f"CODE-{secrets.token_hex(10)}" for _ in range(count)]


def _send(house: House, sku: str, content: bytes | Sequence[str]) -> httpx.Response:
    body = content if isinstance(content, bytes) else "\n".join(content).encode()
    headers = {**house.operator, "Content-Type": "text/plain"}
    return house.api.post(f"/admin/products/{sku}/cards", headers=headers, content=body)


def _product(house: House, sku: str) -> dict[str, Any]:
    return ok(house.api.get(f"/admin/products/{sku}", headers=house.operator))


def _batches(house: House, sku: str) -> list[tuple[str, int, int, int, int]]:
    """(status, imported, on sale, held, sold) of each, the oldest first."""
    names = ("status", "imported", "on_sale", "held", "sold")
    return [tuple(batch[name] for name in names) for batch in _product(house, sku)["batches"]]


def _until_batches(house: House, sku: str, *expected: tuple[str, int, int, int, int]) -> None:
    wait_until(lambda: _batches(house, sku) == list(expected), lambda: str(_batches(house, sku)))


def _move(house: House, sku: str, status: str, batch: str | None = None) -> dict[str, Any]:
    name = batch or _product(house, sku)["batches"][0]["batch"]
    return ok(house.api.put(f"/admin/products/{sku}/batches/{name}", headers=house.operator, json={"status": status}))


# ---- files ----


@pytest.mark.parametrize(
    ("content", "status", "code", "says"),
    [
        (b"good\nb\x00ad\nfine\n\x00", 422, "unprocessable", "line 2, 4"),
        (b"good\n" + b"x" * 4097, 422, "unprocessable", "line 2"),
        ("\n".join(str(number) for number in range(_MOST + 1)).encode(), 422, "unprocessable", f"line {_MOST + 1}"),
        (b"x" * (4 * 1024 * 1024 + 1), 413, "body_too_large", "4194304 bytes"),
        (b"\xef\xbb\xbf\r\n  \r\n\t\r\n", 422, "nothing_to_import", "no card"),
        (b"good\n\xff\xff\xff", 422, "unprocessable", "line 2"),
        ("ok\nutf-16".encode("utf-16"), 422, "unprocessable", "line"),
    ],
    ids=["NUL", "long line", "too many lines", "too large", "blank", "no text", "UTF-16"],
)
def test_a_bad_file_is_refused_whole(house: House, content: bytes, status: int, code: str, says: str) -> None:
    sku, _ = house.product(0)
    refused = _send(house, sku, content)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert says in refused.json()["detail"]
    assert _batches(house, sku) == []


@pytest.mark.parametrize(
    ("mark", "encoding", "said"), [("", "utf-8", "utf-8"), ("\ufeff", "utf-8", "utf-8"), ("", "gbk", "gbk")]
)
def test_files_as_people_have_them(house: House, mark: str, encoding: str, said: str) -> None:
    """With or without a mark, in UTF-8 or GBK, lines ended as Windows does, blank ones in between."""
    sku, _ = house.product(0)
    codes = sorted(f"点卡-{code}" for code in _codes(2))
    imported = ok(_send(house, sku, (mark + "\r\n\r\n".join(codes) + "\r\n").encode(encoding)))
    assert (imported["encoding"], imported["imported"], imported["duplicates"]) == (said, 2, [])
    placed = house.placed(sku, 2)
    house.pay(placed)
    house.until(placed, "delivered")
    assert sorted(house.cards(placed)) == codes


def test_duplicates_are_named_by_their_lines(house: House) -> None:
    """Within the file, in this product's stock, and in any other's."""
    sku, (here, *_) = house.product(2)
    _, (elsewhere, *_) = house.product(1)
    new = _codes(2)
    imported = ok(_send(house, sku, [new[0], here, "", new[0], elsewhere, new[1]]))
    assert (imported["imported"], imported["duplicates"]) == (2, [2, 4, 5])
    sealed = len(house.items("Sealed"))
    refused = _send(house, sku, [here, elsewhere, "", here])
    assert (refused.status_code, refused.json()["code"]) == (422, "nothing_to_import")
    assert "1, 2, 4" in refused.json()["detail"]
    assert len(house.items("Sealed")) == sealed, "not even a key is left"
    assert len(_batches(house, sku)) == 2


def test_a_completed_file_sent_again_answers_its_batch(house: House) -> None:
    sku, codes = house.product(3)
    again = _send(house, sku, codes)
    assert (again.status_code, again.json()["imported"], again.json()["status"]) == (200, 3, "on_sale")
    assert again.json()["batch"] == _product(house, sku)["batches"][0]["batch"]
    _until_batches(house, sku, ("on_sale", 3, 3, 0, 0))


def test_two_imports_of_one_file_at_once_add_each_card_once(house: House) -> None:
    sku, _ = house.product(0)
    codes = _codes(300)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda _: _send(house, sku, codes), range(2)))
    assert {answer.status_code for answer in answers} <= {200, 201}, [answer.text for answer in answers]
    assert {answer.json()["imported"] for answer in answers} == {300}
    assert {tuple(answer.json()["duplicates"]) for answer in answers} == {()}
    _until_batches(house, sku, ("on_sale", 300, 300, 0, 0))


# ---- batches ----


def test_an_operator_sees_where_the_cards_are(house: House) -> None:
    sku, _ = house.product(5)
    placed = [house.placed(sku) for _ in range(3)]
    house.pay(placed[0])
    house.until(placed[0], "delivered")
    ok(house.act(placed[1], "cancel"))
    house.until(placed[1], "closed")
    _until_batches(house, sku, ("on_sale", 5, 3, 1, 1))
    listed = ok(house.api.get("/admin/products", headers=house.operator))["products"]
    (shown,) = [product for product in listed if product["sku"] == sku]
    assert (shown["status"], shown["stock"]) == ("on_sale", {"level": "low", "quantity": 3})
    for path in ("/admin/products", f"/admin/products/{sku}"):
        assert house.api.get(path).status_code == 401
    assert house.api.get("/admin/products/none", headers=house.operator).json()["code"] == "not_found"


def test_a_withdrawn_batch_sells_nothing_until_it_is_put_back(house: House) -> None:
    sku, codes = house.product(2)
    held = house.placed(sku)
    assert _move(house, sku, "withdrawn")["status"] == "withdrawn"
    assert _move(house, sku, "withdrawn")["status"] == "withdrawn", "asking again is no error"
    assert house.order(sku).json()["code"] == "out_of_stock"
    house.pay(held)
    house.until(held, "awaiting_stock")
    _until_batches(house, sku, ("withdrawn", 2, 0, 0, 0))
    assert _move(house, sku, "on_sale")["status"] == "on_sale"
    house.until(held, "delivered")
    assert set(house.cards(held)) < set(codes)
    _until_batches(house, sku, ("on_sale", 2, 1, 0, 1))


def test_who_holds_a_withdrawn_card_gets_another_batchs(house: House) -> None:
    sku, _ = house.product(1)
    held = house.placed(sku)
    first = _product(house, sku)["batches"][0]["batch"]
    (other,) = _codes(1)
    ok(_send(house, sku, [other]))
    _move(house, sku, "withdrawn", first)
    house.pay(held)
    house.until(held, "awaiting_stock", "delivered")
    wait_until(lambda: house.reconcile() is not None and house.view(held)["status"] == "delivered", lambda: "no card")
    assert house.cards(held) == [other]


def test_the_daily_audit_finds_every_card(house: House) -> None:
    sku, _ = house.product(4)
    placed = house.placed(sku)
    house.pay(placed)
    house.until(placed, "delivered")
    assert_sound(house)
    audited = house.audit()
    assert (audited["batches"] >= 1, audited["missing"]) == (True, 0)
    (item, *_) = [item for item in house.items("Stock") if item["pool"]["S"].startswith(f"{sku}#")]
    key = {name: item[name] for name in ("pool", "place")}
    house.aws("dynamodb").delete_item(TableName=house.outputs["StockTable"], Key=key)
    assert house.audit()["missing"] == 1
    house.aws("dynamodb").put_item(TableName=house.outputs["StockTable"], Item=item)
    assert house.audit()["missing"] == 0


# ---- as large a file as may be: the last, as whoever looks through the shop afterwards looks through all of it ----


def test_an_interrupted_import_is_invisible_and_the_same_file_completes_it(house: House) -> None:
    sku, _ = house.product(0)
    codes = _codes(_MOST)
    function = _function(house, "import_cards")
    functions = house.aws("lambda")
    usual = functions.get_function_configuration(FunctionName=function)["Timeout"]
    functions.update_function_configuration(FunctionName=function, Timeout=2)
    try:
        broken = _send(house, sku, codes)
    finally:
        functions.update_function_configuration(FunctionName=function, Timeout=usual)
    assert broken.status_code >= 500, broken.text
    ((status, so_far, on_sale, _, _),) = _batches(house, sku)
    assert (status, on_sale) == ("importing", 0)
    assert so_far < _MOST
    assert ok(house.api.get(f"/products/{sku}"))["stock"]["quantity"] == 0
    assert house.order(sku).json()["code"] == "out_of_stock"
    (batch,) = _product(house, sku)["batches"]
    early = house.api.put(
        f"/admin/products/{sku}/batches/{batch['batch']}", headers=house.operator, json={"status": "withdrawn"}
    )
    assert (early.status_code, early.json()["code"]) == (409, "still_importing")

    completed = _send(house, sku, codes)

    assert (completed.status_code, completed.json()["imported"], completed.json()["duplicates"]) == (201, _MOST, [])
    _until_batches(house, sku, ("on_sale", _MOST, _MOST, 0, 0))


def _function(house: House, use_case: str) -> str:
    wanted = f"{use_case}.handler"
    pages = house.aws("lambda").get_paginator("list_functions").paginate()
    (name,) = (
        each["FunctionName"]
        for page in pages
        for each in page["Functions"]
        if each["Handler"] == wanted and each["FunctionName"].startswith(f"{house.stack}-")
    )
    return str(name)
