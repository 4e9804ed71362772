"""The operators' command line on the deployed stack: a file in, the cards seen, taken off sale and put back."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.processes import PROJECT
from tests.house import House


@pytest.fixture
def run(house: House) -> Callable[..., str]:
    token = house.operator["Authorization"].removeprefix("Bearer ")
    env = {**os.environ, "CARDSHOP_API": house.outputs["ApiUrl"], "CARDSHOP_TOKEN": token}

    def cardshop(*arguments: str) -> str:
        done = subprocess.run(
            [str(PROJECT / "cardshop"), *arguments], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert token not in done.stdout + done.stderr
        return done.stdout + done.stderr

    return cardshop


def test_an_operators_day(house: House, run: Callable[..., str], tmp_path: Path) -> None:
    sku, _ = house.product(0)
    codes = [f"CODE-{secrets.token_hex(8)}" for _ in range(30)]
    file = tmp_path / "cards.txt"
    file.write_text("\n".join([*codes, codes[0]]), encoding="gbk")
    imported = run("import", str(file), "--sku", sku)
    assert "gbk" in imported or "utf-8" in imported
    assert "31" in imported, "the duplicate's line"
    assert sku in run("products")
    batch = house.api.get(f"/admin/products/{sku}", headers=house.operator).json()["batches"][0]["batch"]
    assert batch in run("products", sku)
    run("withdraw", sku, batch)
    assert house.order(sku).json()["code"] == "out_of_stock"
    run("restore", sku, batch)
    placed = house.placed(sku)
    assert placed["trade_id"] in run("orders", "--all")
    house.pay(placed)
    house.until(placed, "delivered")
    (code,) = house.cards(placed)
    assert code in codes
    story = run("orders", placed["trade_id"])
    assert "delivered" in story or "发货成功" in story
    assert code not in imported + story
