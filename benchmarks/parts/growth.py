"""What happens as work grows: one request at a thousand, ten thousand and a hundred thousand orders and cards.

The tables are filled with copies of an order and a card that the shop itself made. Meanwhile nothing reads the streams,
so that a copy starts no trade; what an order sets off there, the count of its pool, is asked for by hand.
"""

from __future__ import annotations

import json
import secrets
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cardshop.domain.card import random_place
from cardshop.domain.product import shares

from benchmarks.buyer import Buyer, Placed, item_of
from benchmarks.capacity import Item
from benchmarks.figures import EXACT, Figure
from benchmarks.meter import CACHED
from benchmarks.proxy import Call, Proxy
from benchmarks.stage import Stage, resources, watched
from tests.house import House, ok, wait_until

_SIZES = (1_000, 10_000, 100_000)
_REQUESTS = 5  # of a kind at a size; the median counts, for one claim in five wraps around its pool and reads twice
_UNPAID = 0.01  # of all orders
_FILE = 10_000  # cards an import
_BATCH = 25  # items a BatchWriteItem
_ID = "abcdefghijklmnopqrstuvwxyz234567"
_SILENCE = 1.5  # seconds
_COUNT = "count"  # set off by an order; not the request itself


@dataclass(frozen=True, slots=True)
class _Cost:
    calls: float
    reads: float
    writes: float

    @classmethod
    def of(cls, calls: list[Call]) -> _Cost:
        used = [each for call in calls for each in call.used]
        return cls(len(calls), sum(each.reads for each in used), sum(each.writes for each in used))

    def __str__(self) -> str:
        return f"{self.reads:g} RCU, {self.writes:g} WCU"


def run(stage: Stage) -> list[Figure]:
    house = stage.deployed("growth", {})
    proxy = watched(house)
    try:
        return _run(stage, house, proxy)
    finally:
        proxy.close()
        for table in resources(house.home, house.stack, "AWS::DynamoDB::Table").values():
            house.aws("dynamodb").delete_table(TableName=table)  # else the engine keeps all of it


def _run(stage: Stage, house: House, proxy: Proxy) -> list[Figure]:
    shop = _Shop(house, proxy)
    costs: dict[tuple[str, str], list[_Cost]] = {}
    for size in _SIZES:
        stage.say(f"growth: {size:,} orders, {size:,} cards")
        shop.grow(size)
        for name, what, request in shop.requests():
            costs.setdefault((name, what), []).append(shop.cost(request))
    figures = []
    for (name, what), at_sizes in costs.items():
        note = (
            "" if len(set(at_sizes)) == 1 else "; ".join(f"{s:,}: {c}" for s, c in zip(_SIZES, at_sizes, strict=True))
        )
        last = at_sizes[-1]
        figures.append(
            Figure(f"growth.{name}", last.calls, f"{what}: AWS calls", beside=str(last), tolerance=EXACT, note=note)
        )
        units = last.reads + last.writes
        figures.append(Figure(f"growth.{name}_units", units, "  units, read and write", tolerance=EXACT))
    changed = sum(len(set(at_sizes)) > 1 for (name, _), at_sizes in costs.items() if name != _COUNT)
    what = "requests whose calls or units change with the size"
    return [*figures, Figure("growth.changed", changed, what, most=0, tolerance=EXACT, required=True)]


class _Shop:
    """The one that grows."""

    def __init__(self, house: House, proxy: Proxy) -> None:
        self._house, self._proxy = house, proxy
        self._buyer = Buyer(house)
        self._dynamodb = house.aws("dynamodb")
        self._functions = house.aws("lambda")
        self._count_stock = resources(house.home, house.stack, "AWS::Lambda::Function")["CountStockFunction"]
        house.channel()
        self._sku, _ = house.product(_SIZES[0])
        self._done = self._completed()
        self._unpaid = item_of(house, self._buyer.order(self._sku))
        self._quiet()
        self._order = item_of(house, self._done)
        self._entry = self._query("Timeline", {"trade_id": self._order["trade_id"]})[0]
        self._orders, self._cards = 2, _SIZES[0]
        self._sever()

    def requests(self) -> list[tuple[str, str, Callable[[], Any]]]:
        """(name, what it is, the request)."""
        return [
            ("order", "POST /orders", lambda: self._buyer.order(self._sku)),
            ("status", "GET /orders/{trade_id}", lambda: self._buyer.view(self._done)),
            ("products", "GET /products", lambda: self._buyer.get("/products")),
            ("product", "GET /products/{sku}", lambda: self._buyer.get(f"/products/{self._sku}")),
            (_COUNT, "and after an order, count_stock", self._count),
        ]

    def cost(self, request: Callable[[], Any]) -> _Cost:
        """The median of a few."""
        costs = []
        for _ in range(_REQUESTS):
            before = len(self._proxy.calls)
            request()
            costs.append(_Cost.of([call for call in self._proxy.calls[before:] if call.service not in CACHED]))
        calls, reads, writes = (statistics.median(getattr(each, name) for each in costs) for name in _Cost.__slots__)
        return _Cost(calls, reads, writes)

    def grow(self, size: int) -> None:
        more = size - self._orders
        orders = [self._another_order(unpaid=number < more * _UNPAID) for number in range(more)]
        self._fill("Orders", iter(orders))
        self._fill("Timeline", ({**self._entry, "trade_id": order["trade_id"]} for order in orders))
        self._orders = size
        while self._cards < size:
            self._import(min(_FILE, size - self._cards))

    def _completed(self) -> Placed:
        """A trade that went all its way, and whose events are written."""
        placed = self._buyer.order(self._sku)
        self._buyer.pay(placed)
        self._buyer.notify(self._buyer.notice(placed))
        self._buyer.delivered(placed)
        self._buyer.cards(placed)
        ok(self._house.act(placed, "confirm"))
        return placed

    def _sever(self) -> None:
        """Nothing reads the streams any more, and nothing is written to them."""
        for mapping in resources(self._house.home, self._house.stack, "AWS::Lambda::EventSourceMapping").values():
            self._functions.update_event_source_mapping(UUID=mapping, Enabled=False)
        for name in ("Orders", "Stock"):
            self._dynamodb.update_table(TableName=self._table(name), StreamSpecification={"StreamEnabled": False})

    def _another_order(self, *, unpaid: bool) -> dict[str, Any]:
        trade_id = "".join(secrets.choice(_ID) for _ in range(26))
        original = self._unpaid if unpaid else self._order
        copy = {**original, "trade_id": {"S": trade_id}}
        for subject in ("hold_address", "hold_device", "hold_contact"):
            if subject in copy:
                copy[subject] = {"S": secrets.token_urlsafe(16)}
        if "due_shard" in copy:
            copy["due_shard"] = {"S": trade_id[0]}
        return copy

    def _import(self, cards: int) -> None:
        """One more batch on sale, as an import leaves it."""
        batch, counts = secrets.token_urlsafe(16), shares(cards)
        self._fill(
            "Stock",
            (
                {
                    "pool": {"S": f"{self._sku}#{batch}#{shard}"},
                    "place": {"S": random_place()},
                    "card_id": {"S": secrets.token_urlsafe(16)},
                }
                for shard, count in enumerate(counts)
                for _ in range(count)
            ),
        )
        self._dynamodb.update_item(
            TableName=self._table("Catalogue"),
            Key={"kind": {"S": "PRODUCT"}, "name": {"S": self._sku}},
            UpdateExpression="SET batches.#batch = :counts ADD stock_version :one",
            ExpressionAttributeNames={"#batch": batch},
            ExpressionAttributeValues={":counts": {"L": [{"N": str(each)} for each in counts]}, ":one": {"N": "1"}},
        )
        self._cards += cards

    def _count(self) -> None:
        """What the stream asks for after a sale."""
        product = self._query("Catalogue", {"kind": {"S": "PRODUCT"}})[0]
        pools = [f"{self._sku}#{batch}#0" for batch in product["batches"]["M"]]
        image = {"pool": {"S": secrets.choice(pools)}, "place": {"S": random_place()}, "card_id": {"S": "sold"}}
        record = {"eventSource": "aws:dynamodb", "eventName": "REMOVE", "dynamodb": {"OldImage": image}}
        answer = self._functions.invoke(
            FunctionName=self._count_stock, Payload=json.dumps({"Records": [record]}).encode()
        )
        assert "FunctionError" not in answer, answer["Payload"].read()

    def _fill(self, table: str, items: Iterator[Item]) -> None:
        name = self._table(table)

        def put(some: list[Item]) -> None:
            left = {name: [{"PutRequest": {"Item": item}} for item in some]}
            assert not self._dynamodb.batch_write_item(RequestItems=left)["UnprocessedItems"]

        with ThreadPoolExecutor(4) as threads:
            for _ in threads.map(put, iter(lambda: list(islice(items, _BATCH)), [])):
                pass

    def _table(self, name: str) -> str:
        return self._house.outputs[f"{name}Table"]

    def _query(self, table: str, key: Item) -> list[dict[str, Any]]:
        ((name, value),) = key.items()
        return list(
            self._dynamodb.query(
                TableName=self._table(table),
                KeyConditionExpression="#key = :value",
                ExpressionAttributeNames={"#key": name},
                ExpressionAttributeValues={":value": value},
            )["Items"]
        )

    def _quiet(self) -> None:
        wait_until(lambda: self._proxy.silence > _SILENCE, lambda: "the functions never rest")
